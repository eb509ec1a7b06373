"""Everything that decides what a training run computes, as one value (issue 3 and the paper's appendix C).

Two runs with equal `Settings`, data and network give bitwise the same weights on one machine. Two
learning-rate schedules are known:

"paper"
    lr * 0.999965^step, the published one (it halves about every 50 epochs of CIFAR-10).
"short"
    linear warm-up, constant, then linear decay to zero over the last `decay` of the steps. For minutes
    of training on a CPU: the decay to zero averages the noise of stochastic gradients away, which
    the paper reaches with 300 epochs. Until the decay begins a run may still be given other `steps`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

SCHEDULES = ("paper", "short")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Settings:
    """Settings of a training run.

    Parameters
    ----------
    steps : optimiser steps
    batch : images a step
    lr : largest learning rate
    lr_schedule : "paper" or "short"
    warmup : steps of linear warm-up ("short" only)
    decay : fraction of the steps over which lr falls to zero at the end ("short" only)
    seed : of initialisation (by the caller), order of images, times and noise
    stratified : draw the B times of a batch one from each of B equal parts of {0, .., 999}/1000, instead
        of independently. Each time is still uniform; the gradient is less noisy.
    precision : "float32", "bfloat16" (autocast; weights, embedding and optimiser stay float32) or "auto":
        bfloat16 on CUDA, float32 elsewhere. On a CPU that has bfloat16 arithmetic it trains in about two
        thirds of the time, to the same loss (digits, 1,500 steps: .1747 either way); one that has not
        emulates it slowly, then choose float32
    ema : None, or the decay of an exponential moving average of the weights, which is then what is kept
    """

    steps: int
    batch: int = 128
    lr: float = 1e-4
    lr_schedule: str = "paper"
    warmup: int = 200
    decay: float = 0.5
    seed: int = 0
    stratified: bool = False
    precision: str = "auto"
    ema: float | None = None

    def __post_init__(self):
        for name in ("steps", "batch"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive int, got {value!r}")
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, got {self.lr!r}")
        if self.lr_schedule not in SCHEDULES:
            raise ValueError(f"lr_schedule must be one of {SCHEDULES}, got {self.lr_schedule!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {PRECISIONS}, got {self.precision!r}")
        if not 0 <= self.decay <= 1 or self.warmup < 0:
            raise ValueError(f"decay must lie in [0, 1] and warmup be at least 0, got {self.decay}, {self.warmup}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"ema must lie in (0, 1) or be None, got {self.ema!r}")

    @property
    def decay_start(self) -> int:
        """First step of the final decay of "short"."""
        return self.steps - round(self.decay * self.steps)

    def learning_rate(self, step: int) -> float:
        """Learning rate of step 0, 1, ..., steps - 1."""
        if self.lr_schedule == "paper":
            return self.lr * 0.999965**step
        rate = self.lr * min(1.0, (step + 1) / (self.warmup + 1))
        if step >= self.decay_start:
            rate *= (self.steps - step) / (self.steps - self.decay_start + 1)
        return rate

    def continues(self, other: Settings, step: int) -> bool:
        """Whether a run made under `other` up to `step` is also the beginning of a run under self."""
        if self == other:
            return True
        if dataclasses.replace(self, steps=other.steps) != other:
            return False
        return self.lr_schedule == "paper" or step <= min(self.decay_start, other.decay_start)

    def as_dict(self) -> dict:
        return dataclasses.asdict(self)
