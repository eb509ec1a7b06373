/**
 * Running the reverse process: DDIM on the grid t = 1, 1 - 1/n, ..., 1/n, 0. The twin of Python's sampling.
 *
 * A step from t to s keeps what the denoiser believes, x0 and eps, and mixes them at the new noise level:
 * x_s = alpha(s) x0 + sigma(s) eps.
 *
 * @typedef {object} Denoiser a machine or a network
 * @property {import("./schedule.js").Schedule} schedule
 * @property {(x: Float32Array, t: number, options: {label?: number | null, signal?: AbortSignal}) =>
 *   Promise<{x0: Float32Array, eps: Float32Array}>} predict
 */

/** The grid t = 1, 1 - 1/n, ..., 1/n, 0. @param {number} steps */
export function times(steps) {
  if (!Number.isInteger(steps) || steps < 1) throw new Error(`steps must be a positive integer, got ${steps}`);
  return Array.from({ length: steps + 1 }, (_, i) => (steps - i) / steps);
}

/**
 * Yields {t, noisy, denoised} for t = 1, ..., 1/steps; the last one is t = 0, noisy = denoised = the sample.
 *
 * @param {Denoiser} denoiser
 * @param {Float32Array} noise the image at the start, usually normal noise; it is not changed
 * @param {object} [options]
 * @param {number} [options.steps]
 * @param {number} [options.start] steps that lie behind: `noise` is the noisy image at t = 1 - start/steps
 * @param {number | null} [options.label]
 * @param {AbortSignal} [options.signal]
 * @returns {AsyncGenerator<{t: number, noisy: Float32Array, denoised: Float32Array}, void, void>}
 */
export async function* ddim(denoiser, noise, { steps = 20, start = 0, label = null, signal } = {}) {
  const grid = times(steps), { schedule } = denoiser;
  let x = Float32Array.from(noise);
  for (let i = start; i < steps; i++) {
    const t = grid[i], alpha = schedule.alpha(grid[i + 1]), sigma = schedule.sigma(grid[i + 1]);
    signal?.throwIfAborted();
    const { x0, eps } = await denoiser.predict(x, t, { label, signal });
    yield { t, noisy: x, denoised: x0 };
    x = x0.map((value, k) => alpha * value + sigma * eps[k]);
  }
  yield { t: 0, noisy: x, denoised: x };
}

/**
 * The sample alone.
 * @param {Denoiser} denoiser
 * @param {Float32Array} noise
 * @param {{steps?: number, label?: number | null, signal?: AbortSignal}} [options]
 */
export async function sample(denoiser, noise, options) {
  let image = noise;
  for await (const { noisy } of ddim(denoiser, noise, options)) image = noisy;
  return image;
}
