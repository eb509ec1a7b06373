/**
 * The engine on the reader's graphics processor (kernel.wgsl): LS and ELS, for sets too large for the workers.
 *
 * IS, ES and the list of a pixel's patches come from the WebAssembly engine, which is made when it is first asked; it
 * also takes over if the device is lost.
 *
 * @typedef {import("./question.js").Images} Images
 * @typedef {import("./question.js").Question} Question
 * @typedef {import("./question.js").Checked} Checked
 * @typedef {import("./question.js").Field} Field
 * @typedef {import("./plain.js").Engine} Engine
 * @typedef {import("./state.js").State} State
 */
import { Dictionary, FIELDS, checkQuestion } from "./question.js";
import { emptyState, merge, toPosterior } from "./state.js";

/** Milliseconds that one dispatch may take: the processor draws the reader's screen too. */
const SLICE = 30;
/** Workgroups that keep a processor busy. */
const BUSY = 2048;
/** Members of a workgroup, as in kernel.wgsl. */
const MEMBERS = 64;
const QUESTION_BYTES = 48;

/** @implements {Engine} */
export class WebGPUEngine {
  kind = /** @type {"webgpu" | "wasm"} */ ("webgpu");

  /**
   * @param {Dictionary} dictionary @param {GPUDevice} device @param {GPUComputePipeline} pipeline
   * @param {string} why @param {() => Promise<Engine>} makeHelper
   */
  constructor(dictionary, device, pipeline, why, makeHelper) {
    this.dictionary = dictionary;
    this.device = device;
    this.pipeline = pipeline;
    this.why = why;
    this.makeHelper = makeHelper;
    /** @type {Promise<Engine> | null} */
    this.made = null;
    this.queue = Promise.resolve();
    /** Images a dispatch; follows the time that the last one took. */
    this.portion = 8;
    const { values, pixels, channels } = dictionary, splits = Math.ceil(BUSY / pixels);
    const buffer = (/** @type {number} */ size, /** @type {number} */ usage) => device.createBuffer({ size, usage });
    const { STORAGE, UNIFORM, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
    const sums = 4 * splits * pixels * (4 + 2 * channels), sources = 4 * splits * pixels;
    this.splits = splits;
    this.buffers = {
      question: buffer(QUESTION_BYTES, UNIFORM | COPY_DST),
      x: buffer(4 * channels * pixels, STORAGE | COPY_DST),
      dictionary: buffer(4 * values.length, STORAGE | COPY_DST),
      sums: buffer(sums, STORAGE | COPY_SRC),
      sources: buffer(sources, STORAGE | COPY_SRC),
      answer: buffer(sums + sources, MAP_READ | COPY_DST),
    };
    device.queue.writeBuffer(this.buffers.dictionary, 0, /** @type {Float32Array<ArrayBuffer>} */ (values));
    dictionary.values = new Float32Array(0); // the device holds them
    const { question, x, dictionary: images } = this.buffers;
    this.bindings = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [question, x, images, this.buffers.sums, this.buffers.sources].map((one, binding) => ({ binding, resource: { buffer: one } })),
    });
    device.lost.then(({ message }) => this.#giveUp(message || "the device was lost"));
  }

