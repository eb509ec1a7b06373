/** A network at work, in a worker or on the page's own thread: its weights, and the convolutions in WebAssembly. */
import { resnet, unet } from "./architectures.js";
import { OUTPUTS, convolve, packed } from "./layers.js";
import { tensorsOf } from "./weights.js";

/**
 * @typedef {import("./layers.js").FeatureMap} FeatureMap
 * @typedef {import("./layers.js").Packed} Packed
 * @typedef {ReturnType<typeof import("./weights.js").unpacked>} Unpacked
 *
 * @typedef {object} Exports what native/convolution.cpp offers
 * @property {WebAssembly.Memory} memory
 * @property {() => void} _initialize
 * @property {(count: number) => number} room
 * @property {(x: number, height: number, width: number, inputs: number, blocks: number, circular: number,
 *   weights: number, bias: number, padded: number, out: number) => void} convolve
 */

export class Runner {
  /** @param {Unpacked} payload @param {((layer: Packed) => (x: FeatureMap) => FeatureMap)} makeConvolution */
  constructor(payload, makeConvolution) {
    const { config } = payload, lookup = tensorsOf(payload);
    this.config = config;
    /** @type {Map<string, import("./weights.js").Tensor>} */
    const tensors = new Map();
    /** @type {Map<string, (x: FeatureMap) => FeatureMap>} */
    const convolutions = new Map();
    const kept = (/** @type {Map<string, any>} */ map, /** @type {string} */ name, /** @type {() => any} */ make) => {
      if (!map.has(name)) map.set(name, make());
      return map.get(name);
    };
    /** @type {import("./architectures.js").Model} */
    this.model = {
      config,
      tensor: (name) => kept(tensors, name, () => lookup(name)),
      convolve: (x, name) =>
        kept(convolutions, name, () => makeConvolution(packed(lookup(`${name}.weight`), lookup(`${name}.bias`))))(x),
    };
    this.forward = payload.kind === "unet" ? unet : resnet;
  }

  /**
   * @param {Unpacked} payload
   * @param {BufferSource | null} bytes the WebAssembly module; null: plain JavaScript
   */
  static async create(payload, bytes) {
    const circular = payload.padding === "circular";
    if (bytes === null) return new Runner(payload, (layer) => (x) => convolve(x, layer, circular));
    const { instance } = await WebAssembly.instantiate(bytes, {});
    const wasm = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));
    wasm._initialize();
    return new Runner(payload, convolutionsIn(wasm, circular));
  }

  /**
   * The noise (C, H, W) that the network sees in x (C, H, W) at time t.
   * @param {Float32Array} x @param {number} t @param {number | null} label
   */
  noise(x, t, label) {
    const [channels, height, width] = this.config.image_shape, pixels = height * width;
    const values = Float32Array.from(x, (_, i) => x[(i % channels) * pixels + Math.floor(i / channels)]);
    const out = this.forward(this.model, { height, width, channels, values }, t, label).values;
    return Float32Array.from(x, (_, i) => out[(i % pixels) * channels + Math.floor(i / pixels)]);
  }
}

/** @param {Exports} wasm @param {boolean} circular @returns {(layer: Packed) => (x: FeatureMap) => FeatureMap} */
function convolutionsIn(wasm, circular) {
  const floats = (/** @type {number} */ at, /** @type {number} */ count) => new Float32Array(wasm.memory.buffer, at, count);
  /** Scratch that grows with the largest image. */
  const scratch = { size: 0, x: 0, padded: 0, out: 0 };
  return ({ inputs, outputs, blocks, weights, bias }) => {
    const at = wasm.room(weights.length), biasAt = wasm.room(bias.length);
    floats(at, weights.length).set(weights);
    floats(biasAt, bias.length).set(bias);
    return ({ height, width, values }) => {
      const size = (height + 2) * (width + 2) * Math.max(inputs, blocks * OUTPUTS), channels = blocks * OUTPUTS;
      if (size > scratch.size) Object.assign(scratch, { size, x: wasm.room(size), padded: wasm.room(size), out: wasm.room(size) });
      floats(scratch.x, values.length).set(values);
      wasm.convolve(scratch.x, height, width, inputs, blocks, +circular, at, biasAt, scratch.padded, scratch.out);
      const out = floats(scratch.out, height * width * channels);
      if (channels === outputs) return { height, width, channels, values: out.slice() };
      const own = new Float32Array(height * width * outputs);
      for (let i = 0; i < own.length; i++) own[i] = out[Math.floor(i / outputs) * channels + (i % outputs)];
      return { height, width, channels: outputs, values: own };
    };
  };
}
