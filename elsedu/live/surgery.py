"""`Surgery`: two halves of two processes, joined at a time that the reader chooses."""

from __future__ import annotations

import itertools

import torch

from elsedu.figures import COLORS

from .exhibit import Exhibit, tile

STEPS = 20
TAILORS = (
    {"words": "7 × 7", "machine": "els", "windows": [7]},
    {"words": "whole, then 7 × 7", "machine": "els", "windows": [7] * 10 + [39] * 10},
    {"words": "whole image", "machine": "is", "windows": [39]},
)


class Surgery(Exhibit):
    """Trousers A and B are cut at a time t*, half of A is joined to half of B, and the process goes on.

    Args:
        cut: steps that are left after the cut, of 20.
        seed: of A's noise; B has the next one.
        prompt: one sentence that says what to try.
        id: name of the figure.
    """

    def __init__(self, cut=8, seed=0, prompt="Choose a tailor and a time for the cut.", id="surgery"):
        super().__init__("surgery", prompt, id, "trousers")
        if not 0 < cut < STEPS:
            raise ValueError(f"cut must be one of the steps 1 to {STEPS - 1}, got {cut!r}")
        self.cut, self.seed = cut, seed

    def more(self) -> dict:
        return {"cut": self.cut, "seed": self.seed, "tailors": list(TAILORS)}

    def follow(self, machine, x: torch.Tensor, step: int) -> list[torch.Tensor]:
        """The states of a process from step `step` (t = step / 20) to 0."""
        states, times = [x], [k / STEPS for k in range(step, -1, -1)]
        for t, s in itertools.pairwise(times):
            x0, eps = machine.predict(x, t)
            x = float(machine.schedule.alpha(s)) * x0 + float(machine.schedule.sigma(s)) * eps
            states.append(x)
        return states

    def operation(self) -> dict[str, torch.Tensor]:
        """A, B, the joined state at the cut and what becomes of it: (C, H, W) each."""
        machine = self.machine(TAILORS[0]["machine"], TAILORS[0]["windows"])
        a, b = (self.follow(machine, self.noise(seed), STEPS) for seed in (self.seed, self.seed + 1))
        at, middle = STEPS - self.cut, self.images.shape[2] // 2
        joined = torch.cat([a[at][..., :middle], b[at][..., middle:]], -1)
        child = self.follow(machine, joined, self.cut)[-1]
        return {"a": a[-1][0], "b": b[-1][0], "joined": joined[0], "child": child[0]}

    def still(self) -> list[dict]:
        result = self.operation()
        return [
            tile("a", "A", result["a"], COLORS["LS"], "Sample A: a pair of trousers.", "left half is kept"),
            tile("b", "B", result["b"], COLORS["other"], "Sample B: another pair.", "right half is kept"),
            tile(
                "joined", "A | B", result["joined"], COLORS["data"], "The two halves joined, with noise.", "at the cut"
            ),
            tile("child", "the patient", result["child"], COLORS["ELS"], "What the joined halves become.", "at t = 0"),
        ]
