/**
 * The sampler: one noise, several denoisers side by side, played from noise to image. The reader paints on the noise,
 * points at pixels to see their sources, and changes data, machines, border, windows, steps and seed.
 */
import { pearson } from "../../metrics.js";
import { normalNoise } from "../../random.js";
import { button, choice, select, slider } from "../controls.js";
import { h, put } from "../dom.js";
import { Polite, readFiles, receive } from "../drop.js";
import { Film } from "../film.js";
import { Exhibit } from "../frame.js";
import { called, image, nearest, size } from "../imageset.js";
import { INK, read, write } from "../link.js";
import { COLORS, NAMES } from "../palette.js";
import { Picture, range } from "../picture.js";
import { Player } from "../player.js";
import { SourcePanel, origins, seams } from "../sources.js";
import { Tile } from "../tile.js";
import { WindowCurve } from "../windows.js";

/** @typedef {{key: string, border?: string, title?: string, windows?: number[], network?: string}} LaneSpec */

/** How a copy of a training image and a new image are told apart in words: r with the nearest training image. */
const COPY = 0.97;

export class Sampler extends Exhibit {
  /** @type {Tile} */ noiseTile = /** @type {any} */ (null);
  /** @type {Tile[]} */ laneTiles = [];
  /** @type {WindowCurve | undefined} */ curve;
  /** @type {ReturnType<typeof select> | undefined} */ setSelect;
  /** @type {ReturnType<typeof select>} */ classSelect = /** @type {any} */ (null);
  /** @type {ReturnType<typeof choice> | undefined} */ borderChoice;
  /** @type {ReturnType<typeof choice> | undefined} */ stepChoice;
  /** @type {ReturnType<typeof slider> | undefined} */ seedSlider;
  /** @type {number | undefined} */ soon;

  /** @param {HTMLElement} root @param {import("../frame.js").Spec} spec @param {string | null} base */
  constructor(root, spec, base) {
    super(root, spec, base);
    const more = spec.more;
    /** @type {Set<string>} what this exhibit offers: sources, paint, windows, nearest, data, steps, border, machines */
    this.parts = new Set(more.parts);
    this.lanes = /** @type {LaneSpec[]} */ (more.lanes);
    this.start = { data: spec.data, seed: more.seed, steps: more.steps, border: more.border ?? "zero", label: more.label ?? null };
    this.data = spec.data;
    this.seed = /** @type {number} */ (more.seed);
    this.steps = /** @type {number} */ (more.steps);
    this.border = /** @type {string} */ (this.start.border);
    this.label = /** @type {number | null} */ (this.start.label);
    this.windows = /** @type {number[]} */ (more.windows ?? this.info.windows);
    /** @type {Set<string | null>} networks that could not be loaded */
    this.missing = new Set();
    this.trouble = "";
    /** @type {Map<number, number>} painted pixels of the noise */
    this.paint = new Map();
    this.ink = INK;
    this.belief = false;
    this.pieces = false;
    /** @type {Film | null} */
    this.film = null;
    this.player = new Player({ steps: this.steps, words: more.words ?? "Play", advance: () => this.advance(),
                               show: (k) => this.show(k), prepare: () => this.prepare(),
                               ready: () => this.film?.ready ?? 0, fail: (error) => this.fail(error) });
    this.tiles = h("div", { class: this.parts.has("nearest") ? "elsl-tiles elsl-steady" : "elsl-tiles" });
    this.panel = this.parts.has("sources") ? new SourcePanel() : null;
    this.layTiles();
    this.mount(this.tiles, this.player.element, this.voice.element, this.view(), this.panel?.element ?? null, this.settings());
    this.poster();
    this.fromLink();
    addEventListener("hashchange", () => this.fromLink());
  }

  get info() {
    const own = this.own.get(this.data);
    return own ? this.ownInfo(own) : this.spec.sets[this.data];
  }

  /** @param {import("../imageset.js").ImageSet} set @returns {import("../frame.js").SetInfo} */
  ownInfo(set) {
    const small = Math.min(set.height, set.width), top = Math.max(5, 2 * Math.floor(small / 3) + 1);
    const windows = Array.from({ length: 20 }, (_, k) => 3 + 2 * Math.round((k / 19) * ((top - 3) / 2)));
    return { ...set, windows, network: null, border: null };
  }

