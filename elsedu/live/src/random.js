/**
 * Normal noise from a seed, the same in every browser and in Python (elsedu/live/random.py).
 *
 * xoshiro128** (Blackman and Vigna 2018) draws 32 random bits; its state is the first four outputs of
 * splitmix32(seed). The upper 24 bits make u in (0, 1), and Box and Muller make two normal numbers of two u.
 */

/** Four words of state from one seed. @param {number} seed */
function splitmix32(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x9e3779b9) >>> 0;
    let z = a;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
}

/** A stream of 32-bit words. @param {number} seed integer, read modulo 2^32 */
export function xoshiro128(seed) {
  const next = splitmix32(seed);
  const s = Uint32Array.of(next(), next(), next(), next());
  const rotated = (/** @type {number} */ x, /** @type {number} */ k) => (x << k) | (x >>> (32 - k));
  return () => {
    const word = Math.imul(rotated(Math.imul(s[1], 5), 7), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotated(s[3], 11);
    return word;
  };
}

/** Uniform numbers in (0, 1), 24 bits each. @param {number} seed */
export function uniform(seed) {
  const next = xoshiro128(seed);
  return () => ((next() >>> 8) + 0.5) / 2 ** 24;
}

/**
 * Standard normal numbers.
 * @param {number} seed integer, read modulo 2^32
 * @param {number} length
 */
export function normalNoise(seed, length) {
  const draw = uniform(seed);
  const noise = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(draw())), angle = 2 * Math.PI * draw();
    noise[i] = radius * Math.cos(angle);
    if (i + 1 < length) noise[i + 1] = radius * Math.sin(angle);
  }
  return noise;
}
