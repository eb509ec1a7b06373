/**
 * The two-image machine on a torus: trained on one black and one white image, its belief is tanh(alpha S / sigma^2)
 * with S the sum over the window. The reader plays it, paints, shakes and joins pictures, and sees which pixels
 * contradict the majority of their window (red): the mosaics are the pictures without red.
 */
import { normalNoise } from "../../random.js";
import { cosine } from "../../schedule.js";
import { button, choice, rename, slider } from "../controls.js";
import { h, still, wait } from "../dom.js";
import { Exhibit } from "../frame.js";
import { COLORS } from "../palette.js";
import { Picture, range } from "../picture.js";

const STEPS = 24, PACE = 70, SHAKE = 0.45;

/** S(p): the sum over the P x P window of every pixel, on a torus. @param {Float32Array} x @param {number} side @param {number} window */
export function windowSum(x, side, window) {
  const r = (window - 1) / 2, rows = new Float32Array(x.length), sum = new Float32Array(x.length);
  for (let i = 0; i < side; i++)
    for (let j = 0; j < side; j++)
      for (let d = -r; d <= r; d++) rows[i * side + j] += x[i * side + ((j + d + side) % side)];
  for (let i = 0; i < side; i++)
    for (let j = 0; j < side; j++)
      for (let d = -r; d <= r; d++) sum[i * side + j] += rows[((i + d + side) % side) * side + j];
  return sum;
}

/** Pixels that contradict the majority of their window: 1, others 0. @param {Float32Array} x @param {number} side @param {number} window */
export function broken(x, side, window) {
  const sum = windowSum(x, side, window);
  return Uint8Array.from(x, (v, p) => (Math.abs(v - Math.sign(sum[p])) > 1e-3 ? 1 : 0));
}

/**
 * One DDIM step of the two-image machine.
 * @param {Float32Array} x @param {number} side @param {number} window @param {number} t @param {number} next
 */
export function step(x, side, window, t, next) {
  const { alpha, sigma } = cosine(), sum = windowSum(x, side, window), a = alpha(t), b = sigma(t), c = alpha(next), d = sigma(next);
  return x.map((v, p) => {
    const x0 = Math.tanh((a * sum[p]) / (b * b));
    return c * x0 + (d * (v - a * x0)) / b;
  });
}

export class TwoImages extends Exhibit {
  /** @param {HTMLElement} root @param {import("../frame.js").Spec} spec @param {string | null} base */
  constructor(root, spec, base) {
    super(root, spec, base);
    this.side = /** @type {number} */ (spec.more.side);
    this.window = /** @type {number} */ (spec.more.window);
    this.seed = /** @type {number} */ (spec.more.seed);
    this.ink = 1;
    this.t = 1;
    this.turn = 0;
    this.running = false;
    this.x = /** @type {Float32Array} */ (normalNoise(this.seed, this.side ** 2));
    this.picture = new Picture({ channels: 1, height: this.side, width: this.side }, { label: "the picture", color: COLORS.els });
    this.count = h("p", { class: "elsl-count", role: "status", "aria-live": "polite" });
    this.picture.paintable((spot) => this.dab(spot), () => this.painted());
    this.playButton = button("Play", () => (this.running ? this.pause() : this.play()), { icon: "play", primary: true });
    this.clock = h("output", { class: "elsl-clock" });
    const brush = choice("brush", [{ value: "1", words: "white" }, { value: "-1", words: "black" }], "1", (v) => (this.ink = +v), { quiet: true });
    const sizes = choice("window", [3, 5, 7].map((p) => ({ value: String(p), words: `${p} × ${p}` })), String(this.window),
                         (v) => { this.window = +v; this.draw(); });
    this.size = slider("brush size", { min: 1, max: 9, step: 2, value: 3 }, () => {});
    this.mount(h("div", { class: "elsl-canvas" }, this.picture.element,
      h("div", { class: "elsl-side" }, this.count,
        h("div", { class: "elsl-row" }, this.playButton, this.clock),
        h("div", { class: "elsl-row" }, button("New noise", () => this.noise(), { icon: "dice" }), button("All black", () => this.blank())),
        h("div", { class: "elsl-row" }, brush.element, sizes.element), this.size.element,
        h("div", { class: "elsl-row" },
          button(`Shake (back to t = ${SHAKE})`, () => this.shake()),
          button("Join with another", () => this.join(), { title: "the right half of another sample takes the place of this one's" })))));
    if (this.stills.sample) this.picture.copy(this.stills.sample);
    this.count.textContent = "Press play.";
    this.clock.textContent = "t = 1.00";
  }