  /** The lanes that this image set can fill: a network only where one was trained on it. */
  get shown() {
    return this.lanes.filter((lane) => lane.key !== "network" || (this.networkOf(lane) && !this.missing.has(this.networkOf(lane))));
  }

  /** @param {LaneSpec} lane */
  networkOf(lane) {
    return lane.network ?? this.info.network;
  }

  /** @param {LaneSpec} lane */
  title(lane) {
    return lane.title ?? (lane.key === "network" ? "network" : NAMES[lane.key].short);
  }

  layTiles() {
    const shape = this.info;
    this.noiseTile = new Tile(shape, { title: "noise", note: this.parts.has("paint") ? "paint on it" : "the same for all",
                                       color: COLORS.data, label: "the noise that all start from" });
    this.laneTiles = this.shown.map((lane) => new Tile(shape, { title: this.title(lane), color: COLORS[lane.key],
      note: lane.title ? "" : lane.key === "network" ? "trained" : NAMES[lane.key].long, label: `${this.title(lane)}: not drawn yet` }));
    put(this.tiles, this.noiseTile.element, this.laneTiles.map((tile) => tile.element));
    this.tiles.style.setProperty("--columns", String(1 + this.laneTiles.length));
    this.tiles.classList.toggle("elsl-pair", this.laneTiles.length === 1);
    if (this.parts.has("paint")) {
      this.noiseTile.picture.paintable((spot) => this.dab(spot), () => this.painted());
      const brush = choice("brush", [{ value: "1", words: "light" }, { value: "-1", words: "dark" }], this.ink > 0 ? "1" : "-1",
                          (v) => (this.ink = +v * INK), { quiet: true });
      this.noiseTile.say(brush.element);
    }
    if (this.panel)
      this.laneTiles.forEach((tile, i) => tile.picture.pointable((spot) => this.point(i, spot)));
    this.showNoise();
  }

  /** The picture made with Python, until the reader plays. */
  poster() {
    this.shown.forEach((lane, i) => {
      const one = this.stills[`lane${this.lanes.indexOf(lane)}`];
      if (one) this.laneTiles[i].picture.copy(one);
      if (one) this.laneTiles[i].picture.describe(one.alt);
    });
  }

  /** What is shown of the films: the noisy image or the belief, and the seams of the mosaic. */
  view() {
    const look = choice("show", [{ value: "noisy", words: "what it has" }, { value: "belief", words: "what it believes" }], "noisy",
                        (v) => { this.belief = v === "belief"; this.show(this.player.at); }, { quiet: true });
    const fresh = button("New noise", () => this.reseed(this.seed + 1, true), { icon: "dice" });
    const pieces = this.panel && h("label", { class: "elsl-check" },
      h("input", { type: "checkbox", on: { change: (/** @type {any} */ e) => { this.pieces = e.target.checked; this.show(this.player.at); } } }),
      h("span", {}, "seams of the mosaic"));
    return h("div", { class: "elsl-row" }, fresh, look.element, pieces);
  }

