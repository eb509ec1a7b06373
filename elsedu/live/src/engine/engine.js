/** Which processor sums over the patches: chosen once, and named, so that the page can say it. */
import wasm from "../../dist/shift.wasm";
import workerSource from "worker:./worker_main.js";
import { PlainEngine } from "./plain.js";
import { startNetwork } from "../network/network.js";
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

/**
 * A shipped network (see network/weights.js for the payload).
 * @param {import("../network/weights.js").Payload} payload
 * @param {{prefer?: "auto" | "wasm" | "js"}} [options]
 */
export function loadNetwork(payload, { prefer = "auto" } = {}) {
  return startNetwork(payload, { wasm: prefer === "js" ? null : wasm, workerSource });
}
