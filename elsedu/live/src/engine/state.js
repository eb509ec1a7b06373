/**
 * The sum over patches as a state that merges: the twin of Python's elsedu.posterior.state.
 *
 * Weights are relative to the nearest patch, w = exp(-rate (distance - nearest)). Two states are merged by
 * rescaling both to the nearer of the two, so images can be shared out among workers.
 */
import { FIELDS } from "./question.js";

/** @typedef {import("./question.js").Field} Field */

/** Two distances closer than this factor are a tie: the rounding of single precision. */
export const SAME = 1.000001;

/**
 * Sums over the patches seen so far, at each pixel; for IS and ES one number in place of (height, width).
 * @typedef {object} State
 * @property {Float64Array} nearest smallest squared distance (Infinity: no patch yet)
 * @property {Float64Array} s sum of the weights
 * @property {Float64Array} u sum of weight times log weight
 * @property {Float64Array} v (channels, height, width): sum of weight times centre pixel
 * @property {Float64Array} v2 the same of the squares
 * @property {Float64Array} source nearest patch: place of its image times pixels + position (IS, ES: + shift)
 * @property {Float64Array} tied 1 where another patch is as near, within rounding
 */

/**
 * A State whose numbers lie in one array, as they come from a worker.
 * @param {Float64Array} numbers nearest, s, u, source, tied, v, v2 one after the other
 * @param {number} channels @param {number} pixels @param {boolean} whole
 * @returns {State}
 */
export function stateOf(numbers, channels, pixels, whole) {
  const n = whole ? 1 : pixels;
  let begin = 0;
  const take = (/** @type {number} */ length) => numbers.subarray(begin, (begin += length));
  const [nearest, s, u, source, tied] = [take(n), take(n), take(n), take(n), take(n)];
  return { nearest, s, u, source, tied, v: take(channels * pixels), v2: take(channels * pixels) };
}

/** The neutral element of `merge`. @param {number} channels @param {number} pixels @param {boolean} whole @returns {State} */
export function emptyState(channels, pixels, whole) {
  const state = stateOf(new Float64Array(5 * (whole ? 1 : pixels) + 2 * channels * pixels), channels, pixels, whole);
  state.nearest.fill(Infinity);
  return state;
}

/** Add the patches of `b` to `a`, which are others. @param {State} a @param {State} b @param {number} rate */
export function merge(a, b, rate) {
  const n = a.s.length, values = a.v.length, pixels = n === 1 ? values : n;
  for (let p = 0; p < n; p++) {
    if (b.nearest[p] === Infinity) continue;
    const dropA = -rate * Math.max(0, a.nearest[p] - b.nearest[p]), dropB = -rate * Math.max(0, b.nearest[p] - a.nearest[p]);
    const scaleA = Math.exp(dropA), scaleB = Math.exp(dropB);
    a.u[p] = scaleA * (a.u[p] + (scaleA && a.s[p] * dropA)) + scaleB * (b.u[p] + (scaleB && b.s[p] * dropB));
    a.s[p] = scaleA * a.s[p] + scaleB * b.s[p];
    for (let i = n === 1 ? 0 : p; i < values; i += n === 1 ? 1 : pixels) {
      a.v[i] = scaleA * a.v[i] + scaleB * b.v[i];
      a.v2[i] = scaleA * a.v2[i] + scaleB * b.v2[i];
    }
    const least = Math.min(a.nearest[p], b.nearest[p]), tie = Math.max(a.nearest[p], b.nearest[p]) <= least * SAME + 1e-30;
    const takeB = b.nearest[p] < a.nearest[p];
    a.tied[p] = tie ? 1 : takeB ? b.tied[p] : a.tied[p];
    if (takeB) a.source[p] = b.source[p];
    a.nearest[p] = least;
  }
  return a;
}

/**
 * What a machine believes about the clean pixel at every position, given the noisy window around it.
 * @typedef {object} Posterior fields that were not asked for are missing
 * @property {Float32Array} mean (channels, height, width): the denoised image
 * @property {Float32Array} [variance] (channels, height, width)
 * @property {Float32Array} [effective] (height, width): effective number of patches, exp of the weights' entropy
 * @property {Int32Array} [source] (height, width, 3): image, row and column of the heaviest patch
 * @property {Uint8Array} [tied] (height, width): 1 where another patch is as heavy, within rounding
 */

/**
 * @param {State} state
 * @param {import("./question.js").Dictionary} dictionary
 * @param {readonly Field[]} [fields]
 * @returns {Posterior}
 */
export function toPosterior(state, { height, width, order }, fields = FIELDS) {
  const pixels = height * width, whole = state.s.length === 1;
  const s = (/** @type {number} */ i) => state.s[whole ? 0 : i % pixels];
  /** @type {Posterior} */
  const post = { mean: Float32Array.from(state.v, (v, i) => v / s(i)) };
  if (fields.includes("variance"))
    post.variance = Float32Array.from(state.v2, (v2, i) => Math.max(0, v2 / s(i) - (state.v[i] / s(i)) ** 2));
  if (fields.includes("effective_patches"))
    post.effective = Float32Array.from({ length: pixels }, (_, p) =>
      Math.max(1, s(p) * Math.exp(-state.u[whole ? 0 : p] / s(p))),
    );
  if (fields.includes("source")) {
    post.source = new Int32Array(3 * pixels);
    post.tied = new Uint8Array(pixels);
    for (let p = 0; p < pixels; p++) {
      const found = state.source[whole ? 0 : p], at = found % pixels;
      let row = Math.floor(at / width), column = at % width;
      if (whole) {  // a shift, the same for every pixel: the position it points at
        row = (row + Math.floor(p / width)) % height;
        column = (column + (p % width)) % width;
      }
      post.source.set([order[Math.floor(found / pixels)], row, column], 3 * p);
      post.tied[p] = state.tied[whole ? 0 : p];
    }
  }
  return post;
}
