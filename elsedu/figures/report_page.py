"""The page of `elsedu.figures.report`: its form, and the lines of script that answer to pointing."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline';
 script-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { --paper: #fff; --ink: #1f2933; --soft: #66717d; --grey: #7d8894; --line: #dfe4e8; --card: #f6f7f9;
        --accent: #c04f00 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181d; --ink: #e6eaee; --soft: #a3adb8; --grey: #9aa5b1; --line: #333b44; --card: #1c2229;
          --accent: #ff9a57 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.2rem; max-width: 60rem; background: var(--paper); color: var(--ink);
       font: 16px/1.55 Inter, system-ui, sans-serif }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .6rem 0; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .4rem } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem }
h4 { font-size: .8rem; font-weight: 500; color: var(--soft); margin: 0 0 .3rem }
p { max-width: 44rem } small { color: var(--soft); font-size: .82em; font-weight: 400 }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .92rem }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line) }
td { font-variant-numeric: tabular-nums } th small { display: block } td small { white-space: nowrap }
tbody th { font-weight: 600 } thead th { color: var(--soft); font-weight: 500; white-space: nowrap }
#origin th { width: 11rem } #origin td { overflow-wrap: anywhere }
svg { width: 100%; height: auto; max-width: 44rem; font-size: 12px } svg text { fill: var(--ink) }
.grid { stroke: var(--line) } .mark { stroke: var(--ink); stroke-width: 2.4 }
.pixels { image-rendering: pixelated; display: block; width: 100%; height: auto; border: 1px solid var(--line) }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem }
.card, .source { background: var(--card); border-radius: 8px; padding: .7rem }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: .4rem } figure { margin: 0 }
figcaption { font-size: .75rem; color: var(--soft); line-height: 1.3; margin-top: .2rem }
.sources { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem }
.source { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; align-content: start }
.stage { position: relative; cursor: crosshair; touch-action: pan-y; align-self: start }
.stage:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
.origin { image-rendering: pixelated; border: 1px solid var(--line); width: 100% }
.cursor { position: absolute; display: none; border: 2px solid var(--accent); box-shadow: 0 0 0 1px #fff8;
          pointer-events: none }
.said, .maps { grid-column: 1 / -1; margin: 0 } .said { font-size: .82rem; color: var(--soft); min-height: 2.6em }
.maps { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem } .maps .pixels { max-width: 8rem }
.keys { font-size: .85rem; margin: .2rem 0 } .keys span { margin-right: 1.1rem }
.keys i { display: inline-block; width: 1.2rem; height: 3px; vertical-align: middle; margin-right: .35rem }
@media (max-width: 30rem) { svg { font-size: 19px } th small { display: none } td small { display: block }
  body { padding: .9rem } .cards, .sources { grid-template-columns: 1fr }
  #origin th { width: 7rem } }
@media print { .source, .card { break-inside: avoid } }
</style></head><body>
<h1>$title</h1>
<p>$lead</p>
<h2>Agreement</h2>
$agreement
<h2>Seed by seed</h2>
<p>Each dot is one seed: how alike its image is to the network's. The stroke is the median.</p>
$strips
<div class=cards>$cards</div>
<h2>Step by step</h2>
<p>One denoising step at a time, on the network's own noisy images: the median over the seeds of the correlation
between what the network and each machine believe the clean image to be.</p>
$forced
<h2>Where the pixels come from</h2>
<p>Point at a pixel of a sample of the theory (left): the training image whose patch weighs most there appears (right),
with the window of the last step. Below, the error that the theory expects and the actual difference to the network,
each scaled to its own largest value.</p>
$errors
<div class=sources>$sources</div>
<h2>How it was made</h2>
<div class=wide><table id=origin><tbody>$provenance</tbody></table></div>
<p><small>The theory: M. Kamb and S. Ganguli, <i>An analytic theory of creativity in convolutional diffusion models</i>,
ICML 2025. Computed with elsedu.</small></p>
<script type="application/json" id=spec>$spec</script>
<script>
(() => {
  const spec = JSON.parse(document.getElementById("spec").textContent), sheet = spec.sprite;
  for (const figure of document.querySelectorAll(".source")) {
    const one = spec.seeds[figure.dataset.seed], [sample, other] = figure.querySelectorAll(".stage");
    const [here, there] = figure.querySelectorAll(".cursor"), origin = figure.querySelector(".origin");
    const said = figure.querySelector(".said");
    let row = Math.floor(one.height / 2), column = Math.floor(one.width / 2);
    origin.style.aspectRatio = one.width + " / " + one.height;
    origin.style.backgroundImage = "url(" + sheet.address + ")";
    origin.style.backgroundSize = 100 * sheet.columns + "% " + 100 * sheet.rows + "%";
    const box = (mark, top, left, high, wide) => {
      const y0 = Math.max(0, top), x0 = Math.max(0, left);
      const y1 = Math.min(one.height, top + high), x1 = Math.min(one.width, left + wide);
      mark.style.display = "block";
      mark.style.top = 100 * y0 / one.height + "%"; mark.style.left = 100 * x0 / one.width + "%";
      mark.style.height = 100 * (y1 - y0) / one.height + "%"; mark.style.width = 100 * (x1 - x0) / one.width + "%";
    };
    const show = () => {
      const at = row * one.width + column, [tile, image, y, x] = one.places[at], reach = (one.window - 1) / 2;
      const part = (k, n) => (n > 1 ? 100 * k / (n - 1) : 0) + "%";
      origin.style.backgroundPosition =
        part(tile % sheet.columns, sheet.columns) + " " + part(Math.floor(tile / sheet.columns), sheet.rows);
      box(here, row - reach, column - reach, one.window, one.window);
      box(there, y - reach, x - reach, one.window, one.window);
      const label = sheet.labels[tile];
      said.textContent = "seed " + one.seed + ", row " + row + ", column " + column + ": training image " + image +
        (label ? " (" + label + ")" : "") + ", row " + y + ", column " + x +
        (one.tied[at] ? "; another patch is as near" : "");
    };
    const point = event => {
      const place = sample.getBoundingClientRect();
      const inside = (v, n) => Math.min(n - 1, Math.max(0, Math.floor(v * n)));
      row = inside((event.clientY - place.top) / place.height, one.height);
      column = inside((event.clientX - place.left) / place.width, one.width);
      show();
    };
    sample.addEventListener("pointermove", point);
    sample.addEventListener("pointerdown", point);
    sample.addEventListener("keydown", event => {
      const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
      if (!step) return;
      event.preventDefault();
      row = Math.min(one.height - 1, Math.max(0, row + step[0]));
      column = Math.min(one.width - 1, Math.max(0, column + step[1]));
      show();
    });
    show();
  }
})();
</script></body></html>
"""
