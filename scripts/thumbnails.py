"""Draw the pictures of the front page's six cards (book/_static/parts) and the preview that links show.

Small pictures at their own resolution, which the browser enlarges with hard edges: samples of elsedu's machines and
networks, and one training digit of MNIST.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import elsedu
from elsedu import figures
from elsedu.analysis import mosaic
from elsedu.experiments import Comparison, tables
from elsedu.figures.themes import GROUND

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "book/_static/parts"
PREVIEW = ROOT / "book/_static/preview.png"
FONT = ROOT / "elsedu/figures/fonts/Inter-Bold.ttf"


def stored(name, which, seeds):
    """Pictures that came with a result, in [-1,1]."""
    images = Comparison.load(tables.FOLDER / f"{name}.json").images[which]
    return torch.from_numpy(images[list(seeds)]).double() / 127.5 - 1


def row(*images):
    """Pixels of images of one size side by side."""
    same = [image.expand(3, -1, -1) for image in images]
    return figures.tile(torch.stack(same), columns=len(same), gap=1, ground=128)


def paradox(digits, noise):
    film = {t: x for t, x, _ in elsedu.ddim(elsedu.IdealScore(digits), noise, steps=20)}
    return row(film[1.0][0].clamp(-2.5, 2.5) / 2.5, film[0.55][0].clamp(-1.5, 1.5) / 1.5, film[0.0][0])


def constraints(digits):
    """A digit, the window of one of its pixels, and what lies inside."""
    digit = digits.images[2].expand(3, -1, -1).clone()
    top, left, side = 4, 5, 5
    inside = torch.full_like(digit, -1)
    inside[:, top : top + side, left : left + side] = digit[:, top : top + side, left : left + side]
    marked = digit.clone()
    orange = torch.tensor([0.84, 0.37, 0.0]).view(3, 1) * 2 - 1
    for y in (top - 1, top + side):
        marked[:, y, left - 1 : left + side + 1] = orange
    for x in (left - 1, left + side):
        marked[:, top - 1 : top + side + 1, x] = orange
    elsewhere = torch.full_like(digit, -1)
    elsewhere[:, 8:13, 8:13] = digit[:, top : top + side, left : left + side]
    return row(marked, inside, elsewhere)


def made(digits, machine, noise):
    """A sample, tinted by where its pixels come from, and the training image that gave most."""
    sample = elsedu.sample(machine, noise)[0]
    source, tied = mosaic.provenance(machine, sample[None], return_tied=True)
    ax = plt.figure().add_subplot()
    colors = figures.mosaic_map(ax, sample, source[0], tied=tied[0])
    tinted = torch.from_numpy(np.asarray(ax.images[0].get_array())).movedim(-1, 0) * 2 - 1
    plt.close()
    return row(sample, tinted, digits.images[next(iter(colors))])


def preview(parts):
    """1200 x 630 pixels: the title and three of the pictures."""
    canvas = Image.new("RGB", (1200, 630), GROUND)
    draw = ImageDraw.Draw(canvas)
    draw.text((70, 60), "An Analytic Theory of Creativity", font=ImageFont.truetype(FONT, 60), fill="#f3f5f7")
    small = ImageFont.truetype(str(FONT).replace("Bold", "Regular"), 32)
    draw.text((70, 145), "Why diffusion models draw what nobody has drawn", font=small, fill="#ff9a5c")
    for k, name in enumerate(("paradox", "made")):
        pixels = Image.fromarray(parts[name])
        scale = 1060 // pixels.width // 2
        large = pixels.resize((pixels.width * scale, pixels.height * scale), Image.Resampling.NEAREST)
        canvas.paste(large, (70 + k * 545, 290))
    canvas.quantize(64).save(PREVIEW, optimize=True)


def main():
    FOLDER.mkdir(exist_ok=True)
    digits = elsedu.load("mnist5k", size=16, limit=300)
    noise = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(7))
    windows = elsedu.ScaleSchedule([3] * 2 + [5] * 4 + [7] * 5 + [9] * 4 + [11] * 5)
    machine = elsedu.EquivariantLocalScore(digits, windows)
    mnist, cifar = "mnist16-resnet-zero", "cifar10-resnet-zero.full-e16-w64"
    network, theory = (stored(mnist, which, [3])[0] for which in ("network-150", "els"))
    parts = {
        "paradox": paradox(digits, noise),
        "constraints": constraints(digits),
        "made": made(digits, machine, torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))),
        "networks": row(network, theory, stored(mnist, "is", [3])[0]),
        "scale": row(*stored(cifar, "network-150", [0, 11, 17])),
        "beyond": row(network, theory, figures.signed((theory - network)[None], 1)[0]),
    }
    for name, pixels in parts.items():
        Image.fromarray(pixels).save(FOLDER / f"{name}.png", optimize=True)
    preview(parts)
    print(*sorted(p.name for p in FOLDER.iterdir()), PREVIEW.name)


if __name__ == "__main__":
    sys.exit(main())
