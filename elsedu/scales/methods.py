"""Three ways to find the windows P(t): two need no network (chapter "Scales").

trajectory   along the network's own reverse process: which window's score looks most like the network's?
             (the paper's appendix C)
denoising    on held-out images with noise: which window removes it best?
patches      along the machine's own reverse process: the largest window for which enough patches still
             have a say, counted by the entropy of the posterior weights

Each returns what it measured for every sample, time and window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from elsedu._common.progress import Bar, bar
from elsedu._common.records import device_of
from elsedu.data import ImageSet
from elsedu.diffusion import seeds
from elsedu.diffusion.denoiser import Denoiser
from elsedu.diffusion.sampling import ddim, times
from elsedu.machines.patches import ScoreMachine
from elsedu.posterior import Posterior

# Effective patches that a window must keep. Fixed once, on the digits and their zero-padded ResNet
# (elsedu/shipped/results/kappa-digits-resnet-zero.json), and used unchanged for everything else.
KAPPA = 12.0


def similarity(a: torch.Tensor, b: torch.Tensor, criterion: str) -> torch.Tensor:
    """How alike scores a and b (B, C, H, W) are, (B,) float64, larger is better.

    "cosine": cosine of the angle between them. "squared_error": minus the mean squared difference.
    """
    a, b = a.double().flatten(1), b.double().flatten(1)
    if criterion == "squared_error":
        return -(a - b).square().mean(1)
    lengths: torch.Tensor = a.norm(dim=1) * b.norm(dim=1)
    return (a * b).sum(1) / lengths


@torch.no_grad()
def trajectory(
    network: Denoiser,
    machine: ScoreMachine,
    windows: Sequence[int],
    steps: int,
    index: Sequence[int],
    label: int | torch.Tensor | None,
    criterion: str,
    progress: bool = True,
) -> torch.Tensor:
    """Similarity of the network's score to each window's along its reverse process: (S, n, W), t rising.

    All windows come from one pass over the training images.
    """
    x = seeds.noise("calibration", index, machine.image_shape, machine.data.images.dtype).to(device_of(network))
    table = []
    walk = ddim(network, x, steps, label)
    for t, x, x0 in bar(walk, total=steps + 1, desc="calibrating", leave=False, progress=progress):
        if t == 0:
            break
        target = network.schedule.score_from_x0(x, x0, t)
        table.append(_each_window(machine, x, t, label, windows, target, criterion))
    return torch.stack(table[::-1], 1).cpu()


def _each_window(
    machine: ScoreMachine,
    x: torch.Tensor,
    t: float,
    label: int | torch.Tensor | None,
    windows: Sequence[int],
    target: torch.Tensor,
    criterion: str,
) -> torch.Tensor:
    posts = machine.posterior(x, t, label=label, windows=windows, fields=("mean",))
    scores = (machine.schedule.score_from_x0(x, _mean(posts[w]), t) for w in windows)
    return torch.stack([similarity(score, target, criterion) for score in scores], -1)


def _mean(post: Posterior) -> torch.Tensor:
    assert post.mean is not None  # it was asked for
    return post.mean


@torch.no_grad()
def denoising(
    build: Callable[[ImageSet], ScoreMachine],
    data: ImageSet,
    windows: Sequence[int],
    steps: int,
    index: Sequence[int],
    folds: int,
    conditional: bool,
    progress: bool = True,
) -> torch.Tensor:
    """Minus the mean squared error of each window on held-out images: (S, n, W), t rising.

    build(ImageSet) -> machine. The images are cut into `folds` parts by a fixed permutation; an image of
    one part is denoised by the machine built on the others. index: which images, as places in the
    permutation. conditional: machines are told the image's class.
    """
    if not 2 <= folds <= len(data):
        raise ValueError(f"folds must be between 2 and the {len(data)} images, got {folds}")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seeds.seed_of("denoising", 0)))
    if max(index) >= len(data):
        raise ValueError(f"{data.name} has {len(data)} images; there is no held-out image {max(index)}")
    rows: dict[int, torch.Tensor] = {}
    grid = times(steps)[-2::-1]
    work: Bar[None] = bar(None, total=folds * steps, desc="denoising", leave=False, progress=progress)
    for fold in range(folds):
        mine = [place for place, k in enumerate(index) if k % folds == fold]
        if not mine:
            continue
        rest = order[[k for k in range(len(data)) if k % folds != fold]]
        machine = build(data.take(rest))
        held_out = data.take(order[[index[place] for place in mine]])
        label = held_out.labels if conditional else None
        eps = seeds.noise("denoising", [1 + index[place] for place in mine], data.shape, data.images.dtype)
        table = []
        for t in grid:
            noisy = machine.schedule.add_noise(held_out.images, t, eps)
            posts = machine.posterior(noisy, t, label=label, windows=windows, fields=("mean",))
            table.append(
                torch.stack([similarity(_mean(posts[w]), held_out.images, "squared_error") for w in windows], -1)
            )
            work.update()
        for place, row in zip(mine, torch.stack(table, 1)):
            rows[place] = row
    work.close()
    return torch.stack([rows[place] for place in range(len(index))])


@torch.no_grad()
def patches(
    machine: ScoreMachine,
    windows: Sequence[int],
    steps: int,
    index: Sequence[int],
    label: int | torch.Tensor | None,
    kappa: float = KAPPA,
    monotone: bool = False,
    progress: bool = True,
) -> tuple[list[int], list[list[float]]]:
    """Windows (n,) and median log effective patches (n, W), t rising, along the machine's own reverse process.

    At each time, from t = 1 down, the largest window whose median log(effective_patches) over samples and
    pixels is at least log kappa (none: the smallest), with `monotone` among those not above the last one;
    the step to the next time is taken with it.
    """
    if not kappa >= 1:
        raise ValueError(f"kappa must be a number of patches of at least 1, got {kappa!r}")
    schedule = machine.schedule
    x = seeds.noise("evidence", index, machine.image_shape, machine.data.images.dtype)
    grid = times(steps)
    chosen: list[int] = []
    table: list[list[float]] = []
    for t, s in bar(pairwise(grid), total=steps, desc="patches", leave=False, progress=progress):
        posts = machine.posterior(x, t, label=label, windows=windows, fields=("mean", "effective_patches"))
        spread = [_log_patches(posts[w]) for w in windows]
        allowed = [
            w
            for w, value in zip(windows, spread)
            if value >= math.log(kappa) and not (monotone and chosen and w > chosen[-1])
        ]
        chosen.append(max(allowed, default=min(windows)))
        table.append(spread)
        x0 = _mean(posts[chosen[-1]])
        eps = schedule.noise_from_x0(x, x0, t)
        x = schedule.add_noise(x0, s, eps)
    return chosen[::-1], table[::-1]


def _log_patches(post: Posterior) -> float:
    """Median over samples and pixels of the log of effective patches."""
    assert post.effective_patches is not None  # they were asked for
    return float(post.effective_patches.double().log().median())
