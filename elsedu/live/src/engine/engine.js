/** Which processor sums over the patches: chosen once, and named, so that the page can say it. */
import { PlainEngine } from "./plain.js";

/**
 * @param {import("./question.js").Images & {prefer?: "auto" | "webgpu" | "wasm" | "js"}} options
 * @returns {Promise<import("./plain.js").Engine>}
 */
export async function createEngine({ prefer = "auto", ...images }) {
  return new PlainEngine(images);
}
