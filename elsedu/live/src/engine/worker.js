/**
 * A worker: it holds images (a kernel) or a network, takes questions in a queue, and has an ear for those that are no
 * longer wanted.
 *
 * Messages in: {start}, {id, question, full}, {id, question, pixel, count}, {id, x, t, label}, {id, abort: true}.
 * Messages out: {ready: true} or {error}; {id, numbers}, {id, candidates}, {id, noise} or {id, error} (texts); nothing
 * for a question that was given up.
 *
 * @typedef {{bytes: Uint8Array | null, share?: import("./kernel.js").Share, network?: import("../network/runner.js").Unpacked}} Start
 */
import { Runner } from "../network/runner.js";
import { Kernel } from "./kernel.js";

/**
 * Answers messages by calling `reply`; returns the function that takes messages in. Also used without a worker,
 * where a page may have none.
 * @param {(message: any, transfer: Transferable[]) => void} reply
 * @returns {(message: any) => void}
 */
export function answering(reply) {
  /** @type {Kernel | Runner} */
  let holder;
  let queue = Promise.resolve();
  const unwanted = new Set();

  /** @param {Start} start */
  async function begin({ bytes, share, network }) {
    try {
      const module = /** @type {Uint8Array<ArrayBuffer> | null} */ (bytes);
      if (network) holder = await Runner.create(network, module);
      else if (module && share) holder = await Kernel.create(module, share);
      reply({ ready: true }, []);
    } catch (error) {
      reply({ error: String(error) }, []);
    }
  }

  /** @param {any} message */
  async function answer({ id, question, full, pixel, count, x, t, label }) {
    const wanted = async () => {
      await breath();
      return !unwanted.has(id);
    };
    try {
      if (!(await wanted())) return;
      if (holder instanceof Runner) reply({ id, noise: holder.noise(x, t, label) }, []);
      else if (pixel) reply({ id, candidates: holder.candidates(question, pixel, count) }, []);
      else {
        const numbers = await holder.sums(question, full, wanted);
        if (numbers) reply({ id, numbers }, [numbers.buffer]);
      }
    } catch (error) {
      reply({ id, error: String(error) }, []);
    } finally {
      unwanted.delete(id);
    }
  }

  return (message) => {
    if (message.start) queue = begin(message.start);
    else if (message.abort) unwanted.add(message.id);
    else queue = queue.then(() => answer(message));
  };
}

/** Lets messages in. (A timer would wait for 4 ms each time.) */
function breath() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
}
