"""`TwoImages`: the two-image machine on a torus, to be painted on."""

from __future__ import annotations

import torch

import elsedu
from elsedu.figures import COLORS

from .exhibit import Exhibit, tile
from .random import normal_noise


class TwoImages(Exhibit):
    """Trained on one black and one white image; pixels that contradict the majority of their window are red.

    Args:
        side: pixels of a side of the torus.
        window: 3, 5 or 7.
        seed: of the first noise.
        prompt: one sentence that says what to try.
        id: name of the figure.
    """

    def __init__(
        self, side=32, window=3, seed=1, prompt="Press play. Then paint: no red pixel may be left.", id="two-images"
    ):
        super().__init__("twoimages", prompt, id)
        if window not in (3, 5, 7):
            raise ValueError(f"window must be 3, 5 or 7, got {window!r}")
        self.side, self.window, self.seed = side, window, seed

    def more(self) -> dict:
        return {"side": self.side, "window": self.window, "seed": self.seed}

    def sample(self) -> torch.Tensor:
        """What the machine makes of the first noise in 24 steps: (1, side, side)."""
        noise = torch.from_numpy(normal_noise(self.seed, self.side**2)).reshape(1, 1, self.side, self.side)
        data = elsedu.load("two-images", size=self.side)
        machine = elsedu.EquivariantLocalScore(data, self.window, border="circular")
        return elsedu.sample(machine, noise, steps=24)[0]

    def still(self) -> list[dict]:
        alt = f"A sample of the two-image machine with {self.window}x{self.window} windows: islands of black and white."
        return [tile("sample", "a sample", self.sample(), COLORS["ELS"], alt)]
