"""What all exhibits share: a specification for the script, and a still picture for where no script runs."""

from __future__ import annotations

import os
import re

import torch

import elsedu
from elsedu.data import ImageSet
from elsedu.figures import COLORS

from . import catalogue, page
from .payload import image_payload
from .random import normal_noise

NOTE = "Computed with Python when this page was built. With scripts allowed, you can play with it."
INSIDE = 300_000  # bytes of pixels up to which a set to choose from stands inside a notebook's output
SHORT = {"is": "IS", "es": "ES", "ls": "LS", "els": "ELS", "network": "network"}
LONG = {"is": "ideal", "es": "equivariant", "ls": "local", "els": "equivariant local", "network": "trained"}
KINDS = {
    "is": elsedu.IdealScore,
    "es": elsedu.EquivariantScore,
    "ls": elsedu.LocalScore,
    "els": elsedu.EquivariantLocalScore,
}


class Exhibit:
    """A living figure: HTML for every place that shows a notebook's output.

    Args:
        kind: the script's name for it (src/ui/main.js).
        prompt: one sentence that says what to try.
        id: name in links that restore a state; lower-case letters, digits and hyphens.
        data: a name of `elsedu.live.catalogue.ENTRIES`, an `ImageSet`, or None where no images are needed.
        sets: names of further sets of the catalogue to choose from.
        windows: windows offered first for an `ImageSet`, smallest noise first.

    Raises:
        ValueError: for a bad id or an unknown set.
    """

    def __init__(self, kind: str, prompt: str, id: str, data=None, sets=(), windows=None):
        if not re.fullmatch(r"[a-z][a-z0-9-]{1,40}", id):
            raise ValueError(f"id must be lower-case letters, digits and hyphens, got {id!r}")
        self.kind, self.prompt, self.id = kind, prompt, id
        self.own, self.sets, self.data, self.images = {}, {}, None, None
        if isinstance(data, ImageSet):
            self.data, self.images = "own-" + data.hash, data
            self.own[self.data] = image_payload(data, self.data, data.name)
            self.sets[self.data] = catalogue.describe(data, data.name, None, windows)
        elif data is not None:
            self.data, self.images = data, catalogue.load(data)
            self.sets[data] = catalogue.information(data)
        self.sets |= {name: catalogue.information(name) for name in sets if name != self.data}

    def __repr__(self):
        return f"{type(self).__name__}({self.id})"

    def more(self) -> dict:
        """What the script is told beyond prompt and images, for JSON."""
        raise NotImplementedError

    def still(self) -> list[dict]:
        """The pictures that are seen without scripts, each made by `tile`."""
        raise NotImplementedError

    def networks(self) -> list[str]:
        """Names of the shipped networks that the reader may ask for."""
        return []

    def noise(self, seed: int) -> torch.Tensor:
        """The noise of a seed, (1, C, H, W): the same numbers as in the page."""
        channels, height, width = self.images.shape
        return torch.from_numpy(normal_noise(seed, channels * height * width)).reshape(1, channels, height, width)

    def machine(self, key: str, windows, border: str = "zero"):
        """A machine as the page computes it; windows: a list, smallest noise first."""
        if key in ("is", "es"):
            return KINDS[key](self.images)
        if border == "circular":
            small = min(self.images.shape[1:])
            windows = [min(p, small - 1 + small % 2) for p in windows]
        return KINDS[key](self.images, elsedu.ScaleSchedule(list(windows)), border=border)

    def offered(self) -> dict:
        """The image sets that the reader may choose.

        In the book that is all of them: they are fetched when chosen. In a notebook, where everything stands inside
        the output, large ones and the networks of others than the first are left out.
        """
        if os.environ.get("ELSEDU_BOOK") == "1":
            return self.sets
        light = {}
        for name, info in self.sets.items():
            if name == self.data:
                light[name] = info
            elif info["count"] * info["channels"] * info["height"] * info["width"] <= INSIDE:
                light[name] = info | {"network": None}
        return light

    def _repr_html_(self) -> str:
        sets = self.offered()
        spec = {"kind": self.kind, "id": self.id, "prompt": self.prompt, "data": self.data, "sets": sets}
        catalogued = [name for name in sets if name not in self.own]
        still = page.still_picture(self.still(), NOTE)
        return page.figure(spec | {"more": self.more()}, still, catalogued, self.networks(), self.own)


def tone(key: str) -> str:
    """The CSS colour of a denoiser; the network's is ink, light by night."""
    return "var(--network)" if key == "network" else COLORS[SHORT[key]]


def tile(name: str, title: str, image: torch.Tensor, color: str, alt: str, note: str = "") -> dict:
    """One picture of a still line-up, as `page.still_picture` wants it; image: (C, H, W) in [-1, 1]."""
    return {
        "name": name,
        "title": title,
        "note": note,
        "color": color,
        "alt": alt,
        "src": page.picture(image),
        "height": image.shape[1],
        "width": image.shape[2],
    }
