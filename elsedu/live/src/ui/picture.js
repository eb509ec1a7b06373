/**
 * An image on the page: a canvas with one dot a pixel, enlarged by the browser with hard edges, and an SVG over it
 * for windows and outlines. It can be pointed at (mouse, finger) and walked over with the arrow keys.
 */
import { h, s } from "./dom.js";

/**
 * @typedef {object} Spot
 * @property {number} row
 * @property {number} column
 */

export class Picture {
  /**
   * @param {{channels: number, height: number, width: number}} shape
   * @param {{label: string, color?: string, small?: boolean}} options
   */
  constructor(shape, { label, color, small = false }) {
    this.shape = shape;
    this.label = label;
    this.canvas = h("canvas", { width: shape.width, height: shape.height, "aria-hidden": "true" });
    this.overlay = s("svg", { viewBox: `0 0 ${shape.width} ${shape.height}`, preserveAspectRatio: "none",
                              "aria-hidden": "true" });
    this.element = h("div", { class: small ? "elsl-pic elsl-small" : "elsl-pic", role: "img", "aria-label": label,
                              style: `aspect-ratio:${shape.width}/${shape.height};${color ? `--tone:${color}` : ""}` },
                     this.canvas, this.overlay);
    /** @type {Float32Array | null} */
    this.values = null;
    /** @type {Spot} */
    this.cursor = { row: shape.height >> 1, column: shape.width >> 1 };
  }

  /** Change what a screen reader says. @param {string} words */
  describe(words) {
    this.element.setAttribute("aria-label", words);
  }

  /**
   * Show values (C,H,W). A value of -scale is black, of +scale white.
   * @param {ArrayLike<number> | null} values
   * @param {number} [scale]
   */
  show(values, scale = 1) {
    const { channels, height, width } = this.shape, area = height * width;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    if (!values) {
      this.values = null;
      return context.clearRect(0, 0, width, height);
    }
    this.values = values instanceof Float32Array ? values : Float32Array.from(values);
    const picture = context.createImageData(width, height), dots = picture.data;
    for (let p = 0; p < area; p++) {
      for (let c = 0; c < 3; c++) dots[4 * p + c] = 127.5 + (127.5 * values[channels === 3 ? c * area + p : p]) / scale;
      dots[4 * p + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  }

  /** Show a picture that the page already holds. @param {HTMLImageElement} source */
  copy(source) {
    const context = this.canvas.getContext("2d");
    const draw = () => context?.drawImage(source, 0, 0, this.shape.width, this.shape.height);
    if (source.complete) draw();
    else source.addEventListener("load", draw, { once: true });
  }

  /**
   * Outline P x P windows; on a torus what leaves on one side comes back on the other.
   * @param {{row: number, column: number, window: number, color?: string, wrap?: boolean}[]} boxes
   */
  outline(boxes) {
    const { height, width } = this.shape;
    const marks = [];
    for (const { row, column, window, color, wrap } of boxes) {
      const r = (window - 1) / 2;
      const shifts = wrap ? [-1, 0, 1] : [0];
      for (const a of shifts)
        for (const b of shifts) {
          const box = { x: column - r + b * width, y: row - r + a * height, width: window, height: window };
          if (box.x >= width || box.y >= height || box.x + window <= 0 || box.y + window <= 0) continue;
          marks.push(s("rect", { ...box, class: "elsl-halo" }),
                     s("rect", { ...box, class: "elsl-box", style: color ? `stroke:${color}` : "" }));
        }
      marks.push(s("rect", { x: column, y: row, width: 1, height: 1, class: "elsl-dot",
                             style: color ? `stroke:${color}` : "" }));
    }
    this.overlay.replaceChildren(...marks);
  }

  /** Lines between pixels, as [x1, y1, x2, y2]. @param {number[][]} lines */
  lines(lines) {
    const d = lines.map(([a, b, c, e]) => `M${a} ${b}L${c} ${e}`).join("");
    this.overlay.replaceChildren(s("path", { d, class: "elsl-seamhalo" }), s("path", { d, class: "elsl-seam" }));
  }

  /** @param {PointerEvent | MouseEvent} event @returns {Spot} */
  spot(event) {
    const box = this.element.getBoundingClientRect();
    const { height, width } = this.shape;
    /** @param {number} v @param {number} n */
    const inside = (v, n) => Math.max(0, Math.min(n - 1, Math.floor(v * n)));
    return { row: inside((event.clientY - box.top) / box.height, height),
             column: inside((event.clientX - box.left) / box.width, width) };
  }

  /**
   * Let the reader choose a pixel: by pointing, by a tap, or with the arrow keys.
   * @param {(spot: Spot, chosen: boolean) => void} act  chosen: clicked, tapped or Enter
   * @param {{hover?: boolean, leave?: () => void}} [options]
   */
  pointable(act, { hover = true, leave } = {}) {
    const e = this.element;
    e.tabIndex = 0;
    e.setAttribute("role", "application");
    e.setAttribute("aria-roledescription", "image whose pixels can be chosen with the arrow keys");
    e.classList.add("elsl-live");
    /** @param {Spot} spot @param {boolean} chosen */
    const go = (spot, chosen) => {
      this.cursor = spot;
      act(spot, chosen);
    };
    if (hover) e.addEventListener("pointermove", (/** @type {PointerEvent} */ m) => {
      if (m.pointerType !== "touch") go(this.spot(m), false);
    });
    e.addEventListener("click", (/** @type {MouseEvent} */ m) => go(this.spot(m), true));
    e.addEventListener("focus", () => e.matches(":focus-visible") && go(this.cursor, false));
    if (leave) e.addEventListener("pointerleave", leave);
    e.addEventListener("keydown", (/** @type {KeyboardEvent} */ k) => {
      const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[k.key];
      if (by) {
        k.preventDefault();
        const { height, width } = this.shape;
        go({ row: (this.cursor.row + by[0] + height) % height, column: (this.cursor.column + by[1] + width) % width },
           false);
      } else if (k.key === "Enter" || k.key === " ") {
        k.preventDefault();
        go(this.cursor, true);
      }
    });
  }

  /**
   * Let the reader paint: a stroke from pointer down to up, or Enter at the cursor of the arrow keys.
   * @param {(spot: Spot) => void} dab
   * @param {() => void} done
   */
  paintable(dab, done) {
    const e = this.element;
    e.classList.add("elsl-paint");
    this.pointable((spot, chosen) => {
      this.outline([{ ...spot, window: 1 }]);
      if (chosen && !down) {
        dab(spot);
        done();
      }
    }, { hover: true, leave: () => this.outline([]) });
    let down = false;
    e.addEventListener("pointerdown", (/** @type {PointerEvent} */ m) => {
      if (m.button !== 0) return;
      down = true;
      e.setPointerCapture(m.pointerId);
      dab(this.spot(m));
    });
    e.addEventListener("pointermove", (/** @type {PointerEvent} */ m) => {
      if (!down) return;
      for (const one of m.getCoalescedEvents?.() ?? [m]) dab(this.spot(one));
    });
    for (const end of ["pointerup", "pointercancel"])
      e.addEventListener(end, () => {
        if (!down) return;
        done();
        setTimeout(() => (down = false)); // after the click that follows
      });
  }
}

/** How bright noise is shown at a noise level, so that it fits the screen. @param {number} alpha @param {number} sigma */
export const range = (alpha, sigma) => Math.abs(alpha) + 1.6 * sigma;
