/** The curve P(t), to be dragged: one bar a time, from much noise (left) to little (right), odd windows only. */
import { h, put, s } from "./dom.js";

const WIDTH = 360, HEIGHT = 132, LEFT = 30, BOTTOM = 26, TOP = 8;

export class WindowCurve {
  /**
   * @param {{windows: number[], largest: number, color: string, act: (windows: number[]) => void}} setup
   *   windows[k] belongs to t = (k + 1) / windows.length; largest: the largest window offered, odd
   */
  constructor({ windows, largest, color, act }) {
    this.largest = largest;
    this.act = act;
    this.color = color;
    this.windows = windows.slice();
    this.at = this.windows.length - 1;
    this.picture = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "elsl-curve", role: "slider", tabindex: 0,
      "aria-label": "windows P(t): left and right choose a time, up and down change its window",
      on: { pointerdown: (/** @type {PointerEvent} */ e) => this.grab(e), keydown: (/** @type {KeyboardEvent} */ e) => this.key(e) } });
    this.element = h("div", { class: "elsl-curvebox" }, this.picture);
    this.draw();
  }

  /** @param {number[]} windows @param {number} [largest] */
  set(windows, largest) {
    this.windows = windows.slice();
    if (largest) this.largest = largest;
    this.at = Math.min(this.at, windows.length - 1);
    this.draw();
  }

  get slot() {
    return (WIDTH - LEFT) / this.windows.length;
  }

  /** @param {number} window */
  y(window) {
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - window / this.largest);
  }

  draw() {
    const n = this.windows.length, slot = this.slot;
    const bars = this.windows.map((window, k) => {
      const x = LEFT + (n - 1 - k) * slot;
      return s("rect", { x: x + 1.5, y: this.y(window), width: slot - 3, height: HEIGHT - BOTTOM - this.y(window), rx: 2,
                         class: k === this.at ? "elsl-bar elsl-chosen" : "elsl-bar", style: `fill:${this.color}` });
    });
    const marks = [1, Math.round(this.largest / 4) * 2 + 1, this.largest].filter((v, i, all) => all.indexOf(v) === i);
    put(this.picture, marks.map((v) => [
      s("line", { x1: LEFT, x2: WIDTH, y1: this.y(v), y2: this.y(v), class: "elsl-grid" }),
      s("text", { x: LEFT - 6, y: this.y(v) + 4, "text-anchor": "end" }, v)]).flat(), bars,
      s("text", { x: LEFT, y: HEIGHT - 7 }, "t = 1, noise"),
      s("text", { x: WIDTH, y: HEIGHT - 7, "text-anchor": "end" }, "t = 0, image"));
    this.picture.setAttribute("aria-valuenow", String(this.windows[this.at]));
    this.picture.setAttribute("aria-valuemin", "1");
    this.picture.setAttribute("aria-valuemax", String(this.largest));
    this.picture.setAttribute("aria-valuetext", `at t = ${((this.at + 1) / n).toFixed(2)} window ${this.windows[this.at]}`);
  }

  /** @param {number} k @param {number} value */
  change(k, value) {
    const odd = Math.max(1, Math.min(this.largest, 2 * Math.floor(value / 2) + 1));
    this.at = k;
    if (this.windows[k] !== odd) {
      this.windows[k] = odd;
      this.act(this.windows.slice());
    }
    this.draw();
  }

  /** @param {PointerEvent} event */
  grab(event) {
    event.preventDefault();
    this.picture.focus({ preventScroll: true });
    this.picture.setPointerCapture(event.pointerId);
    let before = -1;
    const move = (/** @type {PointerEvent} */ e) => {
      const box = this.picture.getBoundingClientRect(), n = this.windows.length;
      const x = ((e.clientX - box.left) / box.width) * WIDTH - LEFT, y = ((e.clientY - box.top) / box.height) * HEIGHT;
      const k = Math.max(0, Math.min(n - 1, n - 1 - Math.floor(x / this.slot)));
      const value = this.largest * (1 - (y - TOP) / (HEIGHT - TOP - BOTTOM));
      // A quick stroke jumps over bars: those in between are set too.
      const [a, b] = before < 0 ? [k, k] : [Math.min(before, k), Math.max(before, k)];
      for (let j = a; j <= b; j++) this.change(j, value);
      before = k;
    };
    const up = () => {
      this.picture.removeEventListener("pointermove", move);
      this.picture.removeEventListener("pointerup", up);
      this.picture.removeEventListener("pointercancel", up);
    };
    this.picture.addEventListener("pointermove", move);
    this.picture.addEventListener("pointerup", up);
    this.picture.addEventListener("pointercancel", up);
    move(event);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const n = this.windows.length;
    const by = { ArrowLeft: 1, ArrowRight: -1 }[event.key], change = { ArrowUp: 2, ArrowDown: -2 }[event.key];
    if (by) this.at = Math.max(0, Math.min(n - 1, this.at + by));
    else if (change) this.change(this.at, this.windows[this.at] + change);
    else return;
    event.preventDefault();
    this.draw();
  }
}
