/**
 * The inspector: choose a pixel of a noisy image and see its window, the training patches that fit it best, wherever
 * they are allowed to come from, their weights, and the mean of their centres: the machine's belief about that pixel.
 */
import { normalNoise } from "../../random.js";
import { cosine } from "../../schedule.js";
import { button, choice, slider } from "../controls.js";
import { h, put } from "../dom.js";
import { Exhibit } from "../frame.js";
import { called, fromBase64, image } from "../imageset.js";
import { COLORS, NAMES } from "../palette.js";
import { Picture, range } from "../picture.js";
import { crop } from "../sources.js";
import { Tile } from "../tile.js";

/** How many patches are listed. */
const LISTED = 8;

export class Inspector extends Exhibit {
  /** @param {HTMLElement} root @param {import("../frame.js").Spec} spec @param {string | null} base */
  constructor(root, spec, base) {
    super(root, spec, base);
    const { more } = spec, info = spec.sets[spec.data];
    this.info = info;
    this.machine = /** @type {string} */ (more.machine);
    this.window = /** @type {number} */ (more.window);
    this.t = /** @type {number} */ (more.t);
    this.border = /** @type {string} */ (more.border);
    this.seed = 1;
    this.which = 0;
    this.schedule = cosine();
    this.busy = new AbortController();
    /** @type {Float32Array[]} clean images that are not among the training images */
    this.queries = more.queries.map((/** @type {string} */ text) => Float32Array.from(fromBase64(text), (v) => v / 127.5 - 1));
    this.spot = { row: info.height >> 1, column: info.width >> 1 };
    const color = COLORS[this.machine];
    this.clean = new Tile(info, { title: "clean", note: "not in the training set", color: COLORS.data, label: "the clean image" });
    this.noisy = new Tile(info, { title: "noisy", note: "point at a pixel", color: COLORS.data, label: "the noisy image" });
    this.denoised = new Tile(info, { title: "believed", color, label: "what the machine believes" });
    this.list = h("ol", { class: "elsl-patches" });
    this.words = h("p", { class: "elsl-words", "aria-live": "polite" });
    this.noisy.picture.pointable((spot, chosen) => this.inspect(spot, chosen), { hover: false });
    this.noisy.picture.element.addEventListener("pointermove", (/** @type {PointerEvent} */ e) => {
      if (e.pointerType !== "touch" && e.buttons === 1) this.inspect(this.noisy.picture.spot(e), true);
    });
    const machines = /** @type {string[]} */ (more.machines);
    const largest = Math.min(15, Math.min(info.height, info.width) - 1 + (Math.min(info.height, info.width) % 2));
    this.mount(
      h("div", { class: "elsl-tiles elsl-asked", style: "--columns:3" }, this.clean.element, this.noisy.element, this.denoised.element),
      h("div", { class: "elsl-row" },
        machines.length > 1 && choice("machine", machines.map((key) => ({ value: key, words: NAMES[key].short, color: COLORS[key] })), this.machine,
          (v) => { this.machine = v; this.update(); }).element,
        button("Another digit", () => { this.which = (this.which + 1) % this.queries.length; this.seed++; this.update(); }, { icon: "dice" })),
      h("div", { class: "elsl-settings" },
        slider("time t", { min: 2, max: 100, value: 102 - Math.round(100 * this.t), ends: ["noise", "clean"], say: (v) => `t = ${((102 - v) / 100).toFixed(2)}` },
               (v) => { this.t = (102 - v) / 100; this.update(); }).element,
        machines.some((key) => key === "ls" || key === "els") && slider("window P", { min: 0, max: (largest - 1) / 2, value: (this.window - 1) / 2, ends: ["1", String(largest)], say: (v) => `${2 * v + 1} × ${2 * v + 1}` },
               (v) => { this.window = 2 * v + 1; this.update(); }).element),
      h("div", { class: "elsl-inspect" }, this.words, this.list));
    this.draw();
    for (const [name, tile] of /** @type {[string, Tile][]} */ ([["believed", this.denoised]]))
      if (this.stills[name]) tile.picture.copy(this.stills[name]);
    this.words.textContent = "Click a pixel of the noisy image, or walk over it with the arrow keys.";
  }