  /** Everything that can be changed, folded away. */
  settings() {
    const rows = [];
    if (this.parts.has("data")) {
      this.setSelect = select("training images", this.setOptions(), this.data, (v) => this.choose(v));
      const file = h("input", { type: "file", multiple: true, class: "elsl-hidden", "aria-label": "your own pictures, or a batch file of CIFAR-10",
                                on: { change: () => { this.drop([...file.files]); file.value = ""; } } });
      const drop = h("label", { class: "elsl-drop" }, file,
        h("span", {}, this.parts.has("cifar") ? "Drop a batch file of CIFAR-10 (data_batch_1.bin) or your own pictures here, or choose them. They stay on your machine."
                                               : "Drop your own pictures here, or choose them. They stay on your machine."));
      receive(drop, (files) => this.drop(files));
      receive(this.root, (files) => this.drop(files));
      rows.push(this.setSelect.element, drop);
    }
    this.classSelect = select("class", [], "", (v) => { this.label = v === "" ? null : +v; this.again(); });
    rows.push(this.classSelect.element);
    this.offerClasses();
    if (this.parts.has("machines")) rows.push(this.machineChecks());
    if (this.parts.has("border")) {
      this.borderChoice = choice("border", [{ value: "zero", words: "zeros" }, { value: "circular", words: "torus" }], this.border,
                                 (v) => { this.border = v; this.branch(); });
      rows.push(this.borderChoice.element);
    }
    if (this.parts.has("steps")) {
      this.stepChoice = choice("steps", [10, 20, 40, 80].map((n) => ({ value: String(n), words: String(n) })), String(this.steps),
                               (v) => { this.steps = +v; this.again(); });
      this.seedSlider = slider("seed", { min: 0, max: 200, value: this.seed }, (v) => this.reseed(v, false));
      this.seedSlider.input.addEventListener("change", () => this.again());
      rows.push(this.stepChoice.element, this.seedSlider.element);
    }
    if (this.parts.has("windows")) rows.push(this.curveRow());
    if (this.base !== null) rows.push(h("div", { class: "elsl-row" }, button("Copy a link to this", () => this.share(), { icon: "link" })));
    if (this.parts.has("open")) return h("div", { class: "elsl-settings" }, rows);
    return h("details", { class: "elsl-more" }, h("summary", {}, "Change the experiment"), h("div", { class: "elsl-settings" }, rows));
  }

  setOptions() {
    return [...Object.entries(this.spec.sets).map(([value, one]) => ({ value, words: one.title })),
            ...[...this.own].map(([value, one]) => ({ value, words: one.title }))];
  }

  offerClasses() {
    const classes = this.info.classes;
    this.classSelect.element.hidden = !classes;
    if (classes) this.classSelect.offer([{ value: "", words: "all" }, ...classes.map((words, k) => ({ value: String(k), words }))],
                                        this.label === null ? "" : String(this.label));
  }

  machineChecks() {
    const keys = ["is", "es", "ls", "els", "network"];
    return h("fieldset", { class: "elsl-choice elsl-several" }, h("legend", {}, "machines"), h("div", {}, keys.map((key) =>
      h("label", { style: `--tone:${COLORS[key]}` },
        h("input", { type: "checkbox", checked: this.lanes.some((lane) => lane.key === key),
                     on: { change: (/** @type {any} */ e) => this.toggle(key, e) } }),
        h("span", {}, NAMES[key].short)))));
  }

  /** @param {string} key @param {any} event */
  toggle(key, event) {
    const order = ["is", "es", "ls", "els", "network"];
    const kept = this.lanes.filter((lane) => lane.key !== key);
    if (!event.target.checked && !kept.length) {
      event.target.checked = true;
      return this.voice.say("One machine has to stay.");
    }
    this.lanes = event.target.checked ? [...kept, { key }].sort((a, b) => order.indexOf(a.key) - order.indexOf(b.key)) : kept;
    if (key === "network" && event.target.checked && !this.info.network)
      this.voice.say(`No network that was trained on "${this.info.title}" is shipped.`);
    this.rebuild();
  }

  curveRow() {
    this.curve = new WindowCurve({ windows: this.windows, largest: this.largest, color: COLORS.els,
                                   act: (windows) => { this.windows = windows; this.branch(true); } });
    const flat = (/** @type {number} */ p) => this.windows.map(() => p);
    const presets = [["calibrated", () => this.info.windows], ["all 3", () => flat(3)], ["all 7", () => flat(7)],
                     ["all large", () => flat(this.largest)], ["reversed", () => this.windows.slice().reverse()]];
    return h("div", { class: "elsl-windows" }, h("span", { class: "elsl-name" }, "windows P(t): drag the bars"), this.curve.element,
      h("div", { class: "elsl-row" }, presets.map(([words, make]) => button(/** @type {string} */ (words), () => {
        this.windows = /** @type {() => number[]} */ (make)().slice();
        this.curve?.set(this.windows);
        this.branch();
      }))));
  }

