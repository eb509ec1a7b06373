/**
 * The surgical test: two reverse processes A and B, cut at a time t*, the left half of A joined to the right half of B,
 * and on from there. Whether the halves still listen to each other shows in the number of legs.
 */
import { normalNoise } from "../../random.js";
import { ScaleSchedule } from "../../scales.js";
import { cosine } from "../../schedule.js";
import { button, choice, slider } from "../controls.js";
import { breathe, h } from "../dom.js";
import { Exhibit } from "../frame.js";
import { size } from "../imageset.js";
import { COLORS } from "../palette.js";
import { Tile } from "../tile.js";

const STEPS = 20;

/** Runs of ink in one row: the legs. @param {ArrayLike<number>} image @param {number} width @param {number} row */
export function legs(image, width, row) {
  let count = 0;
  for (let c = 0; c < width; c++) if (image[row * width + c] > 0 && !(c && image[row * width + c - 1] > 0)) count++;
  return count;
}

export class Surgery extends Exhibit {
  /** @param {HTMLElement} root @param {import("../frame.js").Spec} spec @param {string | null} base */
  constructor(root, spec, base) {
    super(root, spec, base);
    this.info = spec.sets[spec.data];
    this.tailors = /** @type {{words: string, machine: string, windows: number[]}[]} */ (spec.more.tailors);
    this.tailor = 0;
    this.cut = /** @type {number} */ (spec.more.cut);
    this.seed = /** @type {number} */ (spec.more.seed);
    this.busy = new AbortController();
    /** @type {Float32Array[][] | null} states of A and B, from t = 1 to 0 */
    this.parents = null;
    const tile = (/** @type {string} */ title, /** @type {string} */ note, /** @type {string} */ color) =>
      new Tile(this.info, { title, note, color, label: `${title}: not drawn yet` });
    this.a = tile("A", "left half is kept", COLORS.ls);
    this.b = tile("B", "right half is kept", COLORS.other);
    this.joined = tile("A | B", "at the cut", COLORS.data);
    this.child = tile("the patient", "at t = 0", COLORS.els);
    this.mount(
      h("div", { class: "elsl-tiles", style: "--columns:2" }, [this.a, this.b, this.joined, this.child].map((one) => one.element)),
      choice("tailor", this.tailors.map(({ words }, i) => ({ value: String(i), words })), "0", (v) => { this.tailor = +v; this.parents = null; this.run(); }).element,
      slider("cut at t*", { min: 1, max: STEPS, value: STEPS - this.cut, ends: ["noise", "image"], say: (k) => `t* = ${(1 - k / STEPS).toFixed(2)}` },
             (k) => { this.cut = STEPS - k; this.run(); }).element,
      h("div", { class: "elsl-row" }, button("Operate", () => this.run(), { icon: "play", primary: true }),
        button("Another pair", () => { this.seed += 2; this.parents = null; this.run(); }, { icon: "dice" })));
    for (const name of /** @type {const} */ (["a", "b", "joined", "child"])) if (this.stills[name]) this[name].picture.copy(this.stills[name]);
  }

  /**
   * The states of a process from step k on; the last is the sample.
   * @param {Float32Array} x @param {number} k @param {AbortSignal} signal
   */
  async follow(x, k, signal) {
    const { machine, windows } = this.tailors[this.tailor], { alpha, sigma } = cosine(), scale = new ScaleSchedule(windows);
    const states = [x];
    for (; k > 0; k--) {
      const t = k / STEPS, s = (k - 1) / STEPS, before = x;
      const { mean } = await this.engine.posterior({ x: before, alpha: alpha(t), sigma: sigma(t), machine, window: scale.at(t), border: "zero", fields: ["mean"], signal });
      if (signal.aborted) throw new DOMException("overtaken", "AbortError");
      x = before.map((v, i) => alpha(s) * mean[i] + (sigma(s) * (v - alpha(t) * mean[i])) / sigma(t));
      states.push(x);
      await breathe();
    }
    return states;
  }

  async run() {
    this.busy.abort();
    const { signal } = (this.busy = new AbortController());
    try {
      if (!this.engine) this.voice.say("Loading ...");
      const set = await this.load(this.spec.data), n = size(set);
      this.root.classList.add("elsl-busy");
      this.parents ??= [await this.follow(normalNoise(this.seed, n), STEPS, signal), await this.follow(normalNoise(this.seed + 1, n), STEPS, signal)];
      const [a, b] = this.parents, at = STEPS - this.cut, middle = set.width >> 1;
      const joined = a[at].map((v, i) => (i % set.width < middle ? v : b[at][i]));
      const sewn = await this.follow(joined, this.cut, signal), child = sewn[sewn.length - 1];
      if (signal.aborted) return;
      const t = this.cut / STEPS, scale = cosine().alpha(t) + 1.6 * cosine().sigma(t);
      this.show(this.a, a[STEPS], 1);
      this.show(this.b, b[STEPS], 1);
      this.show(this.joined, joined, scale);
      this.show(this.child, child, 1);
      this.joined.say(`t* = ${t.toFixed(2)}`);
      const same = (/** @type {Float32Array} */ x, /** @type {Float32Array} */ y, /** @type {(c: number) => boolean} */ where) =>
        x.every((v, i) => !where(i % set.width) || v > 0 === y[i] > 0);
      const left = same(child, a[STEPS], (c) => c < middle - 2), right = same(child, b[STEPS], (c) => c >= middle + 2);
      const count = legs(child, set.width, 6);
      this.voice.say(`The patient has ${count} ${count === 1 ? "leg" : "legs"}. ` + (left && right
        ? "Both halves came out as in their parents: after the cut they no longer listened to each other."
        : `${left ? "The right half" : right ? "The left half" : "Each half"} changed its mind: news still crossed the seam.`));
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    } finally {
      if (!signal.aborted) this.root.classList.remove("elsl-busy");
    }
  }

  /** @param {Tile} tile @param {Float32Array} image @param {number} scale */
  show(tile, image, scale) {
    tile.picture.show(image, scale);
    tile.picture.lines([[this.info.width / 2, 0, this.info.width / 2, this.info.height]]);
    if (scale !== 1) return;
    const count = legs(image, this.info.width, 6);
    tile.say(h("b", {}, `${count} ${count === 1 ? "leg" : "legs"}`));
    tile.picture.describe(`trousers with ${count} legs`);
  }
}
