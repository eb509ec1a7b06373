/**
 * The reader's own files: pictures, or a batch file of CIFAR-10. They are read in the page and go nowhere else.
 * Names of files are shown as text only.
 */

/** @typedef {import("./imageset.js").ImageSet} ImageSet */

const CIFAR_RECORD = 1 + 3 * 1024;
const CIFAR_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const MOST = 5000;

/** An error whose message is meant for the reader. */
export class Polite extends Error {}

/** @param {string} name */
const short = (name) => (name.length > 40 ? name.slice(0, 37) + "..." : name);

/**
 * The image sets in dropped files: batches of CIFAR-10 (binary version), one set a class, or any number of pictures,
 * cut to squares and brought to `side` pixels, as one set.
 * @param {File[]} files
 * @param {{side: number, gray: boolean}} how
 * @returns {Promise<ImageSet[]>}
 */
export async function readFiles(files, { side, gray }) {
  if (!files.length) throw new Polite("Nothing was dropped that could be read as a file.");
  const batches = files.filter((file) => /\.bin$/i.test(file.name));
  if (batches.length) return readBatches(batches);
  if (files.length > MOST) throw new Polite(`${files.length} files are too many: at most ${MOST} pictures at once.`);
  /** @type {Float32Array[]} */
  const pictures = [];
  /** @type {string[]} */
  const failed = [];
  for (const file of files) {
    try {
      pictures.push(await readPicture(file, side, gray));
    } catch {
      failed.push(file.name);
    }
  }
  if (!pictures.length)
    throw new Polite(`"${short(failed[0])}" is not a picture that this browser can read. Your pictures of before are kept.`);
  const channels = gray ? 1 : 3;
  const bytes = new Uint8Array(pictures.length * channels * side * side);
  pictures.forEach((one, i) => bytes.set(one, i * one.length));
  return [{ name: "own", title: `your ${pictures.length} pictures` + (failed.length ? ` (${failed.length} files were no pictures)` : ""),
           count: pictures.length, channels, height: side, width: side, bytes, labels: null, classes: null }];
}

/** @param {File} file @param {number} side @param {boolean} gray @returns {Promise<Float32Array>} */
async function readPicture(file, side, gray) {
  const bitmap = await createImageBitmap(file);
  const edge = Math.min(bitmap.width, bitmap.height);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // transparent pictures lie on paper
  context.fillRect(0, 0, side, side);
  context.drawImage(bitmap, (bitmap.width - edge) / 2, (bitmap.height - edge) / 2, edge, edge, 0, 0, side, side);
  bitmap.close();
  const dots = context.getImageData(0, 0, side, side).data, area = side * side;
  const values = new Float32Array((gray ? 1 : 3) * area);
  for (let p = 0; p < area; p++) {
    const [r, g, b] = dots.subarray(4 * p, 4 * p + 3);
    if (gray) values[p] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    else [values[p], values[area + p], values[2 * area + p]] = [r, g, b];
  }
  return values;
}

/**
 * CIFAR-10's own files: records of one label and 3 x 1024 bytes. Each class becomes a set of its own, so that an engine
 * holds 5,000 images at most, and the other classes wait as bytes.
 * @param {File[]} files
 * @returns {Promise<ImageSet[]>}
 */
async function readBatches(files) {
  /** @type {Uint8Array[][]} */
  const found = CIFAR_CLASSES.map(() => []);
  for (const file of files) {
    if (!file.size || file.size % CIFAR_RECORD)
      throw new Polite(`"${short(file.name)}" has ${file.size.toLocaleString("en")} bytes; a CIFAR-10 batch (binary version) is made of ` +
                       `records of ${CIFAR_RECORD.toLocaleString("en")} bytes, so this one is broken or something else.`);
    const bytes = new Uint8Array(await file.arrayBuffer());
    for (let at = 0; at < bytes.length; at += CIFAR_RECORD) {
      if (bytes[at] >= CIFAR_CLASSES.length)
        throw new Polite(`"${short(file.name)}" is no CIFAR-10 batch: record ${at / CIFAR_RECORD} has the label ${bytes[at]}, expected 0 to 9.`);
      found[bytes[at]].push(bytes.subarray(at + 1, at + CIFAR_RECORD));
    }
  }
  return found.flatMap((records, label) => {
    if (!records.length) return [];
    const bytes = new Uint8Array(records.length * (CIFAR_RECORD - 1)), name = CIFAR_CLASSES[label];
    records.forEach((record, i) => bytes.set(record, i * record.length));
    return [{ name: `cifar10-${name}`, title: `CIFAR-10: ${name}, ${records.length.toLocaleString("en")} images of your file`,
              count: records.length, channels: 3, height: 32, width: 32, bytes, labels: null, classes: null }];
  });
}

/**
 * Let an element receive files, by dropping or by choosing.
 * @param {HTMLElement} element
 * @param {(files: File[]) => void} act
 */
export function receive(element, act) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("elsl-over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("elsl-over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("elsl-over");
    act([...(event.dataTransfer?.files ?? [])]);
  });
}
