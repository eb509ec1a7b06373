/** Sources by pointing: the window of a pixel, the training patch that it was drawn from, and the image it lies in. */
import { h, put } from "./dom.js";
import { called, image } from "./imageset.js";
import { Picture } from "./picture.js";

/** @typedef {import("./picture.js").Spot} Spot */
/** @typedef {import("./imageset.js").ImageSet} ImageSet */

/**
 * The P x P window of an image around a pixel; outside is zero (gray), or the other side of the torus.
 * @param {ArrayLike<number>} values (C, H, W)
 * @param {{channels: number, height: number, width: number}} shape
 * @param {Spot} spot
 * @param {number} window
 * @param {boolean} wrap
 */
export function crop(values, { channels, height, width }, { row, column }, window, wrap) {
  const patch = new Float32Array(channels * window * window), r = (window - 1) / 2;
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < window; i++)
      for (let j = 0; j < window; j++) {
        let y = row + i - r, x = column + j - r;
        if (wrap) [y, x] = [(y + height) % height, (x + width) % width];
        if (y >= 0 && x >= 0 && y < height && x < width)
          patch[(c * window + i) * window + j] = values[(c * height + y) * width + x];
      }
  return patch;
}

/**
 * The seams of a mosaic: lines between neighbouring pixels whose patches do not continue each other in one image.
 * A pixel that many patches fit equally (black among black) belongs to any piece: no seam there.
 * @param {Int32Array} source (H, W, 3)
 * @param {Uint8Array | null} tied (H, W)
 * @param {number} height
 * @param {number} width
 */
export function seams(source, tied, height, width) {
  /** @param {number} r @param {number} c */
  const piece = (r, c) => {
    const at = 3 * (r * width + c);
    return tied?.[r * width + c] ? "" : `${source[at]} ${source[at + 1] - r} ${source[at + 2] - c}`;
  };
  /** @param {string} a @param {string} b */
  const apart = (a, b) => a !== b && a !== "" && b !== "";
  const lines = [];
  for (let r = 0; r < height; r++)
    for (let c = 0; c < width; c++) {
      if (c + 1 < width && apart(piece(r, c), piece(r, c + 1))) lines.push([c + 1, r, c + 1, r + 1]);
      if (r + 1 < height && apart(piece(r, c), piece(r + 1, c))) lines.push([c, r + 1, c + 1, r + 1]);
    }
  return lines;
}

/** How many different training images the pixels come from, ties left out. @param {Int32Array} source @param {Uint8Array | null} tied */
export function origins(source, tied) {
  const images = new Set();
  for (let p = 0; 3 * p < source.length; p++) if (!tied?.[p]) images.add(source[3 * p]);
  return images.size;
}

export class SourcePanel {
  constructor() {
    this.pictures = h("div", { class: "elsl-chain" });
    this.words = h("p", { class: "elsl-words", "aria-live": "polite" });
    this.element = h("div", { class: "elsl-sources" }, this.pictures, this.words);
    this.clear();
  }

  clear(words = "Point at a pixel of an image, or tap it: its training patch appears here.") {
    put(this.pictures);
    this.words.textContent = words;
    this.element.classList.add("elsl-empty");
  }

  /**
   * @param {{set: ImageSet, frame: import("./film.js").Frame, spot: Spot, machine: string, border: string, color: string, name: string}} what
   */
  show({ set, frame, spot, machine, border, color, name }) {
    const source = /** @type {Int32Array} */ (frame.source);
    const at = 3 * (spot.row * set.width + spot.column);
    const [index, row, column] = source.subarray(at, at + 3);
    const whole = machine === "is" || machine === "es", wrap = border === "circular" && !whole;
    const training = image(set, index);
    const origin = new Picture(set, { label: `${called(set, index)}, with the patch framed`, color });
    origin.show(training);
    this.element.classList.remove("elsl-empty");
    if (whole) {
      origin.outline([{ row, column, window: 1, color }]);
      put(this.pictures, link("the pixel's source", origin));
      this.words.textContent = `${name} gives the whole image one source: ${called(set, index)}` +
        (machine === "es" ? ", moved." : ".");
      return;
    }
    const window = frame.window, small = { channels: set.channels, height: window, width: window };
    const seen = new Picture(small, { label: `the window of row ${spot.row + 1}, column ${spot.column + 1}`, color });
    seen.show(crop(frame.noisy, set, spot, window, wrap));
    seen.outline([{ row: (window - 1) / 2, column: (window - 1) / 2, window: 1, color }]);
    const patch = new Picture(small, { label: "the best training patch", color });
    patch.show(crop(training, set, { row, column }, window, wrap));
    patch.outline([{ row: (window - 1) / 2, column: (window - 1) / 2, window: 1, color }]);
    origin.outline([{ row, column, window, color, wrap }]);
    put(this.pictures, link("its window", seen), arrow(), link("best patch", patch), arrow(), link("found in", origin));
    const tied = frame.tied?.[spot.row * set.width + spot.column];
    const many = frame.effective ? frame.effective[spot.row * set.width + spot.column] : 0;
    this.words.textContent =
      `Row ${spot.row + 1}, column ${spot.column + 1} of ${name}, window ${window} × ${window}: drawn from ${called(set, index)}, ` +
      `row ${row + 1}, column ${column + 1}` + (tied ? ", one of several that fit equally" : "") +
      (many > 1.5 ? `; about ${many < 10 ? many.toFixed(1) : Math.round(many).toLocaleString("en")} patches count.` : "; it alone counts.");
  }
}

/** @param {string} words @param {Picture} picture */
const link = (words, picture) => h("div", { class: "elsl-linkbox" }, picture.element, h("span", {}, words));

const arrow = () => h("span", { class: "elsl-arrow", "aria-hidden": "true" }, "→");
