/** The patches that decide about one pixel, heaviest first: what the inspector shows. */
import { served } from "./plain.js";

/**
 * @param {import("./question.js").Dictionary} dictionary
 * @param {import("./question.js").Checked} question
 * @param {readonly number[]} pixel row and column
 * @param {number} [count]
 * @returns {import("./plain.js").Patch[]} image (index in the set as it was given), row and column of the patch's centre, weight
 */
export function heaviest(dictionary, question, pixel, count = 10) {
  const { height, width, pixels, order } = dictionary, [row, column] = pixel;
  if (!(row >= 0 && row < height && column >= 0 && column < width))
    throw new Error(`there is no pixel (${row}, ${column}) in an image of ${height} x ${width}`);
  const { equivariant, begin, end, rate, reach } = question;
  const rows = positions(row, height, question), columns = positions(column, width, question);
  /** @type {{distance: number, place: number, row: number, col: number}[]} */
  let best = [];
  let nearest = Infinity, total = 0, last = Infinity;
  for (let place = begin; place < end; place++)
    for (const i of rows)
      for (const j of columns) {
        const limit = Math.max(nearest + reach / rate, last);
        const distance = distanceTo(dictionary, question, place, row, column, i, j, limit);
        if (distance > limit) continue;
        if (distance < nearest) {
          total *= nearest === Infinity ? 0 : Math.exp((distance - nearest) * rate);
          nearest = distance;
        }
        total += Math.exp((nearest - distance) * rate);
        if (distance < last || best.length < count) {
          best.push({ distance, place, row: i, col: j });
          if (best.length >= 4 * count) best = heads(best, count);
          if (best.length === count) last = heads(best, count)[count - 1].distance;
        }
      }
  return heads(best, count).map(({ distance, place, row, col }) => ({
    image: order[place],
    row,
    col,
    weight: Math.exp((nearest - distance) * rate) / total,
  }));
}

/** @template {{distance: number, place: number}} T @param {T[]} patches @param {number} count */
function heads(patches, count) {
  return patches.sort((a, b) => a.distance - b.distance || a.place - b.place).slice(0, count);
}

/**
 * Where, along one axis, the patches stand that a pixel may be compared with.
 * @param {number} at @param {number} size @param {import("./question.js").Checked} question
 */
function positions(at, size, { equivariant, whole, circular, window }) {
  if (!equivariant) return [at];
  const radius = (window - 1) / 2, all = Array.from({ length: size }, (_, i) => i);
  if (whole || circular) return all;
  return all.filter((i) => {
    const { begin, end } = served(size, radius, i - at, false);
    return i >= begin && i < end;
  });
}

/**
 * Squared distance between the window of x around (row, column) and the patch around (i, j); stops beyond `limit`.
 * @param {import("./question.js").Dictionary} dictionary @param {import("./question.js").Checked} question
 * @param {number} place @param {number} row @param {number} column @param {number} i @param {number} j @param {number} limit
 */
function distanceTo({ channels, height, width, pixels, values }, { x, alpha, whole, circular, window }, place, row, column, i, j, limit) {
  const wraps = whole || circular, top = whole ? -row : -(window - 1) / 2, left = whole ? -column : -(window - 1) / 2;
  const bottom = whole ? height - 1 - row : -top, right = whole ? width - 1 - column : -left;
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
