/**
 * The project's C++ kernel (posterior/native/shift.cpp) as WebAssembly, holding the images of one worker.
 *
 * @typedef {import("./question.js").Checked} Checked
 * @typedef {{channels: number, height: number, width: number, count: number, values: Float32Array}} Share
 *
 * @typedef {object} Exports what native/glue.cpp offers
 * @property {WebAssembly.Memory} memory
 * @property {() => void} _initialize
 * @property {(count: number, channels: number, height: number, width: number) => number} images
 * @property {() => number} query
 * @property {(first: number, count: number, whole: number, equivariant: number, circular: number, window: number,
 *   full: number, alpha: number, sigma: number, reach: number) => number} ask
 * @property {(begin: number, end: number) => void} add
 * @property {() => number} answer
 */
import { candidates } from "./heaviest.js";

/** Milliseconds of work after which a kernel looks up whether the question is still wanted. */
const SLICE = 12;

export class Kernel {
  /** @param {Exports} wasm @param {Share} share */
  constructor(wasm, { values, count, channels, height, width }) {
    this.wasm = wasm;
    this.images = { count, channels, height, width };
    this.at = wasm.images(count, channels, height, width);
    this.values.set(values);
    this.query = wasm.query();
  }

  /** @param {BufferSource} bytes the module @param {Share} share */
  static async create(bytes, share) {
    const { instance } = await WebAssembly.instantiate(bytes, {});
    const wasm = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));
    wasm._initialize();
    return new Kernel(wasm, share);
  }

  /** The images; made anew, since the memory may have moved. */
  get values() {
    const { count, channels, height, width } = this.images;
    return new Float32Array(this.wasm.memory.buffer, this.at, count * channels * height * width);
  }

  /**
   * The sums over images question.begin to question.end - 1: numbers for `stateOf`.
   * @param {Checked} question @param {boolean} full variance, entropy and ties too
   * @param {() => Promise<boolean>} wanted asked now and then; false: give up
   * @returns {Promise<Float64Array | null>} null if given up
   */
  async sums(question, full, wanted) {
    const { wasm } = this, { channels, height, width } = this.images, { begin, end, whole, equivariant, circular, window } = question;
    new Float32Array(wasm.memory.buffer, this.query, question.x.length).set(question.x);
    const blocks = wasm.ask(begin, end - begin, +whole, +equivariant, +circular, window, +full, question.alpha, question.sigma, question.reach);
    let since = performance.now();
    for (let block = 0; block < blocks; block++) {
      wasm.add(block, block + 1);
      if (performance.now() - since > SLICE) {
        if (!(await wanted())) return null;
        since = performance.now();
      }
    }
    const pixels = height * width, length = 5 * (whole ? 1 : pixels) + 2 * channels * pixels;
    const at = wasm.answer(); // before the buffer is looked up: it moves when memory grows
    return new Float64Array(wasm.memory.buffer, at, length).slice();
  }

  /** @param {Checked} question @param {readonly number[]} pixel @param {number} count */
  candidates(question, pixel, count) {
    return candidates({ ...this.images, values: this.values }, question, pixel, count);
  }
}
