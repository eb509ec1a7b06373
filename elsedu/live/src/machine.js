/**
 * The four machines as denoisers: an engine (which sums over patches), a window and a schedule.
 *
 * @typedef {import("./schedule.js").Schedule} Schedule
 * @typedef {import("./engine/plain.js").Engine} Engine
 * @typedef {import("./engine/plain.js").Machine} Machine
 * @typedef {import("./engine/plain.js").Border} Border
 * @typedef {import("./engine/plain.js").Field} Field
 */
import { ScaleSchedule } from "./scales.js";
import { cosine } from "./schedule.js";

export class ScoreMachine {
  /**
   * @param {Engine} engine
   * @param {object} [options]
   * @param {Machine} [options.machine] "is", "es", "ls" or "els"
   * @param {number | ScaleSchedule} [options.window] odd side, or one for each time (LS and ELS)
   * @param {Border} [options.border] "zero" or "circular" (LS and ELS)
   * @param {number | null} [options.label] restricts the dictionary to one class
   * @param {Schedule} [options.schedule]
   */
  constructor(engine, { machine = "els", window = 3, border = "zero", label = null, schedule = cosine() } = {}) {
    this.engine = engine;
    this.machine = machine;
    /** May be assigned in the middle of a reverse process: the next step uses it. */
    this.window = window;
    this.border = border;
    this.label = label;
    this.schedule = schedule;
  }

  /** The window at time t. @param {number} t */
  windowAt(t) {
    return this.window instanceof ScaleSchedule ? this.window.at(t, this.schedule) : this.window;
  }

  /** What the engine needs to know at time t. @param {number} t @param {number | null} [label] */
  at(t, label = null) {
    if (!(t > 0 && t <= 1)) throw new Error(`t = ${t} is outside (0, 1]`);
    return {
      alpha: this.schedule.alpha(t),
      sigma: this.schedule.sigma(t),
      machine: this.machine,
      window: this.windowAt(t),
      border: this.border,
      label: label ?? this.label,
    };
  }

  /**
   * The posterior of every clean pixel, given its noisy window: see `Engine.posterior`.
   * @param {Float32Array} x (C, H, W)
   * @param {number} t in (0, 1]
   * @param {{label?: number | null, fields?: Field[], signal?: AbortSignal}} [options]
   */
  posterior(x, t, { label, fields, signal } = {}) {
    return this.engine.posterior({ ...this.at(t, label), x, fields, signal });
  }

  /**
   * The heaviest patches of one pixel: see `Engine.heaviest`.
   * @param {Float32Array} x (C, H, W)
   * @param {number} t in (0, 1]
   * @param {[number, number]} pixel row and column
   * @param {{label?: number | null, count?: number, signal?: AbortSignal}} [options]
   */
  heaviest(x, t, pixel, { label, count, signal } = {}) {
    return this.engine.heaviest({ ...this.at(t, label), x, pixel, count, signal });
  }

  /**
   * Clean image and noise, as the sampler needs them.
   * @param {Float32Array} x
   * @param {number} t
   * @param {{label?: number | null, signal?: AbortSignal}} [options]
   */
  async predict(x, t, { label, signal } = {}) {
    const { mean } = await this.posterior(x, t, { label, fields: ["mean"], signal });
    const alpha = this.schedule.alpha(t), sigma = this.schedule.sigma(t);
    return { x0: mean, eps: x.map((value, i) => (value - alpha * mean[i]) / sigma) };
  }
}
