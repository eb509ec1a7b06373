// What benchmarks/live.py measures, in the page.
import { ScoreMachine } from "/elsedu/live/src/machine.js";
import { normalNoise } from "/elsedu/live/src/random.js";
import { sample } from "/elsedu/live/src/sampler.js";
import { ScaleSchedule } from "/elsedu/live/src/scales.js";

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** The last engine: it lives until its memory has been looked at. */
let living = null;

/** Milliseconds of whole samples of the ELS, and what the page noticed of them. */
export async function samples({ set, windows, border, steps, repeats, workers, prefer }) {
  const engine = await live.createEngine({ ...set, images: bytesOf(set.images), workers, prefer });
  const window = Array.isArray(windows) ? new ScaleSchedule(windows) : windows;
  const machine = new ScoreMachine(engine, { border, window });
  const run = (seed) => sample(machine, normalNoise(seed, set.channels * set.height * set.width), { steps });
  await run(0); // compiled and warm
  const beat = heartbeat(), times = [];
  for (let seed = 1; seed <= repeats; seed++) {
    const begin = performance.now();
    await run(seed);
    times.push(performance.now() - begin);
  }
  const { longest } = beat.stop(), { kind, why } = engine;
  living?.dispose();
  living = engine;
  return { kind, why, times, longest };
}

/** Milliseconds of whole samples of a network. */
export async function drawings({ payload, steps, repeats, prefer }) {
  const network = await live.loadNetwork(payload, { prefer });
  const run = (seed) => sample(network, normalNoise(seed, network.shape.reduce((a, b) => a * b)), { steps });
  await run(0);
  const times = [];
  for (let seed = 1; seed <= repeats; seed++) {
    const begin = performance.now();
    await run(seed);
    times.push(performance.now() - begin);
  }
  network.dispose();
  return { why: network.why, times };
}

/** The longest time for which the page would not have answered. */
function heartbeat() {
  const { port1, port2 } = new MessageChannel();
  let last = performance.now(), longest = 0, alive = true;
  port1.onmessage = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (alive) setTimeout(() => port2.postMessage(null), 1);
  };
  port2.postMessage(null);
  return { stop: () => ((alive = false), { longest }) };
}
