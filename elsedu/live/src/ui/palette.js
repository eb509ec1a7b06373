/** The colours of the denoisers, the same in every figure of the book (elsedu/figures/style.py; a test compares). */

/** @type {Record<string, string>} */
export const COLORS = {
  els: "#d55e00",
  ls: "#0072b2",
  es: "#cc79a7",
  is: "#7d8894",
  network: "var(--network, #1f2933)", // ink by day, light by night
  data: "#e69f00",
  other: "#56b4e9",
};

/** What the machines are called. @type {Record<string, {short: string, long: string, does: string}>} */
export const NAMES = {
  is: { short: "IS", long: "ideal", does: "one weight a training image" },
  es: { short: "ES", long: "equivariant", does: "whole images, moved anywhere" },
  ls: { short: "LS", long: "local", does: "patches of the same place" },
  els: { short: "ELS", long: "equivariant local", does: "patches of any place" },
  network: { short: "network", long: "trained network", does: "trained on the same images" },
};
