// Runs in the page: asks an engine what tests/live/cases.py made up, and packs the answers.
export const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
export const floatsOf = (text) => new Float32Array(bytesOf(text).buffer);

export function packed(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(text);
}

export const unpackedSet = (set) => ({ ...set, images: bytesOf(set.images) });

// {kind, why, answers}: one answer for each case, its arrays packed
export async function answers(createEngine, set, cases, prefer) {
  const engine = await createEngine({ ...unpackedSet(set), prefer });
  const found = [];
  for (const { x, ...question } of cases) {
    const posterior = await engine.posterior({ ...question, x: floatsOf(x) });
    found.push(Object.fromEntries(Object.entries(posterior).map(([name, array]) => [name, packed(array)])));
  }
  const { kind, why } = engine;
  engine.dispose();
  return { kind, why, answers: found };
}

// The heaviest patches of pixels: one list for each case
export async function heaviest(createEngine, set, cases, pixels, prefer) {
  const engine = await createEngine({ ...unpackedSet(set), prefer });
  const found = [];
  for (let i = 0; i < cases.length; i++)
    found.push(await engine.heaviest({ ...cases[i], x: floatsOf(cases[i].x), pixel: pixels[i] }));
  engine.dispose();
  return found;
}
