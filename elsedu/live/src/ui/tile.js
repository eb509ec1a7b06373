/** One column of a line-up: the name in its colour, the picture, and a line of what is known about it. */
import { h, put } from "./dom.js";
import { Picture } from "./picture.js";

export class Tile {
  /**
   * @param {{channels: number, height: number, width: number}} shape
   * @param {{title: string, note?: string, color: string, label: string}} options
   */
  constructor(shape, { title, note = "", color, label }) {
    this.picture = new Picture(shape, { label, color });
    this.foot = h("div", { class: "elsl-foot" });
    this.element = h("div", { class: "elsl-tile", style: `--tone:${color}` },
      h("div", { class: "elsl-head" }, h("strong", {}, title), note && h("span", {}, note)), this.picture.element, this.foot);
  }

  /** @param {...(import("./dom.js").Child)} children */
  say(...children) {
    put(this.foot, ...children);
  }
}
