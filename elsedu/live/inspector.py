"""`Inspector`: a pixel, its window, the patches that fit it best, and their weights."""

from __future__ import annotations

import base64

import numpy as np
import torch

import elsedu
from elsedu.figures import COLORS

from .exhibit import KINDS, SHORT, Exhibit, tile, tone


class Inspector(Exhibit):
    """Choose a pixel of a noisy image and see which training patches decide what the machine believes about it.

    Args:
        data: a name of `elsedu.live.catalogue.ENTRIES`, or an `ImageSet`.
        queries: clean images (n, C, H, W) in [-1, 1] that are not in the set; noise is added in the page.
        machines: which machines the reader may choose: "is", "ls", "els" (and "es").
        machine: the one shown first.
        window: its window, odd.
        t: the time shown first, in (0, 1].
        border: "zero" or "circular".
        prompt: one sentence that says what to try.
        id: name of the figure.

    Raises:
        ValueError: for an unknown machine, or queries whose shape is not that of the data.
    """

    def __init__(
        self,
        data="mnist16-100",
        queries=None,
        machines=("ls", "els"),
        machine="els",
        window=5,
        t=0.4,
        border="zero",
        prompt="Click a pixel of the noisy image.",
        id="inspector",
    ):
        super().__init__("inspector", prompt, id, data)
        if unknown := {*machines, machine} - set(KINDS):
            raise ValueError(f"unknown machines {sorted(unknown)}; known: {', '.join(KINDS)}")
        if queries is None or tuple(queries.shape[1:]) != tuple(self.images.shape):
            shape = None if queries is None else tuple(queries.shape)
            raise ValueError(f"queries must have shape (n, {', '.join(map(str, self.images.shape))}), got {shape}")
        self.queries = torch.as_tensor(np.rint((queries.numpy() + 1) * 127.5).astype(np.uint8))
        self.machines, self.first, self.window, self.t, self.border = list(machines), machine, window, t, border

    def more(self) -> dict:
        return {
            "queries": [base64.b64encode(one.numpy().tobytes()).decode("ascii") for one in self.queries],
            "machines": self.machines,
            "machine": self.first,
            "window": self.window,
            "t": self.t,
            "border": self.border,
        }

    def still(self) -> list[dict]:
        clean = self.queries[:1].float() / 127.5 - 1
        machine = self.machine(self.first, [self.window], self.border)
        alpha, sigma = float(machine.schedule.alpha(self.t)), float(machine.schedule.sigma(self.t))
        noisy = alpha * clean + sigma * self.noise(1)
        believed = machine.denoise(noisy, self.t)
        name = SHORT[self.first]
        return [
            tile("clean", "clean", clean[0], COLORS["data"], "A digit that is not in the training set."),
            tile(
                "noisy",
                "noisy",
                noisy[0] / (alpha + 1.6 * sigma),
                COLORS["data"],
                f"The digit with noise, t = {self.t:g}.",
            ),
            tile("believed", "believed", believed[0], tone(self.first), f"What {name} believes about the clean digit."),
        ]


def unseen(count: int = 12) -> torch.Tensor:
    """MNIST digits at 16x16 that are in none of the catalogue's sets: (count, 1, 16, 16), all classes in turn."""
    index = [500 * (7 * k % 10) + 13 + 10 * k for k in range(count)]  # no multiple of 5: the sets hold every 5th, 50th
    return elsedu.load("mnist5k", size=16).images[index]
