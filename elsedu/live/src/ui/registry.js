/**
 * Payloads on demand: the engine, image sets and networks are classic scripts that call
 * `elsedu_live.register(name, payload)`. A <script> element works from file:// too, where fetch() and modules do not.
 */

/** @type {Map<string, any>} */
const payloads = new Map();
/** @type {Map<string, Promise<any>>} */
const pending = new Map();
/** @type {Map<string, ((payload: any) => void)[]>} */
const waiting = new Map();

/** Keep a payload under a name. @param {string} name @param {any} payload */
export function register(name, payload) {
  payloads.set(name, payload);
  for (const answer of waiting.get(name) ?? []) answer(payload);
  waiting.delete(name);
}

/** @param {string} name */
export const has = (name) => payloads.has(name);

/**
 * The payload of a name; its script is added to the page at the first request.
 * @param {string} name  such as "engine" or "data/mnist16"
 * @param {string | null} base  address of the folder of the scripts, null where everything is in the page
 * @returns {Promise<any>}
 */
export function need(name, base) {
  if (payloads.has(name)) return Promise.resolve(payloads.get(name));
  const running = pending.get(name);
  if (running) return running;
  const promise = new Promise((resolve, reject) => {
    if (base === null) return reject(new Error(`"${name}" is not part of this page`));
    waiting.set(name, [resolve]);
    const script = document.createElement("script");
    script.src = `${base}${name}.js`;
    script.onload = () => payloads.has(name) || fail(new Error(`"${name}" came without content`));
    script.onerror = () => fail(new Error(`"${name}" could not be loaded`));
    /** @param {Error} error */
    const fail = (error) => {
      pending.delete(name); // a later attempt starts anew
      script.remove();
      reject(error);
    };
    document.head.append(script);
  });
  pending.set(name, promise);
  return promise;
}
