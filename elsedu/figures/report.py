"""A comparison as one HTML file that can be sent: numbers with intervals, images, where every pixel came from, errors.

The file needs nothing beside it: pictures are inside it, a few lines of script answer to pointing, and it follows the
reader's light or dark setting. Everything that came from elsewhere (names of networks, data, classes) is escaped.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
from pathlib import Path
from string import Template

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image

from elsedu._common.checks import broadcast_time
from elsedu._common.files import write_text
from elsedu.data.pixels import to_bytes
from elsedu.diffusion import seeds
from elsedu.diffusion.sampling import times
from elsedu.figures.report_page import PAGE
from elsedu.figures.style import COLORS, SEQUENTIAL

NAMES = {"els": "ELS", "els_circular": "ELS, circular", "ls": "LS", "is": "IS", "es": "ES", "wiener": "Wiener",
         "stationary": "Wiener, stationary", "ceiling": "second network",
         "nearest": "nearest training image"}  # fmt: skip
MEANINGS = {
    "els": "local and equivariant: the theory's prediction", "els_circular": "the same on a torus",
    "ls": "local, patches stay in place", "is": "the ideal score, which memorises",
    "es": "equivariant, whole images", "wiener": "the best linear denoiser", "ceiling": "the same network, other seed",
    "stationary": "the best linear denoiser that is the same everywhere",
    "nearest": "the training image nearest to the network's",
}  # fmt: skip
SHOWN = ("els", "ls", "is")
EXHIBITS = 6


@torch.no_grad()
def exhibit(machine, noise, steps, label=None):
    """The reverse process of ELS with what a report shows of it.

    Args:
        machine: An EquivariantLocalScore or LocalScore.
        noise: (B, C, H, W) at t = 1.
        steps: DDIM steps.
        label: Class of each, or None.

    Returns:
        (samples (B, C, H, W), variance (B, H, W) averaged over steps and channels, source (B, H, W, 3) of the last
        step: training image, row, column; tied (B, H, W), where another patch is as near).
    """
    x, total, grid = noise, torch.zeros_like(noise), times(steps)
    for t, s in itertools.pairwise(grid):
        post = machine.posterior(x, t, label=label, fields=("mean", "variance", "source"))
        total += post.variance
        eps = machine.schedule.noise_from_x0(x, post.mean, t)
        x = (
            broadcast_time(machine.schedule.alpha(s), x) * post.mean
            + broadcast_time(machine.schedule.sigma(s), x) * eps
        )
    return x, total.mean(1) / steps, post.source, post.tied


def write_report(path, comparison, data, machine, *, labels=None, title=None, command=None):
    """Write the report of a comparison as one HTML file.

    Args:
        path: The file.
        comparison: What `elsedu.compare` returned.
        data: The ImageSet of the comparison.
        machine: Its ELS machine, which draws the first seeds once more to say where their pixels come from.
        labels: The classes of the first seeds, as many as are shown (6), or None.
        title: Heading; by default the names of network and data.
        command: The command line that made it, or None.

    Raises:
        ValueError: If the comparison holds no images.
        OSError: If the file cannot be written; an earlier one stays.
    """
    measured, provenance = comparison.measured, comparison.provenance
    counts = sorted(measured["agreement"], key=int)
    last = counts[-1]
    target = f"network-{last}"
    if target not in comparison.images:
        raise ValueError(f"the comparison holds no images of the network with {last} steps")
    index = provenance["seeds"]["index"][:EXHIBITS]
    network, about = provenance["network"]["name"], provenance["data"]
    title = title or f"{network} on {about['name']}"
    sources, sprite = _sources(comparison, data, machine, index, target, labels)
    blocks = {
        "title": _text(title),
        "lead": _lead(measured, last, about),
        "agreement": "".join(_agreement(measured, count) for count in counts),
        "strips": _strips(measured["per_seed"][last]),
        "cards": _cards(comparison, target, index, measured["per_seed"][last]),
        "forced": _forced(measured["forced"]),
        "sources": "".join(_source_figure(k, one) for k, one in enumerate(sources)),
        "errors": _errors(measured.get("error_map", {})),
        "provenance": _provenance(provenance, command),
        "spec": json.dumps({"sprite": sprite, "seeds": sources}, separators=(",", ":")).replace("<", "\\u003c"),
    }
    write_text(path, Template(PAGE).substitute(blocks))
    return Path(path)


def _text(value) -> str:
    return html.escape(str(value), quote=True)


def _png(pixels: np.ndarray) -> str:
    """A data address of uint8 pixels (H, W), (H, W, 3) or (C, H, W)."""
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[2] not in (1, 3):
        pixels = pixels.transpose(1, 2, 0)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _channels_last(pixels: np.ndarray) -> np.ndarray:
    """(C, H, W) bytes as (H, W, 3)."""
    return np.repeat(pixels, 3 // len(pixels), 0).transpose(1, 2, 0)


def _number(entry, key="median", digits=3) -> str:
    value = (entry or {}).get(key)
    if value is None:
        return "not defined"
    interval = f"<small>[{entry['low']:.{digits}f}, {entry['high']:.{digits}f}]</small>"
    return f"<b>{value:.{digits}f}</b> {interval}"


def _lead(measured, count, about) -> str:
    block = measured["agreement"][count]
    els, ideal, linear = (block.get(n, {}).get("pearson_r", {}).get("median") for n in ("els", "is", "wiener"))
    text = f"{measured['seeds']} images drawn by the network and by the theory from the same noise. "
    if els is not None:
        text += f"The theory's images correlate with the network's at <b>r = {els:.3f}</b> in the median"
        text += "" if ideal is None else f"; the ideal score, which can only memorise, reaches {ideal:.3f}"
        text += "" if linear is None else f", the best linear denoiser {linear:.3f}"
        text += ". "
    shape = "x".join(map(str, about["shape"]))
    return text + f"Training images: {about['images']:,} of {shape}. Brackets are 95 % intervals over the seeds."


def _agreement(measured, count) -> str:
    rows = []
    for name, entry in measured["agreement"][count].items():
        share = entry.get("above_is")
        share = _number(share, "share", 2) if share and share.get("share") is not None else ""
        rows.append(
            f"<tr><th scope=row>{_text(NAMES.get(name, name))}<small>{_text(MEANINGS.get(name, ''))}</small></th>"
            f"<td>{_number(entry.get('pearson_r'))}</td><td>{_number(entry.get('determination'))}</td><td>{share}</td></tr>"
        )
    return (
        f"<h3>The network with {_text(count)} steps</h3><div class=wide><table><thead><tr>"
        "<th scope=col>compared with</th><th scope=col>Pearson's r</th><th scope=col>determination R²</th>"
        "<th scope=col>seeds above IS</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _color(name) -> str:
    return {"is": "var(--grey)", "nearest": "var(--soft)", "ceiling": "var(--ink)"}.get(
        name, COLORS.get(NAMES.get(name, ""), "var(--soft)")
    )


def _strips(per_seed) -> str:
    """Every seed's r as a dot, one line a machine."""
    rows = {n: [v for v in e["pearson_r"] if v is not None] for n, e in per_seed.items() if n != "nearest"}
    rows = {name: values for name, values in rows.items() if values}
    if not rows:
        return ""
    low = min(-0.05, *(min(values) for values in rows.values()))
    width, left, line = 640, 150, 32
    height = line * len(rows) + 34

    def place(value):
        return left + (width - left - 14) * (value - low) / (1 - low)

    parts = []
    for tick in [t / 4 for t in range(-4, 5) if t / 4 >= low]:
        parts.append(f'<line x1="{place(tick):.1f}" x2="{place(tick):.1f}" y1="4" y2="{height - 26}" class=grid />'
                     f'<text x="{place(tick):.1f}" y="{height - 8}" text-anchor=middle>{tick:g}</text>')  # fmt: skip
    shake = np.random.default_rng(0)
    for row, (name, values) in enumerate(rows.items()):
        y = 4 + line * (row + 0.5)
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor=end>{_text(NAMES.get(name, name))}</text>')
        moved = zip(values, shake.uniform(-8, 8, len(values)))
        parts += [f'<circle cx="{place(v):.1f}" cy="{y + d:.1f}" r="3" fill="{_color(name)}" opacity=".55" />'
                  for v, d in moved]  # fmt: skip
        middle = place(float(np.median(values)))
        parts.append(f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{y - 12}" y2="{y + 12}" class=mark />')
    return (f'<svg viewBox="0 0 {width} {height}" role=img aria-label="Pearson\'s r of every seed, one row a machine; '
            f'the stroke is the median">{"".join(parts)}</svg>')  # fmt: skip


def _forced(block) -> str:
    """r(t) of machine and network at each single step."""
    ts = block["t"]
    width, height, left = 640, 260, 60
    lines = {n: block[n] for n in ("els", "ls", "is", "wiener") if n in block}
    values = [v for line in lines.values() for v in line["median"] if v is not None]
    if not values:
        return ""
    low = min(0.9, *values)

    def x(t):
        return left + (width - left - 14) * t

    def y(r):
        return 10 + (height - 50) * (1 - (r - low) / (1 - low + 1e-9))

    parts = []
    for k in range(5):
        r = low + (1 - low) * k / 4
        parts.append(f'<line x1="{left}" x2="{x(1):.1f}" y1="{y(r):.1f}" y2="{y(r):.1f}" class=grid />'
                     f'<text x="{left - 6}" y="{y(r) + 4:.1f}" text-anchor=end>{r:.2f}</text>')  # fmt: skip
    for t in (0, 0.5, 1):
        parts.append(f'<text x="{x(t):.1f}" y="{height - 22}" text-anchor=middle>{t:g}</text>')
    parts.append(f'<text x="{x(0.5):.1f}" y="{height - 4}" text-anchor=middle>time t (noise grows)</text>')
    keys = ""
    for name, line in lines.items():
        path = " ".join(f"{x(t):.1f},{y(r):.1f}" for t, r in zip(ts, line["median"]) if r is not None)
        parts.append(f'<polyline points="{path}" fill=none stroke="{_color(name)}" stroke-width=2.2 />')
        keys += f'<span><i style="background:{_color(name)}"></i>{_text(NAMES[name])}</span>'
    return (
        f'<p class=keys>{keys}</p><svg viewBox="0 0 {width} {height}" role=img aria-label="Correlation of one '
        f'denoising step with the network\'s, over time">{"".join(parts)}</svg>'
    )


def _cards(comparison, target, index, per_seed) -> str:
    """One card a seed: network, then the machines, with r beneath."""
    rows = [target, *(name for name in SHOWN if name in comparison.images)]
    cards = []
    for k, seed in enumerate(index):
        pictures = []
        for name in rows:
            label = "network" if name == target else NAMES[name]
            r = None if name == target else per_seed.get(name, {}).get("pearson_r", [None] * len(index))[k]
            pictures.append(
                f'<figure><img class=pixels src="{_png(comparison.images[name][k])}" alt="seed {int(seed)}, {label}">'
                f"<figcaption>{label}{'' if r is None else f'<br>r = {r:.2f}'}</figcaption></figure>"
            )
        cards.append(f"<div class=card><h4>seed {int(seed)}</h4><div class=row>{''.join(pictures)}</div></div>")
    return "".join(cards)


def _heat(values: np.ndarray) -> np.ndarray:
    top = float(values.max())
    return (mpl.colormaps[SEQUENTIAL] if isinstance(SEQUENTIAL, str) else SEQUENTIAL)(
        values / top if top > 0 else values, bytes=True)[..., :3]  # fmt: skip


def _sources(comparison, data, machine, index, target, labels):
    """([{seed, size, image, error, variance, places}], address of a sheet with the training images that are named)."""
    noise = seeds.noise("test", index, data.shape)
    steps = comparison.provenance["steps"]["theory"]
    samples, variance, source, tied = (v.cpu() for v in exhibit(machine, noise, steps, labels))
    used = sorted(set(source[..., 0].flatten().tolist()))
    place = {image: k for k, image in enumerate(used)}
    tiles = np.stack([_channels_last(one) for one in to_bytes(data.images[used])])
    columns = int(np.ceil(np.sqrt(len(tiles))))
    height, width = tiles.shape[1:3]
    sheet = np.zeros((-(-len(tiles) // columns) * height, columns * width, 3), np.uint8)
    for k, one in enumerate(tiles):
        row, column = divmod(k, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = one
    window = machine.window.windows[0] if hasattr(machine.window, "windows") else machine.window
    names = data.classes
    known = None if data.labels is None else data.labels.tolist()

    def word(image):
        return "" if known is None else str(names[known[image]] if names else known[image])

    found = []
    for k, seed in enumerate(index):
        wrong = (samples[k] - torch.from_numpy(comparison.images[target][k]).float() / 127.5 + 1).square().mean(0)
        flat = source[k].reshape(-1, 3).tolist()
        found.append({
            "seed": int(seed), "width": width, "height": height, "window": int(window),
            "image": _png(to_bytes(samples[k])), "variance": _png(_heat(variance[k].numpy())),
            "error": _png(_heat(wrong.numpy())),
            "places": [[place[i], i, r, c] for i, r, c in flat], "tied": tied[k].int().flatten().tolist(),
        })  # fmt: skip
    return found, {"address": _png(sheet), "columns": columns, "rows": sheet.shape[0] // height,
                   "labels": [word(image) for image in used]}  # fmt: skip


def _source_figure(k, one) -> str:
    return (
        f'<div class=source data-seed="{k}"><div class=stage tabindex=0 role=application aria-label="Sample of seed '
        f'{one["seed"]}: point at a pixel, or move with the arrow keys"><img class=pixels src="{one["image"]}" alt="">'
        "<i class=cursor></i></div><div class=stage><div class=origin></div><i class=cursor></i></div>"
        f"<p class=said>seed {one['seed']}: point at a pixel</p>"
        f'<div class=maps><figure><img class=pixels src="{one["variance"]}" alt="predicted error">'
        "<figcaption>error the theory expects</figcaption></figure>"
        f'<figure><img class=pixels src="{one["error"]}" alt="actual error"><figcaption>actual difference</figcaption>'
        "</figure></div></div>"
    )


def _errors(block) -> str:
    if "final" not in block:
        return ""
    return (
        "<p>Over the pixels of one image, the variance that the theory computes without asking the network and the "
        f"squared difference to the network rank alike with correlation {_number(block['final'])}; a map that knows "
        f"only how much each pixel varies over the training images reaches {_number(block.get('final_baseline'))}.</p>"
    )


def _provenance(provenance, command) -> str:
    data, network = provenance["data"], provenance["network"]
    rows = {
        "network": f"{network['name']}, weights {network['weights_hash']}",
        "training images": f"{data['name']}, {data['images']:,} images, hash {data['hash']}",
        "windows of ELS, t rising": " ".join(map(str, provenance["scales"]["els"])),
        "windows of LS": " ".join(map(str, provenance["scales"]["ls"])),
        "steps": f"theory {provenance['steps']['theory']}, "
        f"network {', '.join(map(str, provenance['steps']['network']))}",
        "seeds": f"stream {provenance['seeds']['stream']!r}, {len(provenance['seeds']['index'])} of them",
        "computed on": f"{provenance['device']}, backend {provenance['backend']}, {provenance['minutes']} minutes",
        "versions": ", ".join(f"{name} {value}" for name, value in provenance["versions"].items()),
    }
    if provenance.get("second"):
        rows["second network"] = f"{provenance['second']['name']}, weights {provenance['second']['weights_hash']}"
    if command:
        rows["made with"] = command
    return "".join(f"<tr><th scope=row>{_text(key)}</th><td>{_text(value)}</td></tr>" for key, value in rows.items())
