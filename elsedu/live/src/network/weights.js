/**
 * The weights of a network as they come from Python (elsedu/live/payload.py), in half precision.
 *
 * @typedef {object} Payload
 * @property {string} name
 * @property {"resnet" | "unet"} kind
 * @property {{image_shape: number[], width: number, classes: number | null, embedding: number, time_scale: number,
 *   blocks?: number, attention?: boolean, heads?: number}} config
 * @property {string} schedule
 * @property {"zero" | "circular"} padding
 * @property {{[name: string]: {shape: number[], offset: number}}} tensors offsets in numbers
 * @property {"float16"} dtype
 * @property {string | ArrayBuffer | Uint8Array} bytes little endian; a string is base64
 *
 * @typedef {{shape: number[], values: Float32Array}} Tensor
 */

/** A number in half precision, given by its 16 bits. @param {number} bits */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The payload with its bytes unpacked to 16-bit words.
 * @param {Payload} payload
 * @returns {Omit<Payload, "bytes"> & {words: Uint16Array}}
 */
export function unpacked({ bytes, ...rest }) {
  if (rest.dtype !== "float16") throw new Error(`weights must be "float16", got "${rest.dtype}"`);
  /** @type {Uint8Array} */
  let data;
  if (typeof bytes === "string") data = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  else data = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const words = Uint16Array.from({ length: data.byteLength / 2 }, (_, i) => view.getUint16(2 * i, true));
  return { ...rest, words };
}

/**
 * A function that looks up a tensor by name.
 * @param {{tensors: Payload["tensors"], words: Uint16Array}} payload
 * @returns {(name: string) => Tensor}
 */
export function tensorsOf({ tensors, words }) {
  return (name) => {
    const entry = tensors[name];
    if (!entry) throw new Error(`the network's weights lack "${name}"`);
    const size = entry.shape.reduce((a, b) => a * b, 1);
    return { shape: entry.shape, values: Float32Array.from(words.subarray(entry.offset, entry.offset + size), half) };
  };
}