  get largest() {
    const small = Math.min(this.info.height, this.info.width), odd = small - 1 + (small % 2);
    return Math.max(Math.min(odd, 21), ...this.windows, ...this.info.windows);
  }

  /** The noise: normal numbers of the seed, and what was painted. */
  noise() {
    const { channels, height, width } = this.info, area = height * width;
    const values = normalNoise(this.seed, channels * area);
    for (const [at, value] of this.paint) for (let c = 0; c < channels; c++) values[c * area + at] = value;
    return values;
  }

  showNoise() {
    this.noiseTile.picture.show(this.noise(), 2.2);
    this.noiseTile.picture.describe(`noise of seed ${this.seed}` + (this.paint.size ? `, ${this.paint.size} pixels painted` : ""));
  }

  /** @param {import("../picture.js").Spot} spot */
  dab({ row, column }) {
    const { height, width } = this.info, reach = Math.max(1, Math.round(width / 16));
    for (let i = 0; i < reach; i++)
      for (let j = 0; j < reach; j++) {
        const r = Math.min(height - 1, row + i), c = Math.min(width - 1, column + j);
        this.paint.set(r * width + c, this.ink);
      }
    this.showNoise();
  }

  painted() {
    this.again(false);
    this.voice.say(`${this.paint.size} pixels painted. Press play to see what becomes of them; new noise wipes them away.`);
  }

  /** Load what is needed and set up the film. @returns {Promise<boolean>} */
  async prepare() {
    if (this.film) return true;
    this.voice.say("Loading the training images and the engine ...");
    const name = this.data;
    await this.load(name);
    const lanes = [];
    for (const lane of this.shown) {
      const network = lane.key === "network" ? await this.trained(lane) : null;
      if (lane.key === "network" && !network) continue;
      lanes.push({ key: lane.key, title: this.title(lane), kind: network ? "network" : "machine", network,
                   border: lane.border ?? this.border, windows: lane.windows ?? null });
    }
    if (this.data !== name) return false;
    this.film = new Film({ engine: this.engine, shape: this.info, lanes: /** @type {any} */ (lanes), windows: this.clamped(),
                           steps: this.steps, noise: this.noise(), label: this.label });
    this.voice.say(this.trouble);
    return true;
  }

  /** The network of a lane; where it cannot be had, the machines go on without it. @param {LaneSpec} lane */
  async trained(lane) {
    const name = /** @type {string} */ (this.networkOf(lane));
    try {
      return await this.network(name);
    } catch (error) {
      this.missing.add(name);
      this.layTiles();
      this.trouble = `The network is not here (${error instanceof Error ? error.message : error}); the machines go on without it. `;
      return null;
    }
  }

  /** On a torus no window is larger than the image. */
  clamped() {
    const small = Math.min(this.info.height, this.info.width), odd = small - 1 + (small % 2);
    const torus = this.border === "circular" || this.lanes.some((lane) => lane.border === "circular");
    return torus ? this.windows.map((p) => Math.min(p, odd)) : this.windows;
  }

  async advance() {
    return this.film ? this.film.advance() : false;
  }

  /** @param {number} k */
  show(k) {
    const film = this.film;
    if (!film) return;
    film.lanes.forEach((lane, i) => {
      const frame = film.frames[i][Math.min(k, film.frames[i].length - 1)], { t, noisy, denoised, source, tied } = frame;
      const picture = this.laneTiles[i].picture;
      const belief = this.belief && denoised;
      picture.show(belief ? denoised : noisy, belief ? 1 : range(film.schedule.alpha(t), film.schedule.sigma(t)));
      picture.describe(`${lane.title} at t = ${t.toFixed(2)}` + (t === 0 ? ", finished" : ""));
      const whole = lane.key === "is" || lane.key === "es";
      picture.lines(this.pieces && source && !whole ? seams(source, tied, film.shape.height, film.shape.width) : []);
      this.laneTiles[i].say();
    });
    if (film.finished && k === film.steps) this.judge();
    else if (!this.voice.element.classList.contains("elsl-bad")) this.voice.say("");
  }

