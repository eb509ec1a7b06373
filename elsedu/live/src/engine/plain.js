/**
 * The engine in plain JavaScript: the yardstick of the other two, and what runs where there is neither.
 *
 * Fix a shift (dy, dx) between the noisy image x and a training image y. The squared difference
 * D(q) = (x(q - shift) - alpha y(q))^2, summed over a window around q, is the squared distance between the window
 * of x around p = q - shift and the patch of y around q, for all pixels at once. A machine is a loop over shifts:
 * squares, sums over rows, sums over columns, weights. The C++ source (posterior/native/shift.cpp) does the same.
 *
 * @typedef {import("./question.js").Machine} Machine
 * @typedef {import("./question.js").Border} Border
 * @typedef {import("./question.js").Field} Field
 * @typedef {import("./question.js").Images} Images
 * @typedef {import("./question.js").Question} Question
 * @typedef {import("./question.js").Checked} Checked
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Posterior} Posterior
 *
 * @typedef {import("./heaviest.js").Patch} Patch
 *
 * @typedef {object} Engine what every processor offers
 * @property {"webgpu" | "wasm" | "js"} kind
 * @property {string} why
 * @property {(question: Question & {fields?: readonly Field[]}) => Promise<Posterior>} posterior
 * @property {(question: Question & {pixel: readonly number[], count?: number}) => Promise<Patch[]>} heaviest
 * @property {() => void} dispose
 */
import { Dictionary, checkQuestion } from "./question.js";
import { candidates, checkPixel, heaviestOf } from "./heaviest.js";
import { served } from "./served.js";
import { SAME, emptyState, toPosterior } from "./state.js";

/**
 * Add one patch to the sums of pixel p; channel c of its centre pixel is y[at + c * pixels].
 * @param {State} state @param {Checked} question @param {number} p @param {number} distance @param {number} source
 * @param {Float32Array} y @param {number} at @param {number} pixels @param {number} channels
 */
function addPatch(state, question, p, distance, source, y, at, pixels, channels) {
  const { rate, reach } = question, { nearest, s, u, v, v2 } = state, old = nearest[p];
  if ((distance - old) * rate > reach) return;
  if (distance < old) {
    const drop = old === Infinity ? -Infinity : (distance - old) * rate, scale = Math.exp(drop);
    u[p] = scale === 0 ? 0 : scale * (u[p] + s[p] * drop);
    s[p] *= scale;
    for (let c = 0; c < channels; c++) {
      v[c * pixels + p] *= scale;
      v2[c * pixels + p] *= scale;
    }
    state.tied[p] = old <= distance * SAME + 1e-30 ? 1 : 0;
    nearest[p] = distance;
    state.source[p] = source;
  } else if (distance <= old * SAME + 1e-30) {
    state.tied[p] = 1;
    if (distance === old && source < state.source[p]) state.source[p] = source;
  }
  const log = (nearest[p] - distance) * rate, weight = Math.exp(log);
  s[p] += weight;
  u[p] += weight * log;
  for (let c = 0; c < channels; c++) {
    const value = y[at + c * pixels];
    v[c * pixels + p] += weight * value;
    v2[c * pixels + p] += weight * value * value;
  }
}

/** LS and ELS: add the patches of the image at `place`. @param {Dictionary} dictionary @param {Checked} question @param {number} place @param {State} state @param {Float64Array[]} scratch */
function addWindows(dictionary, question, place, state, scratch) {
  const { channels, height, width, values: y } = dictionary, { x, alpha, window, circular, equivariant } = question;
  const pixels = height * width, first = place * channels * pixels, radius = (window - 1) / 2, [squares, rowSums] = scratch;
  const reachY = !equivariant ? 0 : circular ? height - 1 : Math.max(0, height - window);
  const reachX = !equivariant ? 0 : circular ? width - 1 : Math.max(0, width - window);
  for (let dy = circular ? 0 : -reachY; dy <= reachY; dy++) {
    const rows = served(height, radius, dy, circular);
    for (let dx = circular ? 0 : -reachX; dx <= reachX; dx++) {
      const columns = served(width, radius, dx, circular);
      for (let row = 0; row < height; row++) {
        const opposite = circular ? (row - dy + height) % height : row - dy;
        if (opposite < 0 || opposite >= height) continue;
        for (let column = 0; column < width; column++) {
          const beside = circular ? (column - dx + width) % width : column - dx;
          if (beside < 0 || beside >= width) continue;
          let sum = 0;
          for (let c = 0; c < channels; c++) {
            const difference = x[c * pixels + opposite * width + beside] - alpha * y[first + c * pixels + row * width + column];
            sum += difference * difference;
          }
          squares[row * width + column] = sum;
        }
      }
      for (let row = rows.begin; row < rows.end; row++) {
        rowSums.fill(0);
        for (let i = row - radius; i <= row + radius; i++) {
          if (!circular && (i < 0 || i >= height)) continue;
          const from = ((i + height) % height) * width;
          for (let column = 0; column < width; column++) rowSums[column] += squares[from + column];
        }
        const opposite = (row - dy + height) % height;
        for (let column = columns.begin; column < columns.end; column++) {
          let distance = 0;
          for (let j = column - radius; j <= column + radius; j++)
            if (circular || (j >= 0 && j < width)) distance += rowSums[(j + width) % width];
          const p = opposite * width + ((column - dx + width) % width), q = row * width + column;
          addPatch(state, question, p, distance, place * pixels + q, y, first + q, pixels, channels);
        }
      }
    }
  }
}

