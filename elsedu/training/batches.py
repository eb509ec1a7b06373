"""Which images, times and noise a step of training sees.

The order of the images is a fresh permutation each epoch, and a batch may span two epochs, so that no
image is left out. Permutations depend on (seed, epoch) alone; times and noise come from one generator,
whose state is part of a checkpoint.
"""

from __future__ import annotations

import functools

import torch


class Order:
    """Indices of the images of step 0, 1, ...: a stream of permutations cut into batches."""

    def __init__(self, images: int, batch: int, seed: int, device="cpu"):
        self.images, self.batch, self.seed, self.device = images, batch, seed, device
        self._permutation = functools.lru_cache(maxsize=2)(self._draw)

    def _draw(self, epoch: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**31)
        return torch.randperm(self.images, generator=generator).to(self.device)  # the same on every device

    def __call__(self, step: int) -> torch.Tensor:
        """(batch,) int64."""
        parts, position, missing = [], step * self.batch, self.batch
        while missing:
            epoch, start = divmod(position, self.images)
            part = self._permutation(epoch)[start : start + missing]
            parts.append(part)
            position += len(part)
            missing -= len(part)
        return torch.cat(parts)


def draw_times(batch: int, generator: torch.Generator, stratified: bool, steps: int = 1000) -> torch.Tensor:
    """(batch,) float64 times, each uniform on {0, 1, ..., steps - 1} / steps (the paper's).

    t = 0 is among them: there sigma = 0 and the noise cannot be seen, so this one in a thousand adds a
    constant to the loss and asks for eps = 0, the right answer. `stratified`: one time from each of
    `batch` equal parts, shifted by one common random number.
    """
    device = generator.device
    if stratified:
        shift = torch.rand(1, generator=generator, device=device, dtype=torch.float64)
        u = (torch.arange(batch, device=device, dtype=torch.float64) + shift) / batch
    else:
        u = torch.rand(batch, generator=generator, device=device, dtype=torch.float64)
    return torch.clamp(torch.floor(u * steps), max=steps - 1) / steps
