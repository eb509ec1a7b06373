/**
 * The component: `window.elsedu_live`. It keeps the payloads that scripts register, and turns every still picture of
 * the page that carries a specification into a living exhibit. Loading it twice does no harm.
 */
import { Bet } from "./exhibits/bet.js";
import { Inspector } from "./exhibits/inspector.js";
import { Plane } from "./exhibits/plane.js";
import { Sampler } from "./exhibits/sampler.js";
import { Surgery } from "./exhibits/surgery.js";
import { TwoImages } from "./exhibits/two_images.js";
import { register } from "./registry.js";

/** @type {Record<string, new (root: HTMLElement, spec: import("./frame.js").Spec, base: string | null) => any>} */
const KINDS = { sampler: Sampler, inspector: Inspector, plane: Plane, twoimages: TwoImages, surgery: Surgery, bet: Bet };

/** Bring all exhibits of the page to life that are not yet. */
function mount() {
  for (const root of document.querySelectorAll("figure.elsl:not([data-ready])")) {
    const script = root.querySelector("script[type='application/json']");
    if (!script || !(root instanceof HTMLElement)) continue;
    const spec = JSON.parse(script.textContent ?? "{}");
    const place = root.dataset.base;
    const base = place === undefined ? null : (document.documentElement.dataset.content_root ?? "") + place;
    try {
      const Kind = KINDS[spec.kind];
      if (!Kind) throw new Error(`unknown exhibit "${spec.kind}"`);
      Object.assign(root, { exhibit: new Kind(root, spec, base) });
    } catch (error) {
      console.error(error);
      root.dataset.ready = "failed"; // the still picture stays
    }
  }
}

const page = /** @type {any} */ (window);
if (!page.elsedu_live) {
  page.elsedu_live = { register, mount };
  // Data that stands in the page was read before this script came: it waits in a list.
  for (const bring of page.elsedu_live_waiting ?? []) bring();
  page.elsedu_live_waiting = { push: (/** @type {() => void} */ bring) => bring() };
}
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", page.elsedu_live.mount);
else page.elsedu_live.mount();
