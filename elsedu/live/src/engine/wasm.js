/**
 * The engine on the processor: the C++ kernel in WebAssembly, in several workers that share the images and merge.
 *
 * @typedef {import("./question.js").Images} Images
 * @typedef {import("./question.js").Question} Question
 * @typedef {import("./question.js").Checked} Checked
 * @typedef {import("./question.js").Field} Field
 * @typedef {import("./plain.js").Engine} Engine
 */
import { Hand } from "./hand.js";
import { checkPixel, heaviestOf } from "./heaviest.js";
import { Dictionary, FIELDS, checkQuestion } from "./question.js";
import { merge, stateOf, toPosterior } from "./state.js";

/** Images that the kernel takes at a time: a worker with fewer would have lanes to spare. */
const BLOCK = 8;

/** @implements {Engine} */
export class WasmEngine {
  kind = /** @type {const} */ ("wasm");

  /** @param {Dictionary} dictionary @param {Hand[]} hands */
  constructor(dictionary, hands) {
    this.dictionary = dictionary;
    this.hands = hands;
    const workers = hands[0].separate ? `${hands.length} worker${hands.length > 1 ? "s" : ""}` : "the page's own thread";
    this.why = `runs the C++ kernel as WebAssembly in ${workers}`;
  }

  /**
   * @param {Images & {workers?: number}} given
   * @param {{wasm: Uint8Array, workerSource: string}} assets the module, and the worker's script
   */
  static async create({ workers = defaultWorkers(), ...images }, { wasm, workerSource }) {
    const dictionary = new Dictionary(images), { channels, height, width, count, values } = dictionary;
    const size = channels * height * width, hands = Math.max(1, Math.min(workers, Math.ceil(count / BLOCK)));
    const start = (/** @type {boolean} */ separate) =>
      Promise.all(
        Array.from({ length: hands }, (_, k) => {
          const places = Array.from({ length: Math.ceil((count - k) / hands) }, (_, i) => k + i * hands);
          const own = new Float32Array(places.length * size);
          places.forEach((place, i) => own.set(values.subarray(place * size, (place + 1) * size), i * size));
          const share = { channels, height, width, count: places.length, values: own };
          return Hand.start(separate ? workerSource : null, { bytes: wasm, share }, separate ? [own.buffer] : []);
        }),
      );
    // Where a page may not make workers (a strict content policy), the kernel runs in slices on the page's thread
    const team = await start(true).catch(() => start(false));
    dictionary.values = new Float32Array(0); // the workers hold them
    return new WasmEngine(dictionary, team);
  }

  /** @param {Question & {fields?: readonly Field[]}} asked @returns {Promise<import("./state.js").Posterior>} */
  async posterior({ fields = FIELDS, signal, ...asked }) {
    const question = checkQuestion(this.dictionary, asked), { channels, pixels } = this.dictionary;
    const full = fields.some((field) => field !== "mean");
    const parts = await this.#all(question, signal, { full });
    const states = parts.map(({ numbers, k }) => {
      const state = stateOf(numbers, channels, pixels, question.whole);
      for (let p = 0; p < state.source.length; p++) {
        const place = Math.floor(state.source[p] / pixels);
        state.source[p] += (this.#place(place, k) - place) * pixels;
      }
      return state;
    });
    return toPosterior(states.reduce((a, b) => merge(a, b, question.rate)), this.dictionary, fields);
  }

  /** @param {Question & {pixel: readonly number[], count?: number}} asked */
  async heaviest({ pixel, count = 10, signal, ...asked }) {
    const question = checkQuestion(this.dictionary, asked);
    const parts = await this.#all(question, signal, { pixel: checkPixel(pixel, this.dictionary), count });
    for (const { candidates, k } of parts)
      for (const patch of candidates.best) patch.place = this.#place(patch.place, k);
    return heaviestOf(parts.map((part) => part.candidates), question.rate, count, this.dictionary.order);
  }

  dispose() {
    for (const hand of this.hands) hand.dispose();
  }

  /** Image i of worker k stands at place k + i * (number of workers). @param {number} i @param {number} k */
  #place(i, k) {
    return k + i * this.hands.length;
  }

  /**
   * The question to every worker that holds images of the class: their answers, with the number k of the worker.
   * @param {Checked} question @param {AbortSignal | undefined} signal @param {object} more
   * @returns {Promise<any[]>}
   */
  async #all(question, signal, more) {
    signal?.throwIfAborted();
    const n = this.hands.length;
    const asked = this.hands.map(async (hand, k) => {
      const begin = Math.max(0, Math.ceil((question.begin - k) / n)), end = Math.max(0, Math.ceil((question.end - k) / n));
      return begin < end ? { ...(await hand.ask({ question: { ...question, begin, end }, ...more }, signal)), k } : null;
    });
    return (await Promise.all(asked)).filter((part) => part !== null);
  }
}

/** All processors but the one that draws the page; more than eight bring nothing on sets of this size. */
function defaultWorkers() {
  return Math.max(1, Math.min(8, (navigator.hardwareConcurrency ?? 2) - 1));
}
