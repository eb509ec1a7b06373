/**
 * A worker: one kernel, a queue of questions, and an ear for questions that are no longer wanted.
 *
 * Messages in: {start: {bytes, share}}, {id, question, full}, {id, question, pixel, count}, {id, abort: true}.
 * Messages out: {ready: true}, {id, numbers}, {id, candidates}, {id, error} (text); nothing for a question given up.
 */
import { Kernel } from "./kernel.js";

/**
 * Answers messages by calling `reply`; returns the function that takes messages in. Also used without a worker,
 * where a page may have none.
 * @param {(message: any, transfer: Transferable[]) => void} reply
 * @returns {(message: any) => void}
 */
export function answering(reply) {
  /** @type {Promise<Kernel>} */
  let kernel;
  let queue = Promise.resolve();
  const unwanted = new Set();

  /** @param {any} message */
  async function answer({ id, question, full, pixel, count }) {
    const wanted = async () => {
      await breath();
      return !unwanted.has(id);
    };
    try {
      if (unwanted.has(id)) return;
      if (pixel) reply({ id, candidates: (await kernel).candidates(question, pixel, count) }, []);
      else {
        const numbers = await (await kernel).sums(question, full, wanted);
        if (numbers) reply({ id, numbers }, [numbers.buffer]);
      }
    } catch (error) {
      reply({ id, error: String(error) }, []);
    } finally {
      unwanted.delete(id);
    }
  }

  return (message) => {
    if (message.start) {
      kernel = Kernel.create(message.start.bytes, message.start.share);
      kernel.then(() => reply({ ready: true }, []), (error) => reply({ error: String(error) }, []));
    } else if (message.abort) unwanted.add(message.id);
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
