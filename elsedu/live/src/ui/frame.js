/** What all exhibits share: their place in the page, the engine and the image sets on demand, and polite errors. */
import { Polite } from "./drop.js";
import { h, put } from "./dom.js";
import { voice } from "./controls.js";
import { unpack } from "./imageset.js";
import { need } from "./registry.js";

/**
 * @typedef {object} SetInfo  what is known of an image set before its pixels are loaded
 * @property {string} title
 * @property {number} count
 * @property {number} channels
 * @property {number} height
 * @property {number} width
 * @property {string[] | null} classes
 * @property {number[]} windows  the windows offered first: those calibrated for the network, or a shrinking list
 * @property {string | null} network  the shipped network that was trained on such images
 * @property {string | null} border  of that network
 */

/**
 * @typedef {object} Spec  written by elsedu.live.exhibits
 * @property {string} kind
 * @property {string} id
 * @property {string} prompt
 * @property {string} data
 * @property {Record<string, SetInfo>} sets
 * @property {any} [more]
 */

/** @type {Map<string, Promise<any>>} */
const engines = new Map();
/** @type {Map<string, Promise<any>>} */
const networks = new Map();

export class Exhibit {
  /**
   * @param {HTMLElement} root  holds the still picture that Python made
   * @param {Spec} spec
   * @param {string | null} base  folder of the scripts
   */
  constructor(root, spec, base) {
    this.root = root;
    this.spec = spec;
    this.base = base;
    /** @type {Record<string, HTMLImageElement>} the still picture's images, by name */
    this.stills = {};
    for (const one of root.querySelectorAll("img[data-name]"))
      this.stills[/** @type {HTMLElement} */ (one).dataset.name ?? ""] = /** @type {HTMLImageElement} */ (one);
    this.voice = voice();
    this.note = h("p", { class: "elsl-engine" });
    this.body = h("div", { class: "elsl-body" });
    /** @type {import("./imageset.js").ImageSet | null} */
    this.set = null;
    /** @type {any} */
    this.engine = null;
    /** @type {Map<string, import("./imageset.js").ImageSet>} the reader's own */
    this.own = new Map();
  }

  /** Take the place of the still picture. @param {...(Node | null | false)} children */
  mount(...children) {
    put(this.body, children, children.includes(this.voice.element) ? null : this.voice.element, this.note);
    const place = this.root.querySelector(".elsl-still");
    if (place) place.replaceWith(this.body);
    else this.root.append(this.body);
    this.root.dataset.ready = "1";
  }

  /** Load an image set and an engine for it, once for all exhibits of the page. @param {string} name */
  async load(name) {
    if (this.set?.name === name && this.engine) return this.set;
    const set = this.own.get(name) ?? (await unpack(await need(`data/${name}`, this.base)));
    if (set.name !== name) Object.assign(set, { name });
    if (!engines.has(name)) {
      const { createEngine } = await need("engine", this.base);
      const { count, channels, height, width, labels } = set;
      const made = createEngine({ images: set.bytes, count, channels, height, width, labels, prefer: preferred() });
      engines.set(name, made);
      made.catch(() => engines.delete(name));
    }
    this.engine = await engines.get(name);
    this.set = set;
    this.note.textContent = this.engine.why;
    return set;
  }

  /** Take an image set of the reader's own; one of the same name from before is forgotten. @param {import("./imageset.js").ImageSet} set */
  adopt(set) {
    this.own.set(set.name, set);
    engines.get(set.name)?.then((engine) => engine.dispose());
    engines.delete(set.name);
    if (this.set?.name === set.name) this.set = null;
  }

  /** @param {string} name */
  async network(name) {
    if (!networks.has(name)) {
      const made = Promise.all([need("engine", this.base), need(`networks/${name}`, this.base)]).then(
        ([{ loadNetwork }, payload]) => {
          if (!loadNetwork) throw new Error("this engine runs no networks");
          return loadNetwork(payload);
        });
      networks.set(name, made);
      made.catch(() => networks.delete(name));
    }
    return networks.get(name);
  }

  /** Say politely what went wrong; what was there stays. @param {unknown} error */
  fail(error) {
    const words = error instanceof Polite ? error.message
      : `This did not work: ${error instanceof Error ? error.message : error}. What you see is kept; you can try again.`;
    this.voice.say(words, true);
  }
}

/** A processor asked for in the page's address (?engine=js), for comparisons; otherwise the fastest. */
function preferred() {
  const asked = new URLSearchParams(location.search).get("engine") ?? "";
  return ["webgpu", "wasm", "js"].includes(asked) ? asked : "auto";
}
