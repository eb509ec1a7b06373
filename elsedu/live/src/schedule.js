/**
 * Noise schedules: how much image and how much noise x_t holds. The twin of elsedu's Python schedules.
 *
 * The forward process is x_t = alpha(t) x_0 + sigma(t) eps with eps ~ N(0, 1) and t in [0, 1].
 *
 * @typedef {object} Schedule
 * @property {string} name
 * @property {(t: number) => number} alpha signal level
 * @property {(t: number) => number} sigma standard deviation of the noise
 * @property {(ratio: number) => number} timeOfRatio the t with sigma(t) / alpha(t) = ratio, at most 1
 */

const COSINE_RATE = Math.PI / (2 * 1.008);

/** The paper's schedule: alpha = cos(pi t / 2.016), sigma = sin(pi t / 2.016). @returns {Schedule} */
export function cosine() {
  return {
    name: "cosine",
    alpha: (t) => Math.cos(COSINE_RATE * t),
    sigma: (t) => Math.sin(COSINE_RATE * t),
    timeOfRatio: (ratio) => Math.min(1, Math.atan(ratio) / COSINE_RATE),
  };
}

/** log alpha-bar of DDPM at t = k / 1000: beta rises from 1e-4 to .02 in 1,000 steps. */
function linearTable() {
  const table = new Float64Array(1001);
  for (let k = 0; k < 1000; k++) table[k + 1] = table[k] + Math.log1p(-(1e-4 + ((0.02 - 1e-4) * k) / 999));
  return table;
}

/** DDPM's schedule; between its 1,000 steps log alpha-bar is interpolated. @returns {Schedule} */
export function linearVP() {
  const table = linearTable();
  const logAlphaBar = (/** @type {number} */ t) => {
    const k = Math.min(999, Math.max(0, Math.ceil(t * 1000) - 1));
    return table[k] + (table[k + 1] - table[k]) * (t * 1000 - k);
  };
  return {
    name: "linear_vp",
    alpha: (t) => Math.exp(logAlphaBar(t) / 2),
    sigma: (t) => Math.sqrt(-Math.expm1(logAlphaBar(t))),
    timeOfRatio: (ratio) => {
      const target = -Math.log1p(ratio * ratio);
      if (target <= table[1000]) return 1;
      let k = 0;
      while (table[k + 1] > target) k++;
      return (k + (target - table[k]) / (table[k + 1] - table[k])) / 1000;
    },
  };
}

/** The straight line between image and noise: alpha = 1 - t, sigma = t. @returns {Schedule} */
export function flowMatching() {
  return {
    name: "flow_matching",
    alpha: (t) => 1 - t,
    sigma: (t) => t,
    timeOfRatio: (ratio) => (ratio === Infinity ? 1 : ratio / (1 + ratio)),
  };
}

/**
 * The schedule called `name` ("cosine", "linear_vp", "flow_matching").
 * @param {string} name
 * @returns {Schedule}
 */
export function byName(name) {
  if (name === "cosine") return cosine();
  if (name === "linear_vp") return linearVP();
  if (name === "flow_matching") return flowMatching();
  throw new Error(`unknown noise schedule "${name}"; known: cosine, linear_vp, flow_matching`);
}
