/** Small helpers to build the page: elements, SVG, and words that are only ever text (never HTML). */

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 * @typedef {Record<string, any>} Attributes  attributes; `on` holds listeners, `class` the class names
 */

/**
 * An element with attributes, listeners and children. Strings become text nodes.
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * The same for SVG.
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** @param {Element} element @param {Attributes} attributes @param {(Child | Child[])[]} children */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children.flat())
    if (child !== null && child !== undefined && child !== false)
      element.append(child instanceof Node ? child : String(child));
  return element;
}

/** Replace an element's children. @param {Element} element @param {...(Child | Child[])} children */
export function put(element, ...children) {
  element.replaceChildren();
  fill(element, {}, children);
}

let ids = 0;
/** An id that is new on the page. */
export const fresh = () => `elsl-${++ids}`;

/** Whether the reader asked for less motion. */
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Let the page answer input and paint, then go on. @returns {Promise<void>} */
export const breathe = () => new Promise((go) => setTimeout(go, 0));

/** @param {number} ms @returns {Promise<void>} */
export const wait = (ms) => new Promise((go) => setTimeout(go, ms));

const ICONS = {
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M6.5 4.5h4v15h-4zM13.5 4.5h4v15h-4z",
  back: "M15.5 5.5 9 12l6.5 6.5",
  next: "M8.5 5.5 15 12l-6.5 6.5",
  again: "M5 12a7 7 0 1 1 2.2 5.1M5 12V7M5 12h5",
  dice: "M5 5h14v14H5zM9 9h.01M15 9h.01M12 12h.01M9 15h.01M15 15h.01",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.300l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.700l1-1",
  brush: "M4 20c3 0 4-1.500 4-3.500a2.500 2.500 0 0 1 5 0C13 19 10 21 4 20zM12 13 19.500 4.500",
};

/**
 * An icon of the book's own, drawn in the text's colour.
 * @param {keyof typeof ICONS} name
 */
export function icon(name) {
  const solid = name === "play" || name === "pause";
  return s("svg", { viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true", focusable: "false",
                    fill: solid ? "currentColor" : "none", stroke: solid ? "none" : "currentColor",
                    "stroke-width": 2, "stroke-linecap": "round", "stroke-linejoin": "round" },
           s("path", { d: ICONS[name] }));
}