/** IS and ES: add the image at `place` (ES: all its cyclic shifts). @param {Dictionary} dictionary @param {Checked} question @param {number} place @param {State} state */
function addWhole(dictionary, question, place, state) {
  const { channels, height, width, values: y } = dictionary, { x, alpha, rate, reach, equivariant } = question;
  const pixels = height * width, first = place * channels * pixels;
  for (let dy = 0; dy < (equivariant ? height : 1); dy++)
    for (let dx = 0; dx < (equivariant ? width : 1); dx++) {
      const cutoff = state.nearest[0] + reach / rate, source = place * pixels + dy * width + dx;
      let distance = 0;
      for (let c = 0; c < channels && distance <= cutoff; c++)
        for (let row = 0; row < height; row++) {
          const from = first + c * pixels + ((row + dy) % height) * width, to = c * pixels + row * width;
          for (let column = 0; column < width; column++) {
            const difference = x[to + column] - alpha * y[from + (column + dx) % width];
            distance += difference * difference;
          }
        }
      if (distance > cutoff) continue;
      const old = state.nearest[0];
      if (distance < old) {
        const drop = old === Infinity ? -Infinity : (distance - old) * rate, scale = Math.exp(drop);
        state.u[0] = scale === 0 ? 0 : scale * (state.u[0] + state.s[0] * drop);
        state.s[0] *= scale;
        for (let i = 0; i < state.v.length; i++) {
          state.v[i] *= scale;
          state.v2[i] *= scale;
        }
        state.tied[0] = old <= distance * SAME + 1e-30 ? 1 : 0;
        state.nearest[0] = distance;
        state.source[0] = source;
      } else if (distance <= old * SAME + 1e-30) state.tied[0] = 1;
      const log = (state.nearest[0] - distance) * rate, weight = Math.exp(log);
      state.s[0] += weight;
      state.u[0] += weight * log;
      for (let c = 0, i = 0; c < channels; c++)
        for (let row = 0; row < height; row++) {
          const from = first + c * pixels + ((row + dy) % height) * width;
          for (let column = 0; column < width; column++, i++) {
            const value = y[from + (column + dx) % width];
            state.v[i] += weight * value;
            state.v2[i] += weight * value * value;
          }
        }
    }
}

/**
 * Add the images at places begin to end - 1 to the state.
 * @param {Dictionary} dictionary @param {Checked} question @param {State} state @param {number} begin @param {number} end
 */
export function addImages(dictionary, question, state, begin, end) {
  const scratch = [new Float64Array(dictionary.pixels), new Float64Array(dictionary.width)];
  for (let place = begin; place < end; place++)
    if (question.whole) addWhole(dictionary, question, place, state);
    else addWindows(dictionary, question, place, state, scratch);
}

/** Lets the page breathe. */
const pause = () => new Promise((resolve) => setTimeout(resolve));
/** Milliseconds of work between two breaths. */
const SLICE = 12;

/** @implements {Engine} */
export class PlainEngine {
  kind = /** @type {const} */ ("js");

  /** @param {Images} images @param {string} [why] */
  constructor(images, why = "runs in plain JavaScript") {
    this.dictionary = new Dictionary(images);
    this.why = why;
  }

  /** @param {Question & {fields?: readonly Field[]}} asked */
  async posterior({ fields, signal, ...asked }) {
    const question = checkQuestion(this.dictionary, asked), { channels, pixels } = this.dictionary;
    const state = emptyState(channels, pixels, question.whole);
    let since = performance.now();
    for (let place = question.begin; place < question.end; place++) {
      signal?.throwIfAborted();
      addImages(this.dictionary, question, state, place, place + 1);
      if (performance.now() - since > SLICE) {
        await pause();
        since = performance.now();
      }
    }
    signal?.throwIfAborted();
    return toPosterior(state, this.dictionary, fields);
  }

  /** @param {Question & {pixel: readonly number[], count?: number}} asked */
  async heaviest({ pixel, count = 10, signal, ...asked }) {
    signal?.throwIfAborted();
    const question = checkQuestion(this.dictionary, asked), { order } = this.dictionary;
    const found = candidates(this.dictionary, question, checkPixel(pixel, this.dictionary), count);
    return heaviestOf([found], question.rate, count, order);
  }

  dispose() {}
}
