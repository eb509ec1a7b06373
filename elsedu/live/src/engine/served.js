/**
 * Positions q of the training image, along one axis, that a shift serves: those whose window overlaps the border
 * just as the window around p = q - shift does (the zeros beyond the border give that overlap away).
 * @param {number} size of the image @param {number} radius of the window @param {number} shift @param {boolean} circular
 */
export function served(size, radius, shift, circular) {
  if (circular || shift === 0) return { begin: 0, end: size };
  return { begin: radius + Math.max(shift, 0), end: size - radius + Math.min(shift, 0) };
}
