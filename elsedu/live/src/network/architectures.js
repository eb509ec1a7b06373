/** The paper's ResNet and UNet: the twins of elsedu/networks/resnet.py, unet.py and embedding.py. */
import * as layers from "./layers.js";

/**
 * @typedef {import("./layers.js").FeatureMap} FeatureMap
 * @typedef {import("./layers.js").Lookup} Lookup
 * @typedef {import("./weights.js").Payload} Payload
 *
 * @typedef {object} Model
 * @property {Payload["config"]} config
 * @property {Lookup} tensor weights by name
 * @property {(x: FeatureMap, name: string) => FeatureMap} convolve the 3 x 3 convolution called `name`
 */

/** Time (and class) to a vector. @param {Model} model @param {number} t @param {number | null} label */
function embedding({ config, tensor }, t, label) {
  const half = config.embedding / 2, vector = new Float32Array(config.embedding);
  for (let j = 0; j < half; j++) {
    const angle = t * config.time_scale * 10000 ** (-j / (half - 1));
    vector[j] = Math.sin(angle);
    vector[half + j] = Math.cos(angle);
  }
  if (config.classes) {
    const { values } = tensor("embedding.classes.weight");
    const own = /** @type {number} */ (label) * vector.length;
    for (let j = 0; j < vector.length; j++) vector[j] += values[own + j];
  }
  return vector;
}

/** A ResNet's noise in x. @param {Model} model @param {FeatureMap} x @param {number} t @param {number | null} label */
export function resnet(model, x, t, label) {
  const { config, tensor, convolve } = model, { width } = config, vector = embedding(model, t, label);
  const groups = /** @type {number} */ ([8, 4, 2, 1].find((n) => n === 1 || (width % n === 0 && width >= 4 * n)));
  /** @param {FeatureMap} h @param {number} k */
  const shifted = (h, k) => {
    const own = (/** @type {string} */ name) => tensor(`shifts.${k}.${name}`);
    const inner = layers.linear(vector, own("0.weight"), own("0.bias"));
    const normal = layers.normalised(inner, groups, own("1.weight"), own("1.bias"));
    return layers.shifted(h, normal.map((value) => Math.max(0, value)));
  };
  const blocks = /** @type {number} */ (config.blocks);
  let h = convolve(x, "up");
  for (let k = 0; k < blocks; k++) h = layers.sum(h, layers.relu(convolve(shifted(h, k), `convolutions.${k}`)));
  return convolve(shifted(h, blocks), "down");
}

/** A UNet's noise in x. @param {Model} model @param {FeatureMap} x @param {number} t @param {number | null} label */
export function unet(model, x, t, label) {
  const { config, tensor, convolve } = model;
  const vector = embedding(model, t, label).map((value) => Math.max(0, value));
  /** @param {FeatureMap} h @param {string} name */
  const shifted = (h, name) => layers.shifted(h, layers.linear(vector, tensor(`${name}.1.weight`), tensor(`${name}.1.bias`)));
  /** @param {FeatureMap} h @param {string} name */
  const block = (h, name) => {
    const first = layers.relu(convolve(shifted(h, `${name}.shift`), `${name}.first`));
    return layers.relu(convolve(first, `${name}.second`));
  };
  /** @param {FeatureMap} h @param {string} name */
  const enlarged = (h, name) => layers.enlarged(h, tensor(`${name}.weight`), tensor(`${name}.bias`));
  const fine = block(x, "fine"), middle = block(layers.pooled(fine), "middle");
  let h = block(layers.pooled(middle), "coarse");
  if (config.attention) h = attention(model, h);
  h = block(layers.joined(middle, enlarged(h, "to_middle")), "middle_out");
  h = block(layers.joined(fine, enlarged(h, "to_fine")), "fine_out");
  return convolve(shifted(h, "last_shift"), "down");
}

/** Residual self-attention over all pixels. @param {Model} model @param {FeatureMap} x @returns {FeatureMap} */
function attention({ config, tensor }, x) {
  const { channels, values } = x, pixels = values.length / channels, heads = config.heads ?? 1, size = channels / heads;
  const own = (/** @type {string} */ name) => tensor(`attention.${name}`);
  const tokens = Array.from({ length: pixels }, (_, p) => {
    const token = values.subarray(p * channels, (p + 1) * channels);
    const normal = layers.normalised(token, 1, own("norm.weight"), own("norm.bias"));
    return layers.linear(normal, own("query_key_value.weight"), own("query_key_value.bias"));
  });
  const out = values.slice();
  for (let p = 0; p < pixels; p++) {
    const mixed = new Float32Array(channels);
    for (let head = 0; head < heads; head++) {
      const query = head * size, key = channels + head * size, value = 2 * channels + head * size;
      const logits = tokens.map((token) => {
        let product = 0;
        for (let i = 0; i < size; i++) product += tokens[p][query + i] * token[key + i];
        return product / Math.sqrt(size);
      });
      const most = Math.max(...logits), weights = logits.map((logit) => Math.exp(logit - most));
      const total = weights.reduce((a, b) => a + b);
      for (let q = 0; q < pixels; q++)
        for (let i = 0; i < size; i++) mixed[head * size + i] += (weights[q] / total) * tokens[q][value + i];
    }
    layers.linear(mixed, own("out.weight"), own("out.bias")).forEach((more, c) => (out[p * channels + c] += more));
  }
  return { ...x, values: out };
}
