/** Which processor sums over the patches: chosen once, and named, so that the page can say it. */
import wasm from "../../dist/shift.wasm";
import workerSource from "worker:./worker_main.js";
import { startNetwork } from "../network/network.js";
import shader from "./kernel.wgsl";
import { PlainEngine } from "./plain.js";
import { WasmEngine } from "./wasm.js";
import { WebGPUEngine } from "./webgpu.js";

/** Pairs of pixel and patch from which on a graphics processor is worth its journeys: below, the workers are faster. */
const LARGE = 2e8;

/**
 * The first of WebGPU, WebAssembly and plain JavaScript that runs here; "auto" leaves WebGPU to large sets and to real
 * graphics processors. `why` says what was chosen, and why nothing faster.
 *
 * @param {import("./question.js").Images & {prefer?: "auto" | "webgpu" | "wasm" | "js", workers?: number}} options
 * @returns {Promise<import("./plain.js").Engine>}
 */
export async function createEngine({ prefer = "auto", workers, ...images }) {
  /** @type {string[]} */
  const missed = [];
  const note = (/** @type {import("./plain.js").Engine} */ engine) => {
    if (missed.length) engine.why += `; ${missed.join("; ")}`;
    return engine;
  };
  const inWasm = () => WasmEngine.create({ ...images, workers }, { wasm, workerSource });
  const pairs = images.count * (images.height * images.width) ** 2;
  if (prefer === "webgpu" || (prefer === "auto" && pairs >= LARGE))
    try {
      return await WebGPUEngine.create(images, prefer === "auto", shader, inWasm);
    } catch (error) {
      missed.push(reason(error));
    }
  if (prefer !== "js")
    try {
      return note(await inWasm());
    } catch (error) {
      missed.push(reason(error));
    }
  return note(new PlainEngine(images));
}

/** @param {unknown} error */
function reason(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * A shipped network (see network/weights.js for the payload).
 * @param {import("../network/weights.js").Payload} payload
 * @param {{prefer?: "auto" | "wasm" | "js"}} [options]
 */
export function loadNetwork(payload, { prefer = "auto" } = {}) {
  return startNetwork(payload, { wasm: prefer === "js" ? null : wasm, workerSource });
}
