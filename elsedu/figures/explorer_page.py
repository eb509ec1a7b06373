"""The HTML, style and script of a static explorer (a ``string.Template``; used by `elsedu.figures.explorers`).

Plain HTML that any browser knows: range inputs for the sliders, so that keyboard and touch work by
themselves. The script finds its figure by the identifier made from the content, so that several explorers
live on a page and one that is shown twice works twice.
"""

PAGE = """<div class="elsx" data-elsx="$uid" style="max-width:${width}px">
<style>
.elsx{--elsx-accent:var(--pst-color-primary,#b8430a);margin:.2rem auto;font-size:.92rem;text-align:left}
.elsx img{display:block;width:100%;height:auto;background:#fff;border-radius:6px}
.elsx .elsx-pixelated{image-rendering:pixelated}
.elsx-axis{display:grid;grid-template-columns:minmax(5.5rem,9rem) 1fr 4.2rem 2.3rem;gap:.7rem;
align-items:center;min-height:2.3rem;margin:0}
.elsx-axis input{width:100%;min-width:0;height:2rem;margin:0;accent-color:var(--elsx-accent);cursor:pointer}
.elsx-axis output{font-variant-numeric:tabular-nums;font-weight:600}
.elsx-axis button{width:2.1rem;height:2.1rem;padding:0;line-height:1;border:1px solid currentColor;
border-radius:50%;background:none;color:var(--elsx-accent);font-size:.8rem;cursor:pointer}
.elsx-controls{margin-top:.4rem}
.elsx-values{margin:.3rem 0 0;font-size:.85rem;opacity:.8}
.elsx[data-ready] .elsx-values{display:none}
@media (max-width:480px){.elsx-axis{grid-template-columns:1fr 3.6rem 2.3rem}
.elsx-axis>span{grid-column:1/-1;margin-bottom:-.9rem}}
@media print{.elsx-controls{display:none}.elsx[data-ready] .elsx-values{display:block}}
</style>
<img class="elsx-picture$pixelated" alt="$alt" src="$src" width="$width">
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
  const at = spec.start.slice(), outputs = [], inputs = [];
  const draw = () => {
    let index = 0;
    at.forEach((i, k) => { index = index * spec.values[k].length + i; });
    picture.src = frames[spec.order[index]];
    const words = spec.names.map((n, k) => n + " = " + spec.values[k][at[k]]).join(", ");
    picture.alt = spec.alt + ": " + words;
    line.textContent = words;
    at.forEach((i, k) => {
      outputs[k].textContent = spec.values[k][i];
      inputs[k].value = i;
      inputs[k].setAttribute("aria-valuetext", spec.names[k] + " " + spec.values[k][i]);
    });
  };
  spec.names.forEach((name, k) => {
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
          timer = setInterval(() => {
            if (!root.isConnected) { clearInterval(timer); return; }
            at[k] = (at[k] + 1) % spec.values[k].length;
            draw();
          }, 1000 * spec.seconds);
        }
        show();
      });
      show();
      row.append(button);
    }
    inputs.push(input);
    outputs.push(output);
    box.append(row);
  });
  draw();
});
})();
</script>"""
