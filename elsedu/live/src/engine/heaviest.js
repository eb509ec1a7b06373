/** The patches that decide about one pixel, heaviest first: what the inspector shows. */
import { served } from "./served.js";

/**
 * @typedef {{distance: number, place: number, row: number, col: number}} Candidate
 * @typedef {{nearest: number, total: number, best: Candidate[]}} Candidates nearest distance, sum of the weights
 *   relative to it, and the nearest patches in order
 * @typedef {{image: number, row: number, col: number, weight: number}} Patch image (index in the set as it was
 *   given), row and column of the patch's centre
 */

/**
 * The nearest patches among the images at places question.begin to question.end - 1.
 * @param {{channels: number, height: number, width: number, values: Float32Array}} images
 * @param {import("./question.js").Checked} question
 * @param {readonly number[]} pixel row and column
 * @param {number} count
 * @returns {Candidates}
 */
export function candidates(images, question, [row, column], count) {
  const { begin, end, rate, reach } = question;
  const rows = positions(row, images.height, question), columns = positions(column, images.width, question);
  /** @type {Candidate[]} */
  let best = [];
  let nearest = Infinity, total = 0, last = Infinity;
  for (let place = begin; place < end; place++)
    for (const i of rows)
      for (const j of columns) {
        const limit = Math.max(nearest + reach / rate, last);
        const distance = distanceTo(images, question, place, row, column, i, j, limit);
        if (distance > limit) continue;
        if (distance < nearest) {
          total *= nearest === Infinity ? 0 : Math.exp((distance - nearest) * rate);
          nearest = distance;
        }
        total += Math.exp((nearest - distance) * rate);
        if (distance < last) {
          best.push({ distance, place, row: i, col: j });
          if (best.length === 4 * count) {
            best = nearestOf(best, count);
            last = best[count - 1].distance;
          }
        }
      }
  return { nearest, total, best: nearestOf(best, count) };
}

/** @param {Candidate[]} patches @param {number} count */
function nearestOf(patches, count) {
  return patches.sort((a, b) => a.distance - b.distance || a.place - b.place).slice(0, count);
}

/**
 * The heaviest patches of all, from what was found in parts of the images.
 * @param {Candidates[]} parts
 * @param {number} rate @param {number} count @param {Int32Array} order index of the image at each place
 * @returns {Patch[]}
 */
export function heaviestOf(parts, rate, count, order) {
  const nearest = Math.min(...parts.map((part) => part.nearest));
  const total = parts.reduce((sum, part) => sum + part.total * Math.exp((nearest - part.nearest) * rate), 0);
  return nearestOf(parts.flatMap((part) => part.best), count).map(({ distance, place, row, col }) => ({
    image: order[place], row, col, weight: Math.exp((nearest - distance) * rate) / total,
  }));
}

/**
 * The pixel itself, if there is such a pixel.
 * @param {readonly number[]} pixel @param {{height: number, width: number}} image
 */
export function checkPixel(pixel, { height, width }) {
  const [row, column] = pixel;
  if (!(Number.isInteger(row) && row >= 0 && row < height && Number.isInteger(column) && column >= 0 && column < width))
    throw new Error(`there is no pixel (${row}, ${column}) in an image of ${height} x ${width}`);
  return pixel;
}

/**
 * Where, along one axis, the patches stand that a pixel may be compared with.
 * @param {number} at @param {number} size @param {import("./question.js").Checked} question
 */
function positions(at, size, { equivariant, whole, circular, window }) {
  if (!equivariant) return [at];
  const all = Array.from({ length: size }, (_, i) => i);
  if (whole || circular) return all;
  return all.filter((i) => {
    const { begin, end } = served(size, (window - 1) / 2, i - at, false);
    return i >= begin && i < end;
  });
}

/**
 * Squared distance between the window of x around (row, column) and the patch around (i, j); stops beyond `limit`.
 * @param {{channels: number, height: number, width: number, values: Float32Array}} images
 * @param {import("./question.js").Checked} question @param {number} place
 * @param {number} row @param {number} column @param {number} i @param {number} j @param {number} limit
 */
function distanceTo({ channels, height, width, values }, { x, alpha, whole, circular, window }, place, row, column, i, j, limit) {
  const pixels = height * width, radius = (window - 1) / 2, wraps = whole || circular;
  const top = whole ? -row : -radius, bottom = whole ? height - 1 - row : radius;
  const left = whole ? -column : -radius, right = whole ? width - 1 - column : radius;
  let sum = 0;
  for (let di = top; di <= bottom && sum <= limit; di++) {
    if (!wraps && (row + di < 0 || row + di >= height)) continue;
    const own = ((row + di + height) % height) * width, theirs = ((i + di + height) % height) * width;
    for (let dj = left; dj <= right; dj++) {
      if (!wraps && (column + dj < 0 || column + dj >= width)) continue;
      const a = own + ((column + dj + width) % width), b = theirs + ((j + dj + width) % width);
      for (let c = 0; c < channels; c++) {
        const difference = x[c * pixels + a] - alpha * values[(place * channels + c) * pixels + b];
        sum += difference * difference;
      }
    }
  }
  return sum;
}
