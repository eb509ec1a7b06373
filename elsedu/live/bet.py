"""`Bet`: which of the two pictures is the network's?"""

from __future__ import annotations

import elsedu
from elsedu.figures import COLORS

from .exhibit import Exhibit, tile


class Bet(Exhibit):
    """The trained network and the formula draw from the same noise, unlabelled; the reader bets, the page keeps score.

    Args:
        data: a name of `elsedu.live.catalogue.ENTRIES` with a shipped network.
        seed: of the first noise.
        steps: DDIM steps.
        prompt: one sentence that says what to try.
        id: name of the figure.

    Raises:
        ValueError: if no network was trained on the set.
    """

    def __init__(self, data="mnist16", seed=0, steps=20, prompt="Which of the two is the network?", id="bet"):
        super().__init__("bet", prompt, id, data)
        if not self.sets[self.data]["network"]:
            raise ValueError(f"no network that was trained on {self.data!r} is shipped")
        self.seed, self.steps = seed, steps

    def networks(self) -> list[str]:
        return [self.sets[self.data]["network"]]

    def more(self) -> dict:
        return {"seed": self.seed, "steps": self.steps}

    def still(self) -> list[dict]:
        info, noise = self.sets[self.data], self.noise(self.seed)
        machine = self.machine("els", info["windows"], info["border"])
        network = elsedu.networks.network(info["network"])
        drawn = [elsedu.sample(one, noise, self.steps)[0] for one in (machine, network)]
        return [
            tile("noise", "noise", noise[0] / 2.2, COLORS["data"], f"Noise of seed {self.seed}."),
            tile("side0", "A", drawn[0], "var(--line)", "One picture drawn from this noise."),
            tile("side1", "B", drawn[1], "var(--line)", "Another picture drawn from this noise."),
        ]