  /** The noisy image: alpha times the clean one plus sigma times noise that stays the same while t moves. */
  get x() {
    const clean = this.queries[this.which], noise = normalNoise(this.seed, clean.length);
    const alpha = this.schedule.alpha(this.t), sigma = this.schedule.sigma(this.t);
    return clean.map((v, i) => alpha * v + sigma * noise[i]);
  }

  draw() {
    this.clean.picture.show(this.queries[this.which]);
    this.noisy.picture.show(this.x, range(this.schedule.alpha(this.t), this.schedule.sigma(this.t)));
    const whole = this.machine === "is" || this.machine === "es";
    const box = { ...this.spot, window: whole ? 1 : this.window, color: COLORS[this.machine], wrap: this.border === "circular" };
    this.noisy.picture.outline([box]);
    this.clean.picture.outline([{ ...box, window: 1 }]);
    this.denoised.picture.outline([{ ...box, window: 1 }]);
    this.denoised.element.style.setProperty("--tone", COLORS[this.machine]);
  }

  /** @param {import("../picture.js").Spot} spot @param {boolean} chosen */
  inspect(spot, chosen) {
    this.spot = spot;
    this.draw();
    if (chosen || this.set) this.update(true);
  }

  /** Ask the engine anew; a newer question overtakes an older one. @param {boolean} [pixelOnly] the image has not changed */
  async update(pixelOnly = false) {
    this.draw();
    this.busy.abort();
    const { signal } = (this.busy = new AbortController());
    try {
      const set = await this.load(this.spec.data), { x, machine, window, border, spot } = this;
      if (signal.aborted) return;
      const asked = { x, alpha: this.schedule.alpha(this.t), sigma: this.schedule.sigma(this.t), machine, window, border, signal };
      const best = await this.engine.heaviest({ ...asked, pixel: [spot.row, spot.column], count: LISTED });
      if (signal.aborted) return;
      if (!pixelOnly || !this.believed) this.believed = await this.engine.posterior({ ...asked, fields: ["mean", "effective_patches"] });
      if (signal.aborted) return;
      this.denoised.picture.show(this.believed.mean);
      this.tell(set, best, this.believed);
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  /**
   * @param {import("../imageset.js").ImageSet} set
   * @param {{image: number, row: number, col?: number, column?: number, weight: number}[]} best
   * @param {any} believed
   */
  tell(set, best, believed) {
    const { row, column } = this.spot, at = row * set.width + column, color = COLORS[this.machine];
    const whole = this.machine === "is" || this.machine === "es", wrap = this.border === "circular";
    const shape = whole ? set : { channels: set.channels, height: this.window, width: this.window };
    put(this.list, best.map(({ image: index, row: r, col, column: c, weight }) => {
      const place = { row: r, column: /** @type {number} */ (col ?? c) }, training = image(set, index);
      const percent = `${100 * weight < 0.05 ? "<0.1" : (100 * weight).toFixed(weight < 0.0995 ? 1 : 0)} %`;
      const patch = new Picture(shape, { label: `patch of ${called(set, index)} around row ${r + 1}, column ${place.column + 1}`, color });
      patch.show(whole ? training : crop(training, set, place, this.window, wrap));
      const middle = whole ? place : { row: (this.window - 1) / 2, column: (this.window - 1) / 2 };
      patch.outline([{ ...middle, window: 1, color }]);
      const from = new Picture(set, { label: called(set, index), color, small: true });
      from.show(training);
      from.outline([{ ...place, window: whole ? 1 : this.window, color, wrap }]);
      return h("li", {}, patch.element, h("span", { class: "elsl-weight" }, h("i", { style: `width:${(100 * weight) / best[0].weight}%;background:${color}` })),
               h("b", {}, percent), !whole && from.element);
    }));
    const count = believed.effective ? believed.effective[at] : 0;
    const many = count < 1.05 ? "One patch alone counts" : `About ${count < 10 ? count.toFixed(1) : Math.round(count).toLocaleString("en")} ${whole ? "images" : "patches"} count`;
    const value = believed.mean[at].toFixed(2).replace("-", "−");
    this.words.textContent = `Row ${row + 1}, column ${column + 1}. ${many}; the mean of their ` +
      `${whole ? "pixels there" : "centres"}, by weight, is ${set.channels === 1 ? value : "the colour"} in the believed image. The heaviest:`;
  }
}