  /**
   * @param {Images} images @param {boolean} hardware refuse an adapter that is a program on the ordinary processor
   * @param {string} shader the text of kernel.wgsl @param {(images: Images) => Promise<Engine>} makeHelper
   * @returns {Promise<WebGPUEngine>}
   */
  static async create(images, hardware, shader, makeHelper) {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) throw new Error("this browser offers no WebGPU");
    const name = describe(adapter.info);
    if (hardware && isSoftware(adapter.info)) throw new Error(`WebGPU runs here without a graphics processor (${name})`);
    const bytes = 4 * images.count * images.channels * images.height * images.width;
    const { maxStorageBufferBindingSize: most, maxBufferSize } = adapter.limits;
    if (bytes > most) throw new Error(`the images need ${bytes} bytes, more than the ${most} that WebGPU offers here`);
    const device = await adapter.requestDevice({
      requiredLimits: { maxStorageBufferBindingSize: most, maxBufferSize: Math.max(maxBufferSize, bytes) },
    });
    const code = shader.replace("const channels = 1u", `const channels = ${images.channels}u`);
    const module = device.createShaderModule({ code }), { messages } = await module.getCompilationInfo();
    const wrong = messages.find(({ type }) => type === "error");
    if (wrong) throw new Error(`WebGPU does not compile the kernel (line ${wrong.lineNum}: ${wrong.message})`);
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "answer" } });
    return new WebGPUEngine(new Dictionary(images), device, pipeline, `runs on WebGPU (${name})`, () => makeHelper(images));
  }

  /** @param {Question & {fields?: readonly Field[]}} asked @returns {Promise<import("./state.js").Posterior>} */
  async posterior({ fields = FIELDS, signal, ...asked }) {
    const question = checkQuestion(this.dictionary, asked);
    signal?.throwIfAborted();
    if (question.whole || this.kind === "wasm") return (await this.#helper()).posterior({ ...asked, fields, signal });
    const turn = this.queue.then(() => this.#sums(question, signal));
    this.queue = turn.then(() => {}, () => {});
    try {
      return toPosterior(await turn, this.dictionary, fields);
    } catch (error) {
      signal?.throwIfAborted();
      this.#giveUp(String(error));
      return (await this.#helper()).posterior({ ...asked, fields, signal });
    }
  }

  /** @param {Question & {pixel: readonly number[], count?: number}} asked */
  async heaviest(asked) {
    return (await this.#helper()).heaviest(asked);
  }

  dispose() {
    this.device.destroy();
    this.made?.then((engine) => engine.dispose());
  }

  /** @returns {Promise<Engine>} */
  #helper() {
    return (this.made ??= this.makeHelper());
  }

  /** @param {string} reason */
  #giveUp(reason) {
    if (this.kind === "wasm") return;
    this.kind = "wasm";
    this.why = `runs as WebAssembly, since WebGPU failed (${reason})`;
  }

  /** All images of the question, a portion at a time. @param {Checked} question @param {AbortSignal | undefined} signal */
  async #sums(question, signal) {
    const { channels, pixels } = this.dictionary, { device, buffers } = this;
    const state = emptyState(channels, pixels, false);
    device.queue.writeBuffer(buffers.x, 0, /** @type {Float32Array<ArrayBuffer>} */ (question.x));
    for (let first = question.begin; first < question.end; ) {
      signal?.throwIfAborted();
      const images = Math.min(this.portion, question.end - first), since = performance.now();
      for (const part of await this.#dispatch(question, first, images)) merge(state, part, question.rate);
      // a slow answer may be the fault of other programs: half as many, not fewer
      const factor = Math.min(4, Math.max(0.5, SLICE / Math.max(1, performance.now() - since)));
      this.portion = Math.max(1, Math.min(this.dictionary.count, Math.round(this.portion * factor)));
      first += images;
    }
    return state;
  }

  /** @param {Checked} question @param {number} first @param {number} images @returns {Promise<State[]>} one for each split */
  async #dispatch({ alpha, rate, reach, window, circular, equivariant }, first, images) {
    const { device, buffers, dictionary } = this, { channels, height, width, pixels } = dictionary;
    // no more workgroups than have a patch for each of their members
    const splits = Math.min(this.splits, Math.ceil((images * (equivariant ? pixels : 1)) / MEMBERS));
    const sumsSize = 4 * splits * pixels * (4 + 2 * channels), sourcesSize = 4 * splits * pixels;
    const bytes = new ArrayBuffer(QUESTION_BYTES);
    new Float32Array(bytes).set([alpha, rate, reach]);
    new Uint32Array(bytes).set([first, images, splits, height, width, (window - 1) / 2, +circular, +equivariant], 3);
    device.queue.writeBuffer(buffers.question, 0, bytes);
    const encoder = device.createCommandEncoder(), pass = encoder.beginComputePass();
    pass.setPipeline(this.pipeline);
    pass.setBindGroup(0, this.bindings);
    pass.dispatchWorkgroups(pixels, splits);
    pass.end();
    encoder.copyBufferToBuffer(buffers.sums, 0, buffers.answer, 0, sumsSize);
    encoder.copyBufferToBuffer(buffers.sources, 0, buffers.answer, sumsSize, sourcesSize);
    device.queue.submit([encoder.finish()]);
    await buffers.answer.mapAsync(GPUMapMode.READ, 0, sumsSize + sourcesSize);
    const answer = buffers.answer.getMappedRange(0, sumsSize + sourcesSize).slice(0);
    buffers.answer.unmap();
    const sums = new Float32Array(answer, 0, sumsSize / 4), sources = new Uint32Array(answer, sumsSize);
    return Array.from({ length: splits }, (_, split) => {
      const state = emptyState(channels, pixels, false);
      for (let p = 0; p < pixels; p++) {
        const at = split * pixels + p, from = at * (4 + 2 * channels);
        if (sums[from + 1] === 0) continue; // no patch fell to this split
        [state.nearest[p], state.s[p], state.u[p], state.tied[p]] = sums.subarray(from, from + 4);
        state.source[p] = sources[at];
        for (let c = 0; c < channels; c++) {
          state.v[c * pixels + p] = sums[from + 4 + c];
          state.v2[c * pixels + p] = sums[from + 4 + channels + c];
        }
      }
      return state;
    });
  }
}

/** @param {GPUAdapterInfo} info */
function describe({ vendor, architecture, description }) {
  return description || [vendor, architecture].filter(Boolean).join(" ") || "unnamed";
}

/** @param {GPUAdapterInfo} info */
function isSoftware(info) {
  return info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${describe(info)} ${info.architecture} ${info.device}`);
}