  /** What came out, in one sentence, and the nearest training image under each. */
  judge() {
    const film = /** @type {Film} */ (this.film), set = /** @type {import("../imageset.js").ImageSet} */ (this.set);
    const ends = film.frames.map((lane) => lane[lane.length - 1].noisy);
    const network = film.lanes.findIndex((lane) => lane.kind === "network");
    const words = [];
    film.lanes.forEach((lane, i) => {
      const { index } = nearest(set, ends[i], this.label), training = image(set, index), r = pearson(ends[i], training);
      const { source: origin, tied } = film.frames[i][film.steps];
      if (this.parts.has("nearest")) {
        const small = new Picture(set, { label: `nearest: ${called(set, index)}`, small: true });
        small.show(training);
        this.laneTiles[i].say(small.element, h("span", {}, r > COPY ? "a copy of" : "nearest in the", h("br"), r > COPY ? `image ${index}` : "training set",
                                              h("br"), h("b", {}, `r = ${r.toFixed(2)}`)));
      }
      if (lane.kind === "machine" && r > COPY) words.push(`${lane.title} returned ${called(set, index)}.`);
      else if (lane.key === "es" && origin) words.push(`${lane.title} returned ${called(set, origin[0])}, moved.`);
      else if (lane.kind === "machine")
        words.push(`${lane.title} drew what is in no training image` + (origin ? `, out of pieces of ${origins(origin, tied)} of them.` : "."));
    });
    if (network >= 0) {
      const agree = film.lanes.map((lane, i) => [lane.title, pearson(ends[i], ends[network])]).filter((_, i) => i !== network);
      words.push(`The trained network agrees with ${agree.map(([title, r]) => `${title} to r = ${/** @type {number} */ (r).toFixed(2)}`).join(", with ")}.`);
    }
    this.voice.say(this.trouble + words.join(" "));
  }

  /** @param {number} i @param {import("../picture.js").Spot} spot */
  point(i, spot) {
    const film = this.film, set = this.set, panel = /** @type {SourcePanel} */ (this.panel);
    if (!film || !set) return panel.clear("Press play first: then every pixel can say where it comes from.");
    let of = i;
    if (film.lanes[i].kind === "network") of = film.lanes.findIndex((lane) => lane.key === "els" || lane.key === "ls");
    if (of < 0) return panel.clear("A network cannot say where a pixel comes from.");
    const lane = film.lanes[of], frame = film.frames[of][Math.min(this.player.at, film.frames[of].length - 1)];
    this.laneTiles.forEach((tile, j) => {
      const { kind, key, border } = film.lanes[j], window = film.frames[j][Math.min(this.player.at, film.frames[j].length - 1)].window;
      const small = kind === "network" || key === "is" || key === "es" || !window ? 1 : window;
      tile.picture.outline([{ ...spot, window: small, color: COLORS[key], wrap: border === "circular" }]);
    });
    if (!frame.source) return panel.clear("Go one step on: this one has not been asked yet.");
    panel.show({ set, frame, spot, machine: lane.key, border: lane.border ?? "zero", color: COLORS[lane.key],
                 name: film.lanes[i].kind === "network" ? `${lane.title} (a network cannot say)` : lane.title });
  }

  /** Start from noise again, and play if something had been played. @param {boolean} [play] */
  again(play = true) {
    const was = Boolean(this.film);
    this.film?.stop();
    this.film = null;
    this.player.reset(this.steps);
    this.panel?.clear();
    this.showNoise();
    this.laneTiles.forEach((tile) => { tile.picture.overlay.replaceChildren(); tile.say(); });
    if (!was) return this.laneTiles.forEach((tile) => tile.picture.show(this.noise(), 2.2));
    this.prepare().then(() => { this.show(0); if (play) this.player.play(); }, (error) => this.fail(error));
  }

  /** A change in mid-course: go on from here; at the end, from the beginning. @param {boolean} [quiet] wait for play */
  branch(quiet = false) {
    const film = this.film, k = this.player.at;
    this.player.pause();
    if (!film || k === 0 || k === film.steps) {
      clearTimeout(this.soon);
      this.soon = setTimeout(() => this.again(), quiet ? 350 : 0);
      return;
    }
    film.windows = this.clamped();
    for (const lane of film.lanes) if (!this.lanes.find((one) => one.key === lane.key)?.border) lane.border = this.border;
    film.cut(k);
    this.player.draw(k);
    this.player.pause();
    this.voice.say(`From t = ${(1 - k / film.steps).toFixed(2)} on, the change counts. Press "Go on".`);
  }

