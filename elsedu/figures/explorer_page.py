"""The HTML, style and script of a static explorer (a ``string.Template``; used by `elsedu.figures.explorers`).

Plain HTML that any browser knows: range inputs for the sliders, so that keyboard and touch work by
themselves. The script finds its figure by the identifier made from the content, so that several explorers
live on a page and one that is shown twice works twice.
"""

PAGE = """<div class="elsx" data-elsx="$uid" style="max-width:${width}px">
<style>
.elsx{--elsx-accent:var(--pst-color-primary,#b8430a);margin:.2rem 0;font-size:.92rem;text-align:left}
.elsx-frame{overflow-x:auto}
.elsx img{display:block;width:100%;height:auto;border-radius:4px}
.elsx .elsx-pixelated{image-rendering:pixelated}
.elsx-axis{display:grid;grid-template-columns:minmax(5.5rem,9rem) 1fr minmax(4.2rem,max-content) 2.8rem;gap:.7rem;
align-items:center;min-height:2.75rem;margin:0}
.elsx-axis input{width:100%;min-width:0;height:2.75rem;margin:0;accent-color:var(--elsx-accent);cursor:pointer}
.elsx-axis output{font-variant-numeric:tabular-nums;font-weight:600}
.elsx-axis button{width:2.75rem;height:2.75rem;padding:0;line-height:1;border:1px solid currentColor;
border-radius:50%;background:none;color:var(--elsx-accent);font-size:.8rem;cursor:pointer}
.elsx-choice>span:last-child{grid-column:2/-1;display:flex;flex-wrap:wrap;gap:.35rem}
.elsx-choice label{display:flex;align-items:center;min-height:2.4rem;margin:0;padding:0 .8rem;cursor:pointer;
border:1px solid color-mix(in srgb,currentColor 30%,transparent);border-radius:999px}
.elsx-choice label:has(:checked){border-color:var(--elsx-accent);color:var(--elsx-accent);font-weight:600}
.elsx-choice label:has(:focus-visible){outline:2px solid var(--elsx-accent);outline-offset:2px}
.elsx .elsx-choice input{position:absolute;opacity:0;width:1px;height:1px}
.elsx-time{grid-column:2;display:flex;justify-content:space-between;margin-top:-.9rem;font-size:.78rem;opacity:.75}
.elsx-controls{margin-top:.4rem}
.elsx-values{margin:.3rem 0 0;font-size:.85rem;opacity:.8}
.elsx[data-ready] .elsx-values{display:none}
@media (max-width:575px){.elsx-drawn img{width:${small}px;max-width:none!important}
.elsx-axis{grid-template-columns:1fr minmax(3.6rem,max-content) 2.8rem}
.elsx-axis>span:first-child{grid-column:1/-1;margin-bottom:-.9rem}
.elsx-axis>.elsx-time{grid-column:1}.elsx-choice>span:last-child{grid-column:1/-1;margin-top:.9rem}}
@media print{.elsx-controls{display:none}.elsx[data-ready] .elsx-values{display:block}}
</style>
<div class="elsx-frame$drawn"><img class="elsx-picture$pixelated" alt="$alt" src="$src" width="$width"></div>
<p class="elsx-values">$caption</p>
<div class="elsx-controls"></div>
</div>
<script>
(() => {
const spec = $spec;
document.querySelectorAll('[data-elsx="$uid"]:not([data-ready])').forEach(root => {
  root.dataset.ready = "1";
  const picture = root.querySelector(".elsx-picture"), line = root.querySelector(".elsx-values");
  const box = root.querySelector(".elsx-controls");
  const frames = spec.frames.map(f => f || picture.getAttribute("src"));
  // On a dark page each frame gets its other palette: the PNG's chunk behind its first 33 bytes, 44 letters.
  const start = "data:image/png;base64,".length + 44;
  const shade = k => {
    const night = spec.night[k];
    if (!night || document.documentElement.dataset.theme !== "dark") return frames[k];
    return frames[k].slice(0, start) + night + frames[k].slice(start + night.length);
  };
  const at = spec.start.slice(), outputs = [], inputs = [];
  const draw = () => {
    let index = 0;
    at.forEach((i, k) => { index = index * spec.values[k].length + i; });
    picture.src = shade(spec.order[index]);
    const words = spec.names.map((n, k) => n + " = " + spec.values[k][at[k]]).join(", ");
    picture.alt = spec.alt + ": " + words;
    line.textContent = words;
    at.forEach((i, k) => {
      outputs[k].textContent = spec.values[k][i];
      inputs[k].value = i;
      inputs[k].setAttribute("aria-valuetext", spec.names[k] + " " + spec.values[k][i]);
    });
  };
  const words = k => spec.values[k].length < 7 && spec.values[k].every(v => isNaN(parseFloat(v)));
  spec.names.forEach((name, k) => {
    if (words(k)) {
      // A choice between words: buttons side by side.
      const row = document.createElement("div"), text = document.createElement("span");
      const group = document.createElement("span");
      row.className = "elsx-axis elsx-choice";
      row.setAttribute("role", "radiogroup");
      row.setAttribute("aria-label", name);
      text.textContent = name;
      spec.values[k].forEach((value, i) => {
        const label = document.createElement("label"), input = document.createElement("input");
        Object.assign(input, {type: "radio", name: "$uid-" + k, checked: i === at[k]});
        input.addEventListener("change", () => { at[k] = i; draw(); });
        label.append(input, value);
        group.append(label);
      });
      row.append(text, group);
      inputs.push({setAttribute() {}});
      outputs.push({});
      box.append(row);
      return;
    }
    const row = document.createElement("div"), text = document.createElement("span");
    const input = document.createElement("input"), output = document.createElement("output");
    row.className = "elsx-axis";
    text.textContent = name;
    Object.assign(input, {type: "range", min: 0, max: spec.values[k].length - 1, step: 1});
    input.dataset.axis = k;
    input.setAttribute("aria-label", name);
    input.addEventListener("input", () => { at[k] = +input.value; draw(); });
    row.append(text, input, output);
    if (k === spec.play) {
      const button = document.createElement("button");
      let timer = null;
      const show = () => {
        button.textContent = timer ? "\\u275a\\u275a" : "\\u25b6";
        button.setAttribute("aria-label", (timer ? "pause " : "play ") + name);
      };
      button.type = "button";
      button.addEventListener("click", () => {
        if (timer) { clearInterval(timer); timer = null; } else {
          if (at[k] === spec.values[k].length - 1) { at[k] = 0; draw(); }
          timer = setInterval(() => {
            if (!root.isConnected) { clearInterval(timer); return; }
            const last = spec.values[k].length - 1;
            if (at[k] < last) at[k] += 1;
            if (at[k] === last) { clearInterval(timer); timer = null; show(); }
            draw();
          }, 1000 * spec.seconds);
        }
        show();
      });
      show();
      row.append(button);
    }
    if (name.startsWith("time")) {
      const ends = document.createElement("span");
      ends.className = "elsx-time";
      for (const word of ["noise", "image"])
        ends.append(Object.assign(document.createElement("span"), {textContent: word}));
      row.append(ends);
    }
    inputs.push(input);
    outputs.push(output);
    box.append(row);
  });
  draw();
  if (spec.night.length)
    new MutationObserver(draw).observe(document.documentElement, {attributeFilter: ["data-theme"]});
});
})();
</script>"""
