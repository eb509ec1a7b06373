/**
 * The world of two pixels: every image is a point of the plane. The reader drags the training images, drops a noise or
 * a rain of them, and sees where IS, LS, ES and ELS carry them. The machines are written out: four lines of sums.
 */
import { normalNoise } from "../../random.js";
import { cosine } from "../../schedule.js";
import { times } from "../../sampler.js";
import { button, rename, slider } from "../controls.js";
import { h, put, s, still } from "../dom.js";
import { Exhibit } from "../frame.js";
import { COLORS, NAMES } from "../palette.js";

/** @typedef {[number, number]} Point  left pixel, right pixel */

const REACH = 2.3, STEPS = 120, RAIN = 160, SECONDS = 4;

/** Sum of values weighted by exp(-distance / 2 sigma^2). @param {number[]} distances @param {number[]} values @param {number} sigma */
function mean(distances, values, sigma) {
  const least = Math.min(...distances), weights = distances.map((d) => Math.exp((least - d) / (2 * sigma * sigma)));
  const sum = weights.reduce((a, b) => a + b);
  return values.reduce((a, v, i) => a + v * weights[i], 0) / sum;
}

/**
 * What a machine believes about two noisy pixels: windows of one pixel, a torus of two.
 * @param {string} machine
 * @param {Point[]} data
 * @param {Point} x
 * @param {number} alpha
 * @param {number} sigma
 * @returns {Point}
 */
export function believe(machine, data, x, alpha, sigma) {
  if (machine === "is" || machine === "es") {
    // whole images; ES adds each image moved by one pixel, which exchanges the two
    const images = machine === "es" ? [...data, ...data.map(([a, b]) => /** @type {Point} */ ([b, a]))] : data;
    const distances = images.map((y) => (x[0] - alpha * y[0]) ** 2 + (x[1] - alpha * y[1]) ** 2);
    return [mean(distances, images.map((y) => y[0]), sigma), mean(distances, images.map((y) => y[1]), sigma)];
  }
  // one pixel at a time: LS compares with values of the same place, ELS with values of both places
  return /** @type {Point} */ (x.map((value, place) => {
    const values = machine === "els" ? data.flat() : data.map((y) => y[place]);
    return mean(values.map((v) => (value - alpha * v) ** 2), values, sigma);
  }));
}

/** All the places where a process can end. @param {string} machine @param {Point[]} data @returns {Point[]} */
export function ends(machine, data) {
  if (machine === "is") return data;
  if (machine === "es") return [...data, ...data.map(([a, b]) => /** @type {Point} */ ([b, a]))];
  const left = machine === "els" ? data.flat() : data.map((y) => y[0]), right = machine === "els" ? data.flat() : data.map((y) => y[1]);
  return left.flatMap((a) => right.map((b) => /** @type {Point} */ ([a, b])));
}

/** The way of a noise to t = 0. @param {string} machine @param {Point[]} data @param {Point} noise @returns {Point[]} */
export function path(machine, data, noise) {
  const schedule = cosine(), grid = times(STEPS), points = [noise];
  for (let k = 0; k < STEPS; k++) {
    const x = points[k], a = schedule.alpha(grid[k]), b = schedule.sigma(grid[k]);
    const x0 = believe(machine, data, x, a, b), c = schedule.alpha(grid[k + 1]), d = schedule.sigma(grid[k + 1]);
    points.push(/** @type {Point} */ (x.map((v, i) => c * x0[i] + (d * (v - a * x0[i])) / b)));
  }
  return points;
}

