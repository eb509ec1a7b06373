/** The bet: two pictures from the same noise, one by the trained network, one by the formula. Which is which? */
import { pearson } from "../../metrics.js";
import { normalNoise, uniform } from "../../random.js";
import { button } from "../controls.js";
import { h, put } from "../dom.js";
import { Film } from "../film.js";
import { Exhibit } from "../frame.js";
import { size } from "../imageset.js";
import { COLORS } from "../palette.js";
import { range } from "../picture.js";
import { Player } from "../player.js";
import { Tile } from "../tile.js";

export class Bet extends Exhibit {
  /** @param {HTMLElement} root @param {import("../frame.js").Spec} spec @param {string | null} base */
  constructor(root, spec, base) {
    super(root, spec, base);
    this.info = spec.sets[spec.data];
    this.seed = /** @type {number} */ (spec.more.seed);
    this.steps = /** @type {number} */ (spec.more.steps);
    this.right = 0;
    this.played = 0;
    this.open = false;
    /** @type {number[]} r of formula and network, noise by noise */
    this.agreement = [];
    /** @type {Film | null} */
    this.film = null;
    this.noiseTile = new Tile(this.info, { title: "noise", color: COLORS.data, label: "the noise of both" });
    this.sides = ["A", "B"].map((title) => new Tile(this.info, { title, color: "var(--line)", label: `${title}: not drawn yet` }));
    this.player = new Player({ steps: this.steps, words: "Draw both", advance: async () => (this.film ? this.film.advance() : false),
                               show: (k) => this.show(k), prepare: () => this.prepare(), ready: () => this.film?.ready ?? 0,
                               fail: (error) => this.fail(error) });
    this.choices = h("div", { class: "elsl-row elsl-bet" });
    this.mount(h("div", { class: "elsl-tiles elsl-three", style: "--columns:3" }, this.noiseTile.element, this.sides.map((one) => one.element)),
               this.player.element, this.choices, this.voice.element);
    this.deal();
    this.sides.forEach((tile, i) => this.stills[`side${i}`] && tile.picture.copy(this.stills[`side${i}`]));
  }

  /** A new noise, and a coin for the sides. */
  deal() {
    this.film?.stop();
    this.film = null;
    this.open = false;
    this.swapped = uniform(this.seed + 1000)() < 0.5;
    this.noiseTile.picture.show(normalNoise(this.seed, this.info.channels * this.info.height * this.info.width), 2.2);
    put(this.choices);
    this.sides.forEach((tile, i) => {
      tile.element.style.setProperty("--tone", "var(--line)");
      tile.say();
      tile.picture.describe(`picture ${"AB"[i]}`);
    });
    this.player.reset(this.steps);
  }

  async prepare() {
    if (this.film) return true;
    this.voice.say("Loading the training images, the engine and the network ...");
    const set = await this.load(this.spec.data), network = await this.network(/** @type {string} */ (this.info.network));
    /** @type {import("../film.js").Lane[]} */
    const lanes = [{ key: "els", title: "the formula", kind: "machine", border: this.info.border ?? "zero" }, { key: "network", title: "the network", kind: "network", network }];
    if (this.swapped) lanes.reverse();
    this.film = new Film({ engine: this.engine, shape: this.info, lanes, windows: this.info.windows, steps: this.steps, noise: normalNoise(this.seed, size(set)) });
    this.voice.say("");
    return true;
  }

  /** @param {number} k */
  show(k) {
    const film = this.film;
    if (!film) return;
    film.frames.forEach((lane, i) => {
      const { t, noisy } = lane[Math.min(k, lane.length - 1)];
      this.sides[i].picture.show(noisy, range(film.schedule.alpha(t), film.schedule.sigma(t)));
    });
    if (film.finished && !this.open && !this.choices.childElementCount)
      put(this.choices, h("span", {}, "Which is the network?"), ["A", "B"].map((title, i) => button(`${title} is the network`, () => this.reveal(i), { primary: true })));
  }

  /** @param {number} guess */
  reveal(guess) {
    const film = /** @type {Film} */ (this.film), [one, other] = film.frames.map((lane) => lane[this.steps].noisy);
    const network = film.lanes.findIndex((lane) => lane.kind === "network"), r = pearson(one, other);
    this.open = true;
    this.played++;
    this.right += +(guess === network);
    this.agreement.push(r);
    this.sides.forEach((tile, i) => {
      tile.element.style.setProperty("--tone", COLORS[film.lanes[i].key]);
      tile.say(h("b", {}, film.lanes[i].kind === "network" ? "the trained network" : "the formula (ELS)"));
      tile.picture.describe(`drawn by ${film.lanes[i].title}`);
    });
    put(this.choices, button("Next noise", () => { this.seed++; this.deal(); this.player.play(); }, { icon: "dice", primary: true }));
    const sorted = this.agreement.slice().sort((a, b) => a - b), middle = sorted[sorted.length >> 1];
    this.voice.say(`${guess === network ? "Right" : "Wrong"}: ${"AB"[network]} is the network. The two agree to r = ${r.toFixed(2)}. ` +
                   `You have ${this.right} of ${this.played} right; a coin would have ${(this.played / 2).toFixed(1)}.` +
                   (this.played > 2 ? ` Median r so far: ${middle.toFixed(2)}.` : ""));
  }
}
