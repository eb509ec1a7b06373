/** One worker, or its stand-in on the page's own thread, as a function that is asked and answers. */
import { answering } from "./worker.js";

export class Hand {
  /** @param {(message: any, transfer?: Transferable[]) => void} send @param {boolean} separate @param {() => void} dispose */
  constructor(send, separate, dispose) {
    this.send = send;
    this.separate = separate;
    this.dispose = dispose;
    /** @type {Map<number, {resolve: (message: any) => void, reject: (error: Error) => void}>} */
    this.waiting = new Map();
    this.next = 0;
  }

  /**
   * @param {string | null} source the worker's script; null: no worker
   * @param {import("./worker.js").Start} start what the worker shall hold
   * @param {Transferable[]} [transfer] parts of it that the page gives away
   * @returns {Promise<Hand>}
   */
  static start(source, start, transfer = []) {
    return new Promise((resolve, reject) => {
      /** @type {Hand} */
      let hand;
      const take = (/** @type {any} */ message) => {
        if (message.ready) resolve(hand);
        else if (message.id === undefined) {
          hand.dispose();
          reject(new Error(message.error));
        } else hand.take(message);
      };
      if (source === null) {
        hand = new Hand(answering(take), false, () => {});
        hand.send({ start });
        return;
      }
      const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      const worker = new Worker(address);
      hand = new Hand((message, parts = []) => worker.postMessage(message, parts), true, () => {
        worker.terminate();
        URL.revokeObjectURL(address);
      });
      worker.onmessage = ({ data }) => take(data);
      worker.onerror = (event) => {
        hand.dispose();
        reject(new Error(event.message ?? "the page may not start workers"));
      };
      hand.send({ start }, transfer);
    });
  }

  /** @param {object} message @param {AbortSignal} [signal] @returns {Promise<any>} */
  ask(message, signal) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.waiting.delete(id);
        this.send({ id, abort: true });
        reject(signal?.reason);
      };
      const settled = () => signal?.removeEventListener("abort", abort);
      this.waiting.set(id, {
        resolve: (answer) => (settled(), resolve(answer)),
        reject: (error) => (settled(), reject(error)),
      });
      signal?.addEventListener("abort", abort);
      this.send({ id, ...message });
    });
  }

  /** @param {any} message */
  take({ id, error, ...answer }) {
    const asked = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) asked?.reject(new Error(error));
    else asked?.resolve(answer);
  }
}