  draw() {
    const { side, window, t, x } = this, finished = t === 0;
    const wrong = finished ? broken(x, side, window) : new Uint8Array(x.length);
    this.picture.show(x, range(cosine().alpha(t), cosine().sigma(t)));
    const context = this.picture.canvas.getContext("2d");
    wrong.forEach((bad, p) => {
      if (!bad || !context) return;
      context.fillStyle = x[p] > 0 ? "#ff8a65" : "#b71c1c"; // red, and still light or dark
      context.fillRect(p % side, Math.floor(p / side), 1, 1);
    });
    const reds = wrong.reduce((a, b) => a + b, 0);
    this.clock.textContent = `t = ${t.toFixed(2)}`;
    this.count.classList.toggle("elsl-good", finished && !reds);
    if (!finished) this.count.textContent = "";
    else if (reds) this.count.textContent = `${reds} of ${x.length} pixels contradict the majority of their ${window} × ${window} window (red).`;
    else this.count.textContent = `A mosaic: every pixel agrees with the majority of its ${window} × ${window} window.`;
    this.picture.describe(`picture of ${side} by ${side} pixels at t = ${t.toFixed(2)}` + (finished ? `, ${reds} pixels red` : ""));
  }

  /** Down to t = 0: equal steps, then halving ones, so that close votes are settled too. */
  async play() {
    const turn = ++this.turn;
    if (this.t === 0) {
      this.seed++;
      this.start(normalNoise(this.seed, this.side ** 2), 1);
    }
    this.running = true;
    rename(this.playButton, "Pause", "pause");
    while (this.t > 0) {
      const next = this.t > 1 / STEPS + 1e-9 ? Math.max(1 / STEPS, this.t - 1 / STEPS) : this.t > 1e-20 ? this.t / 8 : 0;
      this.x = step(this.x, this.side, this.window, this.t, next);
      this.t = next;
      if (!still() || next === 0) this.draw();
      if (!still()) await wait(next > 1e-3 ? PACE : 12);
      if (turn !== this.turn) return;
    }
    this.pause();
  }

  pause() {
    this.turn++;
    this.running = false;
    rename(this.playButton, this.t === 0 ? "New sample" : "Go on", "play");
  }

  /** @param {Float32Array} x @param {number} t */
  start(x, t) {
    this.x = x;
    this.t = t;
    this.draw();
  }

  noise() {
    this.pause();
    this.seed++;
    this.start(normalNoise(this.seed, this.side ** 2), 1);
    this.play();
  }

  blank() {
    this.pause();
    this.start(new Float32Array(this.side ** 2).fill(-1), 0);
    this.pause();
    this.voice.say("A black picture. Paint white islands: which of them are mosaics? Then shake it.");
  }

  /** @param {import("../picture.js").Spot} spot */
  dab({ row, column }) {
    this.turn++;
    this.running = false;
    const r = (+this.size.input.value - 1) / 2, { side } = this;
    for (let i = -r; i <= r; i++)
      for (let j = -r; j <= r; j++) {
        const p = ((row + i + side) % side) * side + ((column + j + side) % side);
        this.x[p] = this.t === 0 ? this.ink : this.ink * 2;
      }
    this.draw();
  }

  painted() {
    this.pause();
  }

  /** Back to a noisier time, with new noise, and down again: does the picture hold? */
  async shake() {
    if (this.t > 0) return this.voice.say("Let it finish first, or paint a picture; then shake it.");
    const before = this.x.map(Math.sign), noise = normalNoise(++this.seed, this.x.length), { alpha, sigma } = cosine();
    this.start(this.x.map((v, p) => alpha(SHAKE) * v + sigma(SHAKE) * noise[p]), SHAKE);
    await this.play();
    if (this.t > 0) return;
    const changed = before.reduce((sum, v, p) => sum + (v !== Math.sign(this.x[p]) ? 1 : 0), 0);
    this.voice.say(`After the shake ${changed} of ${this.x.length} pixels have changed their colour.`);
  }

  /** Left half of this picture, right half of another sample, and on from there. */
  join() {
    if (this.t > 0) return this.voice.say("Let it finish first; then join it with another sample.");
    this.pause();
    const { side, window } = this;
    let other = normalNoise(++this.seed, side ** 2);
    for (let k = STEPS; k > 0; k--) other = step(other, side, window, k / STEPS, (k - 1) / STEPS);
    this.start(this.x.map((v, p) => (p % side < side / 2 ? v : Math.sign(other[p]) || 1)), 0);
    this.pause();
    this.voice.say("Two samples, joined in the middle (and, on the torus, at the sides). Where are the red pixels? Shake it to let it heal.");
  }
}
