/** How alike are two images? The twins of Python's metrics, for two images of any equal shape. */

/** @typedef {ArrayLike<number>} Numbers */

/** Pearson's correlation of the pixels (in the paper's code: "r^2"). @param {Numbers} a @param {Numbers} b */
export function pearson(a, b) {
  const n = a.length;
  if (n !== b.length) throw new Error(`two images of ${n} and ${b.length} values cannot be correlated`);
  let meanA = 0, meanB = 0;
  for (let i = 0; i < n; i++) {
    meanA += a[i] / n;
    meanB += b[i] / n;
  }
  let ab = 0, aa = 0, bb = 0;
  for (let i = 0; i < n; i++) {
    ab += (a[i] - meanA) * (b[i] - meanB);
    aa += (a[i] - meanA) ** 2;
    bb += (b[i] - meanB) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

/** Mean squared difference. @param {Numbers} a @param {Numbers} b */
export function meanSquaredError(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum / a.length;
}

/**
 * The image of a set that is nearest to x (Euclidean distance).
 * @param {Numbers} x
 * @param {Float32Array} images all images, one after the other
 * @returns {{image: number, distance: number}} its index, and the root mean squared difference
 */
export function nearest(x, images) {
  const size = x.length;
  let best = Infinity, image = 0;
  for (let n = 0; n * size < images.length; n++) {
    let sum = 0;
    for (let i = 0; i < size && sum < best; i++) sum += (x[i] - images[n * size + i]) ** 2;
    if (sum < best) [best, image] = [sum, n];
  }
  return { image, distance: Math.sqrt(best / size) };
}
