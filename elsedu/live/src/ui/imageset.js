/** The set of training images in the page: bytes, labels, and the nearest image to a sample. */

/**
 * @typedef {object} ImageSet
 * @property {string} name
 * @property {string} title
 * @property {number} count
 * @property {number} channels
 * @property {number} height
 * @property {number} width
 * @property {Uint8Array} bytes  count x channels x height x width, 0..255 for -1..1
 * @property {Uint8Array | null} labels
 * @property {string[] | null} classes  names of the labels 0, 1, ...
 */

/** @param {string} text @returns {Uint8Array} */
export function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Undo zlib's deflate with the browser's own decoder. @param {Uint8Array} bytes @returns {Promise<Uint8Array>} */
async function inflate(bytes) {
  if (typeof DecompressionStream === "undefined")
    throw new Error("this browser cannot unpack the images (it is older than 2023)");
  const stream = new Blob([/** @type {BlobPart} */ (bytes)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The image set of a payload written by elsedu.live.payload. @param {any} payload @returns {Promise<ImageSet>} */
export async function unpack(payload) {
  if (payload.bytes instanceof Uint8Array) return payload;
  const bytes = await inflate(fromBase64(payload.pixels));
  const { name, title, count, channels, height, width, classes } = payload;
  if (bytes.length !== count * channels * height * width) throw new Error(`the images of "${name}" are incomplete`);
  const labels = payload.labels ? fromBase64(payload.labels) : null;
  return { name, title, count, channels, height, width, bytes, labels, classes: classes ?? null };
}

/** Values per image. @param {ImageSet} set */
export const size = (set) => set.channels * set.height * set.width;

/** One training image as values in [-1, 1]. @param {ImageSet} set @param {number} index @returns {Float32Array} */
export function image(set, index) {
  const n = size(set);
  return Float32Array.from(set.bytes.subarray(index * n, (index + 1) * n), (v) => v / 127.5 - 1);
}

/**
 * The training image nearest to x, in squared distance.
 * @param {ImageSet} set
 * @param {Float32Array} x
 * @param {number | null} [label]  only among images of this class
 * @returns {{index: number, distance: number}}  distance: root mean square difference a value
 */
export function nearest(set, x, label = null) {
  const n = size(set);
  let best = Infinity, index = -1;
  for (let i = 0; i < set.count; i++) {
    if (label !== null && set.labels && set.labels[i] !== label) continue;
    let sum = 0;
    for (let j = 0, at = i * n; j < n && sum < best; j++, at++) {
      const d = x[j] - (set.bytes[at] / 127.5 - 1);
      sum += d * d;
    }
    if (sum < best) [best, index] = [sum, i];
  }
  return { index, distance: Math.sqrt(best / n) };
}

/** What a training image is called: its number and, if known, its class. @param {ImageSet} set @param {number} index */
export function called(set, index) {
  if (!set.labels) return `training image ${index}`;
  const label = set.labels[index];
  const name = set.classes?.[label] ?? String(label);
  return `training image ${index} (${/^\d$/.test(name) ? `a ${name}` : name})`;
}
