/** Play, pause, step and scrub: the transport under every film. Time always runs from noise (left) to image (right). */
import { button, rename, slider } from "./controls.js";
import { h, still, wait } from "./dom.js";

/** Shortest time between two steps while playing, in ms: slow enough to see, fast enough not to wait. */
const PACE = 110;

export class Player {
  /**
   * @param {{steps: number, advance: () => Promise<boolean>, show: (k: number) => void, prepare?: () => Promise<boolean>,
   *          ready: () => number, fail: (error: unknown) => void, words?: string, extra?: Node[]}} setup
   *   advance computes one more step; ready says how many there are; show draws step k; prepare loads what is missing
   */
  constructor({ steps, advance, show, prepare, ready, fail, words = "Play", extra = [] }) {
    this.advance = advance;
    this.show = show;
    this.prepare = prepare;
    this.ready = ready;
    this.fail = fail;
    this.words = words;
    this.steps = steps;
    this.at = 0;
    this.playing = false;
    this.turn = 0; // a newer play or pause overtakes an older one
    this.playButton = button(words, () => (this.playing ? this.pause() : this.play()), { icon: "play", primary: true });
    this.back = button("one step towards noise", () => this.seek(this.at - 1), { icon: "back", bare: true });
    this.forth = button("one step towards the image", () => this.seek(this.at + 1), { icon: "next", bare: true });
    this.scrubber = slider("step", { min: 0, max: steps, value: 0, ends: ["noise", "image"],
                                     say: (k) => `t = ${(1 - k / this.steps).toFixed(2)}` }, (k) => this.seek(k));
    this.element = h("div", { class: "elsl-player" }, this.playButton, h("div", { class: "elsl-steps" }, this.back, this.forth),
                     this.scrubber.element, ...extra);
  }

  /** Start anew with so many steps. @param {number} steps */
  reset(steps) {
    this.pause();
    this.steps = steps;
    this.scrubber.input.max = String(steps);
    this.draw(0);
  }

  /** @param {number} k */
  draw(k) {
    this.at = k;
    this.scrubber.set(k);
    this.back.disabled = k === 0;
    this.forth.disabled = k === this.steps;
    this.show(k);
  }

  pause() {
    this.turn++;
    this.playing = false;
    const words = this.at === this.steps ? "Again" : this.at > 0 ? "Go on" : this.words;
    rename(this.playButton, words, this.at === this.steps ? "again" : "play");
    this.element.classList.remove("elsl-busy");
  }

  /** Go to step k, computing what is missing on the way. @param {number} k */
  async seek(k) {
    k = Math.max(0, Math.min(this.steps, k));
    this.pause();
    const turn = this.turn;
    if (k > this.ready()) await this.work(turn, k);
    if (turn === this.turn) {
      this.draw(Math.min(k, this.ready()));
      this.pause();
    }
  }

  async play() {
    if (this.at === this.steps) this.draw(0);
    const turn = ++this.turn;
    this.playing = true;
    rename(this.playButton, "Pause", "pause");
    await this.work(turn, this.steps, !still());
    if (turn !== this.turn) return;
    this.draw(this.ready());
    this.pause();
  }

  /** @param {number} turn @param {number} end @param {boolean} [film] show every step at the pace of a film */
  async work(turn, end, film = false) {
    try {
      this.element.classList.add("elsl-busy");
      if (this.prepare && !(await this.prepare())) return;
      let k = film ? this.at : end;
      while (turn === this.turn) {
        const started = performance.now();
        const goal = film ? k + 1 : end;
        while (this.ready() < goal && turn === this.turn) if (!(await this.advance())) return;
        if (!film || turn !== this.turn) return;
        await wait(Math.max(0, PACE - (performance.now() - started)));
        if (turn !== this.turn) return;
        this.draw(++k);
        if (k >= end) return;
      }
    } catch (error) {
      if (turn === this.turn) this.fail(error);
    } finally {
      if (turn === this.turn) this.element.classList.remove("elsl-busy");
    }
  }
}
