/** Windows over time, P(t): one odd number a step. The twin of Python's ScaleSchedule. */
import { byName, cosine } from "./schedule.js";

/** @typedef {import("./schedule.js").Schedule} Schedule */

export class ScaleSchedule {
  /**
   * n windows; entry k belongs to t = (k + 1) / n, the first to the least noise.
   * @param {number[]} windows odd sides
   * @param {Schedule} [schedule] the noise schedule that the windows were calibrated on
   */
  constructor(windows, schedule = cosine()) {
    if (windows.length === 0) throw new Error("a ScaleSchedule needs at least one window, got none");
    for (const window of windows) checkWindow(window);
    this.windows = windows.slice();
    this.schedule = schedule;
  }

  /**
   * The window at time t of `schedule` (default: the own one).
   * @param {number} t
   * @param {Schedule} [schedule]
   */
  at(t, schedule = this.schedule) {
    if (schedule.name !== this.schedule.name) t = this.schedule.timeOfRatio(schedule.sigma(t) / schedule.alpha(t));
    const n = this.windows.length;
    return this.windows[Math.min(n, Math.max(1, Math.floor(n * t + 0.5))) - 1];
  }

  /**
   * From the JSON that Python's ScaleSchedule.save writes.
   * @param {{windows: number[], schedule: string}} record
   */
  static from(record) {
    return new ScaleSchedule(record.windows, byName(record.schedule));
  }
}

/**
 * The window itself, if it is an odd positive integer that the border allows.
 * @param {number} window
 * @param {{height: number, width: number, border: string}} [image]
 */
export function checkWindow(window, image) {
  if (!Number.isInteger(window) || window < 1 || window % 2 === 0)
    throw new Error(`window must be an odd positive integer, got ${window}`);
  if (image && image.border === "circular" && window > Math.min(image.height, image.width))
    throw new Error(
      `window ${window} is larger than the image (${image.height} x ${image.width}): with a circular border it ` +
        `would see the same pixel twice; use at most ${Math.min(image.height, image.width)}, or the border "zero"`,
    );
  return window;
}
