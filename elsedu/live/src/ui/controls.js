/** Buttons, segmented choices and sliders: native elements, at least 44 px for a finger, named for screen readers. */
import { fresh, h, icon, put } from "./dom.js";

/**
 * @param {string} words
 * @param {() => void} act
 * @param {{icon?: Parameters<typeof icon>[0], primary?: boolean, bare?: boolean, title?: string}} [options]
 * @returns {HTMLButtonElement}
 */
export function button(words, act, { icon: name, primary = false, bare = false, title } = {}) {
  return h("button", { type: "button", class: `elsl-button${primary ? " elsl-primary" : ""}${bare ? " elsl-bare" : ""}`,
                       "aria-label": bare ? words : undefined, title: title ?? (bare ? words : undefined),
                       on: { click: act } },
           name && icon(name), !bare && h("span", {}, words));
}

/** Change a button's words and icon. @param {HTMLButtonElement} one @param {string} words @param {Parameters<typeof icon>[0]} name */
export function rename(one, words, name) {
  if (one.classList.contains("elsl-bare")) {
    put(one, icon(name));
    one.setAttribute("aria-label", words);
  } else put(one, icon(name), h("span", {}, words));
}

/**
 * A choice of one among a few, all visible (radio buttons in one row).
 * @param {string} name
 * @param {{value: string, words: string, color?: string}[]} options
 * @param {string} value
 * @param {(value: string) => void} act
 * @param {{quiet?: boolean}} [how]  quiet: the name is for screen readers only
 */
export function choice(name, options, value, act, { quiet = false } = {}) {
  const group = fresh();
  const element = h("fieldset", { class: "elsl-choice" }, h("legend", { class: quiet ? "elsl-hidden" : "" }, name),
    h("div", {}, options.map((one) => h("label", { style: one.color ? `--tone:${one.color}` : "" },
      h("input", { type: "radio", name: group, value: one.value, checked: one.value === value,
                   on: { change: () => act(one.value) } }),
      h("span", {}, one.words)))));
  return { element,
           /** @param {string} v */
           set(v) {
             for (const input of element.querySelectorAll("input")) input.checked = input.value === v;
           } };
}

/**
 * @param {string} name
 * @param {{min: number, max: number, step?: number, value: number, ends?: [string, string], say?: (v: number) => string}} options
 * @param {(value: number) => void} act
 */
export function slider(name, { min, max, step = 1, value, ends, say = (v) => String(v) }, act) {
  const output = h("output", {}, say(value));
  const input = h("input", { type: "range", min, max, step, value, "aria-label": name, "aria-valuetext": say(value),
                             on: { input: () => (tell(+input.value), act(+input.value)) } });
  /** @param {number} v */
  const tell = (v) => {
    output.textContent = say(v);
    input.setAttribute("aria-valuetext", `${name} ${say(v)}`);
  };
  const element = h("div", { class: "elsl-slider" }, h("span", { class: "elsl-name", "aria-hidden": "true" }, name),
    h("span", { class: "elsl-track" }, ends && h("span", { class: "elsl-end", "aria-hidden": "true" }, ends[0]), input,
      ends && h("span", { class: "elsl-end", "aria-hidden": "true" }, ends[1])), output);
  return { element, input,
           /** @param {number} v */
           set(v) {
             input.value = String(v);
             tell(v);
           } };
}

/**
 * @param {string} name
 * @param {{value: string, words: string}[]} options
 * @param {string} value
 * @param {(value: string) => void} act
 */
export function select(name, options, value, act) {
  const input = h("select", { on: { change: () => act(input.value) } },
    options.map((one) => h("option", { value: one.value, selected: one.value === value }, one.words)));
  const element = h("label", { class: "elsl-select" }, h("span", { class: "elsl-name" }, name), input);
  return { element, input,
           /** @param {{value: string, words: string}[]} next @param {string} v */
           offer(next, v) {
             put(input, next.map((one) => h("option", { value: one.value, selected: one.value === v }, one.words)));
           },
           /** @param {string} v */
           set(v) {
             input.value = v;
           } };
}

/** A line that screen readers hear when it changes. */
export function voice() {
  const element = h("p", { class: "elsl-voice", role: "status", "aria-live": "polite" });
  return { element,
           /** @param {string} words @param {boolean} [bad] */
           say(words, bad = false) {
             element.textContent = words;
             element.classList.toggle("elsl-bad", bad);
           } };
}
