/**
 * What is asked of an engine, checked before any work: the training images, and one question about a noisy image.
 *
 * @typedef {"is" | "es" | "ls" | "els"} Machine
 * @typedef {"zero" | "circular"} Border
 * @typedef {"mean" | "variance" | "effective_patches" | "source"} Field
 *
 * @typedef {object} Images
 * @property {Uint8Array | Float32Array} images (count, channels, height, width); bytes 0 to 255 stand for [-1, 1]
 * @property {number} count
 * @property {number} channels
 * @property {number} height
 * @property {number} width
 * @property {ArrayLike<number> | null} [labels] class of each image
 *
 * @typedef {object} Question
 * @property {Float32Array} x (channels, height, width): the noisy image
 * @property {number} alpha signal level
 * @property {number} sigma standard deviation of the noise, positive
 * @property {Machine} machine
 * @property {number} [window] odd side (LS and ELS)
 * @property {Border} [border] (LS and ELS)
 * @property {number | null} [label] restricts the dictionary to one class
 * @property {AbortSignal} [signal]
 */
import { checkWindow } from "../scales.js";

export const FIELDS = /** @type {Field[]} */ (["mean", "variance", "effective_patches", "source"]);

/** The dictionary as all engines hold it: images as numbers, those of a class side by side. */
export class Dictionary {
  /** @param {Images} given */
  constructor({ images, count, channels, height, width, labels = null }) {
    const size = channels * height * width;
    if (!(count > 0) || images.length !== count * size)
      throw new Error(`${count} images of ${channels} x ${height} x ${width} need ${count * size} values, got ${images.length}`);
    if (labels && labels.length !== count) throw new Error(`${count} images, but ${labels.length} labels`);
    this.count = count;
    this.channels = channels;
    this.height = height;
    this.width = width;
    /** order[i] is the index, in the set as it was given, of the image that stands at place i. */
    this.order = Int32Array.from({ length: count }, (_, i) => i);
    if (labels) this.order.sort((a, b) => labels[a] - labels[b] || a - b);
    /** @type {Map<number, {begin: number, end: number}>} places of the images of each class */
    this.classes = new Map();
    if (labels)
      this.order.forEach((image, place) => {
        const range = this.classes.get(labels[image]);
        if (range) range.end = place + 1;
        else this.classes.set(labels[image], { begin: place, end: place + 1 });
      });
    this.values = new Float32Array(count * size);
    for (let place = 0; place < count; place++) {
      const from = this.order[place] * size, to = place * size;
      if (images instanceof Float32Array) this.values.set(images.subarray(from, from + size), to);
      else for (let i = 0; i < size; i++) this.values[to + i] = Math.fround(2 * images[from + i] - 255) / 255;
    }
  }

  get pixels() {
    return this.height * this.width;
  }

  /** Places of the images of a class, or of all. @param {number | null} [label] */
  range(label) {
    if (label === null || label === undefined) return { begin: 0, end: this.count };
    const range = this.classes.get(label);
    if (!range) {
      const known = [...this.classes.keys()];
      throw new Error(known.length ? `there is no class ${label}; known: ${known.join(", ")}` : "these images have no labels");
    }
    return range;
  }
}

/**
 * The question with every default filled in, and what follows from it.
 * @param {Dictionary} dictionary
 * @param {Question} question
 */
export function checkQuestion(dictionary, { x, alpha, sigma, machine, window = 1, border = "zero", label = null }) {
  const { channels, height, width } = dictionary, size = channels * height * width;
  if (x.length !== size) throw new Error(`x has ${x.length} values; the images have ${channels} x ${height} x ${width}`);
  for (let i = 0; i < size; i++) if (!Number.isFinite(x[i])) throw new Error(`x holds ${x[i]} at place ${i}`);
  if (!(sigma > 0) || !Number.isFinite(alpha)) throw new Error(`sigma must be positive and alpha finite, got ${sigma} and ${alpha}`);
  if (!["is", "es", "ls", "els"].includes(machine)) throw new Error(`unknown machine "${machine}"; known: is, es, ls, els`);
  if (border !== "zero" && border !== "circular") throw new Error(`unknown border "${border}"; known: zero, circular`);
  const whole = machine === "is" || machine === "es", equivariant = machine === "es" || machine === "els";
  if (!whole) checkWindow(window, { height, width, border });
  const range = dictionary.range(label), patches = (range.end - range.begin) * (equivariant ? height * width : 1);
  return {
    x: x instanceof Float32Array ? x : Float32Array.from(x),
    alpha,
    sigma,
    machine,
    window: whole ? 0 : window,
    circular: border === "circular",
    whole,
    equivariant,
    ...range,
    /** a squared distance d weighs exp(-rate d) */
    rate: 0.5 / (sigma * sigma),
    /** weights below exp(-reach) of the largest are left out: together they are less than 1e-7 */
    reach: Math.log(patches) + 16,
  };
}

/** @typedef {ReturnType<typeof checkQuestion>} Checked */
