/** The state of an exhibit in the page's address, so that a link restores it. Whatever is read is checked. */

/**
 * @typedef {object} State
 * @property {string} [data]
 * @property {number} [seed]
 * @property {number} [steps]
 * @property {string} [machine]
 * @property {string} [border]
 * @property {number} [label]
 * @property {number[]} [windows]
 * @property {[number, number][]} [paint]  changed pixels of the noise: place, value
 */

/** @type {Record<string, {write: (v: any) => string, read: (text: string) => any}>} */
const FIELDS = {
  data: { write: String, read: (text) => word(text) },
  machine: { write: String, read: (text) => word(text) },
  border: { write: String, read: (text) => oneOf(text, ["zero", "circular"]) },
  seed: { write: String, read: (text) => whole(text, 0, 999999) },
  steps: { write: String, read: (text) => whole(text, 1, 200) },
  label: { write: String, read: (text) => whole(text, 0, 255) },
  windows: { write: (v) => v.join("."), read: (text) => list(text, ".", 200).map((v) => odd(v)) },
  // place (base 36) and a sign; painted pixels have one of two values only
  paint: { write: (v) => v.map((/** @type {[number, number]} */ [at, value]) => (value > 0 ? "" : "-") + at.toString(36)).join("."),
           read: (text) => list(text, ".", 4096).map(dab) },
};

/** @param {string} text */
function word(text) {
  if (!/^[a-z0-9-]{1,40}$/.test(text)) throw new Error(text);
  return text;
}

/** @param {string} text @param {string[]} known */
function oneOf(text, known) {
  if (!known.includes(text)) throw new Error(text);
  return text;
}

/** @param {string} text @param {number} low @param {number} high */
function whole(text, low, high) {
  if (!/^\d{1,7}$/.test(text) || +text < low || +text > high) throw new Error(text);
  return +text;
}

/** @param {string} text @param {string} cut @param {number} most */
function list(text, cut, most) {
  const parts = text.split(cut);
  if (parts.length > most) throw new Error(text);
  return parts;
}

/** @param {string} text */
function odd(text) {
  const value = whole(text, 1, 255);
  if (value % 2 === 0) throw new Error(text);
  return value;
}

/** How far from zero a painted pixel of the noise is. */
export const INK = 1.8;

/** @param {string} text @returns {[number, number]} */
function dab(text) {
  const [, sign, place] = /^(-?)([0-9a-z]{1,4})$/.exec(text) ?? [];
  if (place === undefined) throw new Error(text);
  return [parseInt(place, 36), sign ? -INK : INK];
}

/** @param {string} id @param {State} state @returns {string} */
export function write(id, state) {
  const words = [`play=${id}`];
  for (const [name, { write: text }] of Object.entries(FIELDS)) {
    const value = /** @type {any} */ (state)[name];
    if (value !== undefined && value !== null && !(Array.isArray(value) && !value.length)) words.push(`${name}=${text(value)}`);
  }
  return "#" + words.join("&");
}

/**
 * The state that a link holds for an exhibit.
 * @param {string} id
 * @param {string} hash
 * @returns {{state: State | null, bad: string[]}}  null: the link is not about this exhibit; bad: words without sense
 */
export function read(id, hash) {
  const pairs = hash.replace(/^#/, "").split("&").map((part) => part.split("="));
  if (pairs[0][0] !== "play" || pairs[0][1] !== id) return { state: null, bad: [] };
  /** @type {any} */
  const state = {};
  const bad = [];
  for (const [name, text = ""] of pairs.slice(1)) {
    try {
      state[name] = Object.hasOwn(FIELDS, name) ? FIELDS[name].read(decodeURIComponent(text)) : fail(name);
    } catch {
      bad.push(name.slice(0, 20));
    }
  }
  return { state, bad };
}

/** @param {string} name @returns {never} */
function fail(name) {
  throw new Error(name);
}