export class Plane extends Exhibit {
  /** @param {HTMLElement} root @param {import("../frame.js").Spec} spec @param {string | null} base */
  constructor(root, spec, base) {
    super(root, spec, base);
    this.machines = /** @type {string[]} */ (spec.more.machines);
    this.first = /** @type {Point[]} */ (spec.more.points);
    this.data = this.first.map((p) => /** @type {Point} */ ([...p]));
    /** @type {Point[]} noises: the last one is the reader's own */
    this.noises = [];
    this.seed = 1;
    this.step = STEPS;
    this.turn = 0;
    this.panels = this.machines.map((machine) => this.panel(machine));
    this.playButton = button("Play", () => (this.running ? this.pause() : this.play()), { icon: "play", primary: true });
    this.clock = slider("time", { min: 0, max: STEPS, value: STEPS, ends: ["noise", "image"], say: (k) => `t = ${(1 - k / STEPS).toFixed(2)}` },
                        (k) => { this.pause(); this.step = k; this.draw(); });
    this.running = false;
    this.mount(
      h("div", { class: `elsl-tiles elsl-planes${this.machines.length === 1 ? " elsl-alone" : ""}`, style: `--columns:${this.machines.length > 3 ? 2 : this.machines.length}` }, this.panels.map((one) => one.element)),
      h("div", { class: "elsl-player" }, this.playButton, this.clock.element),
      h("div", { class: "elsl-row" },
        button("Drop a noise", () => this.drop(this.random(1)[0]), { icon: "dice" }),
        button(`Rain of ${RAIN}`, () => { this.noises = this.random(RAIN); this.begin(); }),
        button("Another training image", () => this.add()),
        button("Start over", () => this.reset(), { icon: "again" })));
    this.noises = this.random(RAIN);
    this.compute();
    this.draw();
    addEventListener("resize", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.root);
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  /** @param {string} machine */
  panel(machine) {
    const canvas = h("canvas", { "aria-hidden": "true" });
    const marks = s("svg", { viewBox: `${-REACH} ${-REACH} ${2 * REACH} ${2 * REACH}`, class: "elsl-marks" });
    const box = h("div", { class: "elsl-pic elsl-plane", role: "group", "aria-label": `${NAMES[machine].long} machine, plane of two-pixel images` }, canvas, marks);
    box.addEventListener("click", (/** @type {MouseEvent} */ e) => {
      if (/** @type {Element} */ (e.target).closest(".elsl-handle")) return;
      this.drop(this.point(box, e));
    });
    const count = h("span", {}, "");
    const element = h("div", { class: "elsl-tile", style: `--tone:${COLORS[machine]}` },
      h("div", { class: "elsl-head" }, h("strong", {}, NAMES[machine].short), count), box);
    return { machine, canvas, marks, box, count, element, paths: /** @type {Point[][]} */ ([]) };
  }

  /** @param {Element} box @param {MouseEvent} event @returns {Point} */
  point(box, event) {
    const { left, top, width, height } = box.getBoundingClientRect();
    return [REACH * (2 * ((event.clientX - left) / width) - 1), -REACH * (2 * ((event.clientY - top) / height) - 1)];
  }

  /** @param {number} count @returns {Point[]} */
  random(count) {
    const values = normalNoise(this.seed++, 2 * count);
    return Array.from({ length: count }, (_, i) => [values[2 * i], values[2 * i + 1]]);
  }

  /** @param {Point} noise */
  drop(noise) {
    this.noises = [noise];
    this.begin();
    const said = this.machines.map((m, i) => `${NAMES[m].short} (${this.panels[i].paths[0][STEPS].map((v) => v.toFixed(2)).join(", ")})`);
    this.voice.say(`Noise (${noise.map((v) => v.toFixed(2)).join(", ")}) ends at ${said.join("; ")}.`.replace(/-/g, "−"));
  }

  begin() {
    this.voice.say("");
    this.compute();
    this.step = 0;
    if (still()) this.step = STEPS;
    else this.play();
    this.draw();
  }

  add() {
    if (this.data.length >= 6) return this.voice.say("Six training images are enough for this plane.");
    const [x, y] = normalNoise(this.seed++, 2).map((v) => Math.max(-1, Math.min(1, 0.7 * v)));
    this.data.push([x, y]);
    this.compute();
    this.draw();
  }

  reset() {
    this.pause();
    this.data = this.first.map((p) => /** @type {Point} */ ([...p]));
    this.noises = this.random(RAIN);
    this.step = STEPS;
    this.voice.say("");
    this.compute();
    this.draw();
  }

  compute() {
    for (const one of this.panels) {
      one.paths = this.noises.map((noise) => path(one.machine, this.data, noise));
      const found = new Set(ends(one.machine, this.data).map((p) => p.map((v) => v.toFixed(3)).join()));
      one.count.textContent = `${NAMES[one.machine].long}, ${found.size} possible ends`;
    }
  }

  async play() {
    const turn = ++this.turn, from = this.step >= STEPS ? 0 : this.step, started = performance.now();
    this.running = true;
    rename(this.playButton, "Pause", "pause");
    while (turn === this.turn && this.step < STEPS + 1) {
      this.step = Math.min(STEPS, from + Math.floor(((performance.now() - started) / 1000 / SECONDS) * STEPS));
      this.draw();
      if (this.step === STEPS) break;
      await new Promise((go) => requestAnimationFrame(go));
    }
    if (turn === this.turn) this.pause();
  }

  pause() {
    this.turn++;
    this.running = false;
    rename(this.playButton, this.step === STEPS ? "Again" : "Play", this.step === STEPS ? "again" : "play");
  }

  draw() {
    this.clock?.set(this.step);
    for (const one of this.panels) this.drawPanel(one);
  }

  /** @param {Plane["panels"][number]} one */
  drawPanel({ machine, canvas, marks, box, paths }) {
    const side = Math.round(box.clientWidth * devicePixelRatio), context = /** @type {HTMLCanvasElement} */ (canvas).getContext("2d");
    if (!context || !side) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const style = getComputedStyle(this.root), unit = side / (2 * REACH);
    /** @param {Point} p @returns {[number, number]} */
    const at = ([x, y]) => [(x + REACH) * unit, (REACH - y) * unit];
    context.clearRect(0, 0, side, side);
    context.lineWidth = devicePixelRatio;
    context.strokeStyle = style.getPropertyValue("--line");
    context.strokeRect(...at([-1, 1]), 2 * unit, 2 * unit);
    context.strokeStyle = context.fillStyle = COLORS[machine];
    const one = paths.length === 1;
    for (const path of paths) {
      context.globalAlpha = one ? 0.9 : 0.28;
      context.lineWidth = (one ? 2.2 : 1) * devicePixelRatio;
      context.beginPath();
      for (let k = one ? 0 : Math.max(0, this.step - 14); k <= this.step; k++) {
        const [x, y] = at(path[k]);
        if (k) context.lineTo(x, y);
        else context.moveTo(x, y);
      }
      context.stroke();
      context.globalAlpha = one ? 1 : 0.75;
      context.beginPath();
      context.arc(...at(path[this.step]), (one ? 5.5 : 2.6) * devicePixelRatio, 0, 7);
      context.fill();
    }
    context.globalAlpha = 1;
    this.drawMarks(machine, marks, box);
  }

  /** Training images and possible ends. @param {string} machine @param {any} marks @param {Element} box */
  drawMarks(machine, marks, box) {
    const rings = ends(machine, this.data).map(([x, y]) => s("circle", { cx: x, cy: -y, r: 0.085, class: "elsl-ring" }));
    if (marks.querySelectorAll(".elsl-handle").length !== this.data.length)
      put(marks, s("g", { class: "elsl-rings" }),
          s("text", { x: REACH - 0.08, y: 0.05, "text-anchor": "end" }, "left pixel →"), s("text", { x: 0.08, y: 0.22 - REACH }, "↑ right pixel"), this.data.map((_, i) => this.handle(i, box)));
    put(marks.querySelector(".elsl-rings"), rings);
    marks.querySelectorAll(".elsl-handle").forEach((/** @type {Element} */ handle, /** @type {number} */ i) => {
      const [x, y] = this.data[i];
      handle.setAttribute("transform", `translate(${x} ${-y})`);
      handle.setAttribute("aria-label", `training image ${i + 1}: left pixel ${x.toFixed(2)}, right pixel ${y.toFixed(2)}; arrow keys move it`);
      /** @param {number} v */
      const gray = (v) => `fill:rgb(${Array(3).fill(Math.round(127.5 * (1 + Math.max(-1, Math.min(1, v))))).join()})`;
      handle.children[1].setAttribute("style", gray(x));
      handle.children[2].setAttribute("style", gray(y));
    });
  }

  /** A training image on the plane: its two pixels, to be dragged. @param {number} i @param {Element} box */
  handle(i, box) {
    const size = 0.15;
    const handle = s("g", { class: "elsl-handle", tabindex: 0, role: "button" },
      s("rect", { x: -0.32, y: -0.32, width: 0.64, height: 0.64, class: "elsl-finger" }),
      s("rect", { x: -size, y: -size / 2, width: size, height: size }), s("rect", { x: 0, y: -size / 2, width: size, height: size }),
      s("rect", { x: -size, y: -size / 2, width: 2 * size, height: size, class: "elsl-frame" }));
    /** @param {Point} p */
    const move = (p) => {
      this.data[i] = /** @type {Point} */ (p.map((v) => Math.max(-1, Math.min(1, v))));
      this.pause();
      this.compute();
      this.draw();
    };
    handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ e) => {
      e.preventDefault();
      handle.setPointerCapture(e.pointerId);
      handle.focus();
      const drag = (/** @type {PointerEvent} */ d) => move(this.point(box, d));
      handle.addEventListener("pointermove", drag);
      for (const end of ["pointerup", "pointercancel"])
        handle.addEventListener(end, () => handle.removeEventListener("pointermove", drag), { once: true });
    });
    handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ k) => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[k.key];
      if (!by) return;
      k.preventDefault();
      move([this.data[i][0] + 0.05 * by[0], this.data[i][1] + 0.05 * by[1]]);
    });
    return handle;
  }
}
