"""Running the reverse process: DDIM (chapter "Diffusion in one page").

The probability-flow ODE, integrated on the grid t = 1, 1 - 1/n, ..., 1/n, 0. A step from t to s keeps what
the denoiser believes, x0 and eps, and mixes them at the new noise level:

    x_s = alpha(s) x0 + sigma(s) eps.

Sampling starts at t = 1 and a machine with a ScaleSchedule uses the window of that very t. (The published
code starts at t = 1 - 1/n and reads the window one step off.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch

from elsedu._common.checks import check_steps
from elsedu._common.progress import bar
from elsedu.diffusion.denoiser import Denoiser


def times(steps: int) -> list[float]:
    """The grid t = 1, 1 - 1/n, ..., 1/n, 0 as floats, n + 1 of them."""
    steps = check_steps(steps)
    return [i / steps for i in range(steps, -1, -1)]


def ddim(
    denoiser: Denoiser, noise: torch.Tensor, steps: int = 20, label: int | torch.Tensor | None = None
) -> Iterator[tuple[float, torch.Tensor, torch.Tensor]]:
    """Yield (t, noisy, denoised) for t = 1, ..., 1/steps; the last yield is (0, sample, sample).

    denoiser: machine or network. noise: (B, C, H, W), the image at t = 1, usually standard normal; its size is
    the machine's, or any that the network accepts.
    The input is not changed. Gradients follow torch's grad mode.
    """
    steps = check_steps(steps)
    denoiser.check_shape(noise, "noise")
    return _ddim(denoiser, noise, steps, label)


def _ddim(
    denoiser: Denoiser, noise: torch.Tensor, steps: int, label: int | torch.Tensor | None
) -> Iterator[tuple[float, torch.Tensor, torch.Tensor]]:
    schedule, x = denoiser.schedule, noise
    grid = times(steps)
    for t, s in itertools.pairwise(grid):
        x0, eps = denoiser.predict(x, t, label)
        yield t, x, x0
        x = schedule.add_noise(x0, s, eps)
    yield 0.0, x, x


@torch.no_grad()
def sample(
    denoiser: Denoiser, noise: torch.Tensor, steps: int = 20, label: int | torch.Tensor | None = None
) -> torch.Tensor:
    """Images drawn from `noise` (B, C, H, W) by `denoiser` in `steps` DDIM steps: (B, C, H, W).

    The same noise through a network and through a machine is the paper's experiment.

    >>> import elsedu, torch
    >>> machine = elsedu.EquivariantLocalScore(elsedu.load("digits"), window=3)
    >>> noise = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> elsedu.sample(machine, noise, steps=5).shape
    torch.Size([2, 1, 8, 8])
    """
    for _, x, _ in bar(ddim(denoiser, noise, steps, label), total=steps + 1, desc="sampling", leave=False):
        image = x
    return image
