/** The shipped networks in the page: the same noise through formula and network is the paper's experiment. */
import { Hand } from "../engine/hand.js";
import { byName } from "../schedule.js";
import { unpacked } from "./weights.js";

/** @typedef {import("./weights.js").Payload} Payload */

/** A network as a denoiser: it predicts noise; the clean image follows from the schedule. */
export class Network {
  /** @param {Omit<Payload, "bytes">} payload @param {Hand} hand @param {string} why */
  constructor({ name, config, schedule }, hand, why) {
    this.name = name;
    this.shape = config.image_shape;
    this.classes = config.classes;
    this.schedule = byName(schedule);
    this.hand = hand;
    this.why = why;
  }

  /**
   * The noise (C, H, W) in x (C, H, W) at time t.
   * @param {Float32Array} x
   * @param {number} t in (0, 1]
   * @param {number | null} [label] class, for networks that were trained with classes
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Float32Array>}
   */
  async noise(x, t, label = null, { signal } = {}) {
    const size = this.shape.reduce((a, b) => a * b, 1);
    if (x.length !== size) throw new Error(`x has ${x.length} values; the network takes ${this.shape.join(" x ")}`);
    if (!(t > 0 && t <= 1)) throw new Error(`t = ${t} is outside (0, 1]`);
    const { classes } = this, whole = Number.isInteger(label);
    if (classes && !(whole && Number(label) >= 0 && Number(label) < classes))
      throw new Error(`this network needs a class from 0 to ${classes - 1}, got ${label}`);
    signal?.throwIfAborted();
    return (await this.hand.ask({ x: Float32Array.from(x), t, label }, signal)).noise;
  }

  /**
   * Clean image and noise, as the sampler needs them.
   * @param {Float32Array} x @param {number} t
   * @param {{label?: number | null, signal?: AbortSignal}} [options]
   */
  async predict(x, t, { label = null, signal } = {}) {
    const eps = await this.noise(x, t, label, { signal }), alpha = this.schedule.alpha(t), sigma = this.schedule.sigma(t);
    if (alpha === 0) throw new Error(`alpha(t) is 0 at t = ${t}: no clean image follows from the noise`);
    return { x0: x.map((value, i) => (value - sigma * eps[i]) / alpha), eps };
  }

  dispose() {
    this.hand.dispose();
  }
}

/**
 * A network in a worker, its convolutions in WebAssembly; where that is not to be had, in plain JavaScript.
 * @param {Payload} payload
 * @param {{wasm: Uint8Array | null, workerSource: string | null}} assets
 * @returns {Promise<Network>}
 */
export async function startNetwork(payload, { wasm, workerSource }) {
  const network = unpacked(payload);
  const plans = [wasm, null].flatMap((bytes) => [workerSource, null].map((source) => ({ bytes, source })));
  /** @type {unknown} */
  let last;
  for (const { bytes, source } of plans)
    try {
      const hand = await Hand.start(source, { bytes, network });
      const why = `runs ${bytes ? "as WebAssembly" : "in plain JavaScript"} in ${source ? "a worker" : "the page's own thread"}`;
      return new Network(network, hand, why);
    } catch (error) {
      last = error;
    }
  throw last;
}