  /** @param {number} seed @param {boolean} play */
  reseed(seed, play) {
    this.seed = seed;
    this.paint.clear();
    this.seedSlider?.set(seed);
    this.showNoise();
    if (play) {
      this.again();
      if (!this.film && this.player.at === 0 && !this.player.playing) this.player.play();
    }
  }

  rebuild() {
    this.layTiles();
    this.again();
  }

  /** @param {string} name */
  choose(name) {
    this.data = name;
    this.label = null;
    this.paint.clear();
    this.windows = this.info.windows.slice();
    if (this.info.border) {
      this.border = this.info.border;
      this.borderChoice?.set(this.border);
    }
    this.curve?.set(this.windows, this.largest);
    this.setSelect?.set(name);
    this.offerClasses();
    this.rebuild();
  }

  /** @param {File[]} files */
  async drop(files) {
    try {
      const { channels, height } = this.spec.sets[this.spec.data];
      const sets = await readFiles(files, { side: height < 16 ? 16 : height, gray: channels === 1 });
      for (const set of sets) this.adopt(set);
      this.setSelect?.offer(this.setOptions(), sets[0].name);
      this.choose(sets[0].name);
      this.voice.say(sets.length > 1 ? `${sets.length} classes of CIFAR-10 are in the page, and nowhere else. Shown is "${sets[0].title}"; the others are under "training images". Press play.`
                                     : `${sets[0].title} are in the page, and nowhere else. Press play.`);
    } catch (error) {
      this.fail(error instanceof Polite ? error : new Polite("These files could not be read. What was there is kept."));
    }
  }

  state() {
    const { data, seed, steps, border, label, windows } = this;
    const same = windows.every((p, k) => p === this.info.windows[k]);
    return { data: this.own.has(data) ? this.spec.data : data, seed, steps, border, label: label ?? undefined,
             windows: same ? undefined : windows, paint: /** @type {[number, number][]} */ ([...this.paint]) };
  }

  async share() {
    const address = location.href.replace(/#.*$/, "") + write(this.spec.id, this.state());
    history.replaceState(null, "", address);
    try {
      await navigator.clipboard.writeText(address);
      this.voice.say("The link is in your clipboard and in the address line.");
    } catch {
      this.voice.say("The link is in the address line: copy it from there.");
    }
  }

  /** Restore what a link says. What has no sense is left out and named. */
  fromLink() {
    const { state, bad } = read(this.spec.id, location.hash);
    if (!state) return;
    if (state.data && !this.spec.sets[state.data]) bad.push("data"), delete state.data;
    if (state.data && state.data !== this.data) this.choose(state.data);
    const { height, width, classes } = this.info;
    if (state.paint?.some(([at]) => at >= height * width)) bad.push("paint"), delete state.paint;
    if (state.label !== undefined && !(classes && state.label < classes.length)) bad.push("label"), delete state.label;
    if (state.windows?.some((p) => p > 2 * Math.max(height, width) - 1)) bad.push("windows"), delete state.windows;
    Object.assign(this, { seed: state.seed ?? this.start.seed, steps: state.steps ?? this.start.steps, border: state.border ?? this.border,
                          label: state.label ?? null, windows: state.windows ?? this.windows, paint: new Map(state.paint ?? []) });
    this.curve?.set(this.windows, this.largest);
    this.seedSlider?.set(this.seed);
    this.stepChoice?.set(String(this.steps));
    this.borderChoice?.set(this.border);
    this.offerClasses();
    this.again(false);
    this.root.scrollIntoView?.({ block: "center" });
    this.voice.say(bad.length ? `The link holds something that has no sense here (${bad.join(", ")}): left out. The rest is set; press play.`
                              : "Set as in the link. Press play.", bad.length > 0);
  }
}
