"""`TwoPixels`: images of two pixels are points of a plane, and every machine a flow on it."""

from __future__ import annotations

import io

import torch
from matplotlib.figure import Figure
from PIL import Image

import elsedu
from elsedu.data import ImageSet
from elsedu.figures import COLORS

from . import page
from .exhibit import KINDS, LONG, SHORT, Exhibit
from .random import normal_noise

RAIN = 160  # noises shown first, as in src/ui/exhibits/plane.js


class TwoPixels(Exhibit):
    """Drag the training images, drop a noise, and see where IS, LS, ES and ELS carry it.

    Windows are one pixel, the two pixels lie on a torus.

    Args:
        points: the training images (left pixel, right pixel), each in [-1, 1]; two to six of them.
        machines: the planes that are shown, from "is", "ls", "es", "els".
        prompt: one sentence that says what to try.
        id: name of the figure.

    Raises:
        ValueError: for points outside [-1, 1], too few or too many of them, or an unknown machine.
    """

    def __init__(
        self,
        points=((-0.8, -0.55), (0.15, 0.85), (0.8, -0.1)),
        machines=("is", "ls"),
        prompt="Drag the training images, or click to drop a noise.",
        id="two-pixels",
    ):
        super().__init__("plane", prompt, id)
        if not 2 <= len(points) <= 6 or any(len(p) != 2 or max(map(abs, p)) > 1 for p in points):
            raise ValueError(f"points must be two to six pairs of numbers in [-1, 1], got {points!r}")
        if unknown := set(machines) - set(KINDS):
            raise ValueError(f"unknown machines {sorted(unknown)}; known: {', '.join(KINDS)}")
        self.points, self.machines = [list(map(float, p)) for p in points], list(machines)

    def more(self) -> dict:
        return {"points": self.points, "machines": self.machines}

    def ends(self, key: str, noise: torch.Tensor) -> torch.Tensor:
        """Where a machine carries noises (n, 2): (n, 2)."""
        images = ImageSet(torch.tensor(self.points, dtype=noise.dtype).reshape(-1, 1, 1, 2), name="two pixels")
        machine = KINDS[key](images) if key in ("is", "es") else KINDS[key](images, 1, border="circular")
        return elsedu.sample(machine, noise.reshape(-1, 1, 1, 2), steps=120).reshape(-1, 2)

    def still(self) -> list[dict]:
        noise = torch.from_numpy(normal_noise(1, 2 * RAIN)).reshape(-1, 2).double()
        pictures = []
        for key in self.machines:
            figure = Figure(figsize=(3, 3), layout="none")
            ax = figure.add_axes((0, 0, 1, 1))
            ends = self.ends(key, noise)
            ax.plot(*torch.stack([noise, ends]).unbind(-1), color=COLORS[SHORT[key]], linewidth=0.4, alpha=0.35)
            ax.plot(*ends.T, "o", color=COLORS[SHORT[key]], markersize=4)
            ax.plot(
                *zip(*self.points), "s", markersize=11, markerfacecolor="none", color=COLORS["data"], markeredgewidth=2
            )
            ax.set(xlim=(-2.3, 2.3), ylim=(-2.3, 2.3))
            ax.axis("off")
            buffer = io.BytesIO()
            figure.savefig(buffer, dpi=100, format="png")
            alt = f"Plane of two-pixel images: {RAIN} noises and the places to which {SHORT[key]} carries them."
            color, src = COLORS[SHORT[key]], page.small_png(Image.open(buffer), colors=24)
            one = {"name": key, "title": SHORT[key], "note": LONG[key], "color": color, "alt": alt, "src": src}
            pictures.append(one | {"height": 300, "width": 300})
        return pictures
