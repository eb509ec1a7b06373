/** The script of a worker; it is built into one text, from which the page makes a Blob. */
import { answering } from "./worker.js";

const take = answering((message, transfer) => self.postMessage(message, { transfer }));
self.onmessage = ({ data }) => take(data);
