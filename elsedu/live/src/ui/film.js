/**
 * A film: several denoisers, each taking the same noise from t = 1 to t = 0 in DDIM steps, in step with one another.
 *
 *   x_s = alpha_s x0 + sigma_s eps,   eps = (x_t - alpha_t x0) / sigma_t      (chapter "Diffusion in one page")
 *
 * A lane keeps one frame a step. Whatever is changed in mid-course (a window, the machine, a painted pixel) drops the
 * frames after the present one, and the process goes on from there.
 */
import { ScaleSchedule } from "../scales.js";
import { cosine } from "../schedule.js";
import { breathe } from "./dom.js";

/**
 * @typedef {object} Lane
 * @property {string} key  "is" | "es" | "ls" | "els" | "network", the colour's name too
 * @property {string} title
 * @property {"machine" | "network"} kind
 * @property {string} [border]  "zero" | "circular"
 * @property {number[] | null} [windows]  windows[k] belongs to t = (k + 1) / windows.length; null: the film's own
 * @property {any} [network]  of loadNetwork
 * @property {any} [engine]  of another image set than the film's
 */

/**
 * @typedef {object} Frame
 * @property {number} t
 * @property {Float32Array} noisy
 * @property {Float32Array | null} denoised  what the denoiser believes, once it was asked
 * @property {Int32Array | null} source  (H, W, 3): image, row, column of the heaviest patch
 * @property {Uint8Array | null} tied
 * @property {Float32Array | null} effective  number of patches that count
 * @property {number} window
 */

export class Film {
  /**
   * @param {{engine: any, shape: {channels: number, height: number, width: number}, lanes: Lane[], windows: number[],
   *          steps: number, noise: Float32Array, label?: number | null}} setup
   */
  constructor({ engine, shape, lanes, windows, steps, noise, label = null }) {
    this.engine = engine;
    this.shape = shape;
    this.lanes = lanes;
    this.windows = windows;
    this.steps = steps;
    this.label = label;
    this.schedule = cosine();
    this.abort = new AbortController();
    /** @type {Frame[][]} */
    this.frames = lanes.map(() => [this.frame(1, noise)]);
  }

  /** @param {number} t @param {Float32Array} noisy @returns {Frame} */
  frame(t, noisy) {
    return { t, noisy, denoised: null, source: null, tied: null, effective: null, window: 0 };
  }

  /** How many steps all lanes have taken. */
  get ready() {
    return Math.min(...this.frames.map((one) => one.length)) - 1;
  }

  get finished() {
    return this.ready === this.steps;
  }

  /** Forget what follows step k, so that it is computed anew. @param {number} k */
  cut(k) {
    this.stop();
    this.frames = this.frames.map((lane) => {
      const kept = lane.slice(0, k + 1), last = kept[kept.length - 1];
      if (last.t > 0) kept[kept.length - 1] = this.frame(last.t, last.noisy);
      return kept;
    });
  }

  /** Give up the step that is being computed. */
  stop() {
    this.abort.abort();
    this.abort = new AbortController();
  }

  /**
   * One step of every lane.
   * @returns {Promise<boolean>}  false where it was given up in favour of something newer
   */
  async advance() {
    if (this.finished) return false;
    const { signal } = this.abort;
    const k = this.ready;
    for (let i = 0; i < this.lanes.length; i++) {
      const lane = this.frames[i];
      if (lane.length > k + 1) continue;
      try {
        await this.believe(i, k, signal);
      } catch (error) {
        if (signal.aborted) return false;
        throw error;
      }
      if (signal.aborted) return false;
      lane.push(this.step(lane[k], k));
      await breathe();
      if (signal.aborted) return false;
    }
    return true;
  }

  /** Fill in what lane i believes at step k. @param {number} i @param {number} k @param {AbortSignal} signal */
  async believe(i, k, signal) {
    const lane = this.lanes[i], frame = this.frames[i][k], { t, noisy } = frame;
    const alpha = this.schedule.alpha(t), sigma = this.schedule.sigma(t);
    if (lane.kind === "network") {
      const noise = await lane.network.noise(noisy, t, this.label, { signal });
      // At t = 1 hardly any signal is left: alpha is small, but not zero with this schedule.
      frame.denoised = noisy.map((/** @type {number} */ x, /** @type {number} */ j) => (x - sigma * noise[j]) / alpha);
      return;
    }
    frame.window = this.windowOf(lane, t);
    const result = await (lane.engine ?? this.engine).posterior({
      x: noisy, alpha, sigma, machine: lane.key, window: frame.window, border: lane.border ?? "zero",
      label: this.label, fields: ["mean", "source", "effective_patches"], signal,
    });
    frame.denoised = result.mean;
    frame.source = result.source;
    frame.tied = result.tied ?? null;
    frame.effective = result.effective ?? null;
  }

  /** @param {Lane} lane @param {number} t */
  windowOf(lane, t) {
    return new ScaleSchedule(lane.windows ?? this.windows, this.schedule).at(t);
  }

  /** The DDIM step from a frame that has been denoised. @param {Frame} frame @param {number} k @returns {Frame} */
  step({ t, noisy, denoised, source, tied, effective, window }, k) {
    const s = Math.max(0, 1 - (k + 1) / this.steps), x0 = /** @type {Float32Array} */ (denoised);
    if (s < 1e-9) return { t: 0, noisy: x0, denoised: x0, source, tied, effective, window };
    const alpha = this.schedule.alpha(t), sigma = this.schedule.sigma(t);
    const a = this.schedule.alpha(s), b = this.schedule.sigma(s);
    return this.frame(s, noisy.map((x, j) => a * x0[j] + (b * (x - alpha * x0[j])) / sigma));
  }
}
