/**
 * The layers of the networks. A feature map is {height, width, channels, values}, the channels of a pixel side by side.
 *
 * @typedef {import("./weights.js").Tensor} Tensor
 * @typedef {(name: string) => Tensor} Lookup
 * @typedef {{height: number, width: number, channels: number, values: Float32Array}} FeatureMap
 */

/** Output channels that a convolution makes at a time. */
export const OUTPUTS = 8;

/**
 * The weights of a 3 x 3 convolution, (blocks, 3, 3, inputs, 8), and its bias, (blocks, 8), filled up with zeros.
 * @param {Tensor} weight (outputs, inputs, 3, 3) @param {Tensor} bias
 */
export function packed({ shape: [outputs, inputs], values }, bias) {
  const blocks = Math.ceil(outputs / OUTPUTS), weights = new Float32Array(blocks * 9 * inputs * OUTPUTS);
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      for (let k = 0; k < 9; k++)
        weights[((Math.floor(o / OUTPUTS) * 9 + k) * inputs + i) * OUTPUTS + (o % OUTPUTS)] = values[(o * inputs + i) * 9 + k];
  const biases = new Float32Array(blocks * OUTPUTS);
  biases.set(bias.values);
  return { inputs, outputs, blocks, weights, bias: biases };
}

/** @typedef {ReturnType<typeof packed>} Packed */

/**
 * A 3 x 3 convolution in plain JavaScript, where there is no WebAssembly (native/convolution.cpp does the same).
 * @param {FeatureMap} x @param {Packed} layer @param {boolean} circular
 * @returns {FeatureMap}
 */
export function convolve({ height, width, channels, values }, { outputs, blocks, weights, bias }, circular) {
  const out = new Float32Array(height * width * outputs), sums = new Float64Array(OUTPUTS);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++)
      for (let block = 0; block < blocks; block++) {
        for (let o = 0; o < OUTPUTS; o++) sums[o] = bias[block * OUTPUTS + o];
        for (let k = 0; k < 9; k++) {
          const i = row + Math.floor(k / 3) - 1, j = column + (k % 3) - 1;
          if (!circular && (i < 0 || i >= height || j < 0 || j >= width)) continue;
          const from = (((i + height) % height) * width + ((j + width) % width)) * channels;
          for (let c = 0, w = (block * 9 + k) * channels * OUTPUTS; c < channels; c++) {
            const value = values[from + c];
            for (let o = 0; o < OUTPUTS; o++, w++) sums[o] += value * weights[w];
          }
        }
        const to = (row * width + column) * outputs + block * OUTPUTS;
        for (let o = 0; o < OUTPUTS && block * OUTPUTS + o < outputs; o++) out[to + o] = sums[o];
      }
  return { height, width, channels: outputs, values: out };
}

/** @param {FeatureMap} x @param {ArrayLike<number>} shift added to every pixel @returns {FeatureMap} */
export function shifted(x, shift) {
  return { ...x, values: x.values.map((value, i) => value + shift[i % x.channels]) };
}

/** @param {FeatureMap} x @returns {FeatureMap} */
export function relu(x) {
  return { ...x, values: x.values.map((value) => (value > 0 ? value : 0)) };
}

/** @param {FeatureMap} a @param {FeatureMap} b @returns {FeatureMap} */
export function sum(a, b) {
  return { ...a, values: a.values.map((value, i) => value + b.values[i]) };
}

/** The channels of both, side by side. @param {FeatureMap} a @param {FeatureMap} b @returns {FeatureMap} */
export function joined(a, b) {
  const channels = a.channels + b.channels, values = new Float32Array(a.height * a.width * channels);
  for (let p = 0; p < a.height * a.width; p++) {
    values.set(a.values.subarray(p * a.channels, (p + 1) * a.channels), p * channels);
    values.set(b.values.subarray(p * b.channels, (p + 1) * b.channels), p * channels + a.channels);
  }
  return { height: a.height, width: a.width, channels, values };
}

/** The largest of every 2 x 2 pixels. @param {FeatureMap} x @returns {FeatureMap} */
export function pooled({ height, width, channels, values }) {
  const half = { height: height / 2, width: width / 2, channels, values: new Float32Array(values.length / 4) };
  for (let row = 0, to = 0; row < height; row += 2)
    for (let column = 0; column < width; column += 2)
      for (let c = 0; c < channels; c++, to++) {
        const at = (/** @type {number} */ i, /** @type {number} */ j) => values[((row + i) * width + column + j) * channels + c];
        half.values[to] = Math.max(at(0, 0), at(0, 1), at(1, 0), at(1, 1));
      }
  return half;
}

/** A 2 x 2 transposed convolution with stride 2. @param {FeatureMap} x @param {Tensor} weight (inputs, outputs, 2, 2) @param {Tensor} bias @returns {FeatureMap} */
export function enlarged({ height, width, channels, values }, { shape: [, outputs], values: weights }, bias) {
  const out = new Float32Array(4 * height * width * outputs);
  for (let row = 0; row < 2 * height; row++)
    for (let column = 0; column < 2 * width; column++) {
      const from = ((row >> 1) * width + (column >> 1)) * channels, corner = 2 * (row & 1) + (column & 1);
      for (let o = 0; o < outputs; o++) {
        let value = bias.values[o];
        for (let c = 0; c < channels; c++) value += values[from + c] * weights[(c * outputs + o) * 4 + corner];
        out[(row * 2 * width + column) * outputs + o] = value;
      }
    }
  return { height: 2 * height, width: 2 * width, channels: outputs, values: out };
}

/** weight x + bias. @param {ArrayLike<number>} x @param {Tensor} weight (outputs, inputs) @param {Tensor} bias */
export function linear(x, { shape: [outputs, inputs], values }, bias) {
  return Float32Array.from({ length: outputs }, (_, o) => {
    let result = bias.values[o];
    for (let i = 0; i < inputs; i++) result += x[i] * values[o * inputs + i];
    return result;
  });
}

/** Groups of numbers shifted and scaled to mean 0 and variance 1, then an affine map. @param {Float32Array} x @param {number} groups @param {Tensor} weight @param {Tensor} bias */
export function normalised(x, groups, weight, bias) {
  const size = x.length / groups, out = new Float32Array(x.length);
  for (let g = 0; g < groups; g++) {
    const part = x.subarray(g * size, (g + 1) * size), mean = part.reduce((a, b) => a + b, 0) / size;
    const scale = 1 / Math.sqrt(part.reduce((a, b) => a + (b - mean) ** 2, 0) / size + 1e-5);
    for (let i = g * size; i < (g + 1) * size; i++) out[i] = (x[i] - mean) * scale * weight.values[i] + bias.values[i];
  }
  return out;
}
