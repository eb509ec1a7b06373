/** Which processor sums over the patches: chosen once, and named, so that the page can say it. */
import wasm from "../../dist/shift.wasm";
import workerSource from "worker:./worker_main.js";
import { PlainEngine } from "./plain.js";
import { WasmEngine } from "./wasm.js";

/**
 * @param {import("./question.js").Images & {prefer?: "auto" | "webgpu" | "wasm" | "js", workers?: number}} options
 * @returns {Promise<import("./plain.js").Engine>}
 */
export async function createEngine({ prefer = "auto", workers, ...images }) {
  let why = "runs in plain JavaScript, as asked for";
  if (prefer !== "js")
    try {
      return await WasmEngine.create({ ...images, workers }, { wasm, workerSource });
    } catch (error) {
      why = `runs in plain JavaScript, since WebAssembly does not run here (${error})`;
    }
  return new PlainEngine(images, why);
}
