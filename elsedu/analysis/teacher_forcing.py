"""Teacher forcing: the machine judged one step at a time, on the network's own noisy images (chapter "Prediction").

End to end, small differences between theory and network are carried along twenty steps. Here every machine
is asked about the very images x_t that the network meets, so r(t) shows at which noise level they part.
The same walk tests the machine's error map: is the network further from the posterior mean where the
posterior variance is large?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import torch
from scipy.stats import rankdata

from elsedu.analysis.metrics import pearson_r
from elsedu.data import ImageSet
from elsedu.diffusion.denoiser import Denoiser
from elsedu.diffusion.sampling import ddim
from elsedu.machines.patches import ScoreMachine

# Edges of the variance bins of the reliability curve; posterior variances lie between 0 and 1.
EDGES = np.concatenate([[0.0], np.geomspace(1e-7, 1.0, 29), [np.inf]])


def rank_correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Spearman's rank correlation over the pixels of each image: (B, C, H, W) twice -> (B,) float64.

    NaN where one of the two is constant.
    """
    ranks = [rankdata(z.double().flatten(1).numpy(), axis=1) for z in (a, b)]
    x, y = (r - r.mean(1, keepdims=True) for r in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        return torch.from_numpy((x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1)))


def reliability(variance: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
    """Sums over pixels by predicted variance: (len(EDGES) - 1, 3) float64 of count, variance, squared error."""
    v, e = variance.double().flatten().numpy(), error.double().flatten().numpy()
    bins = np.clip(np.digitize(v, EDGES) - 1, 0, len(EDGES) - 2)
    return torch.from_numpy(np.stack([np.bincount(bins, w, len(EDGES) - 1) for w in (np.ones_like(v), v, e)], 1))


@torch.no_grad()
def teacher_forced(
    network: Denoiser,
    machines: Mapping[str, Denoiser],
    noise: torch.Tensor,
    steps: int = 20,
    label: int | torch.Tensor | None = None,
    mapped: str = "els",
) -> dict[str, torch.Tensor]:
    """Walk the network's reverse process and ask the machines at each step.

    Returns a dict of tensors, times t = 1, ..., 1/steps in this order:
    "r.<machine>" (B, n): pearson_r of the machine's and the network's denoised image;
    and for the machine `mapped`, with its posterior variance v and squared difference e to the network:
    "variance", "error" (B, n): means over pixels; "rank" (B, n): rank correlation of v and e over pixels;
    "bins" (1, n, K, 3): `reliability`, over the batch.
    """
    record: dict[str, list[torch.Tensor]] = {}

    def keep(key: str, value: torch.Tensor) -> None:
        record.setdefault(key, []).append(value)

    for t, x, x0 in ddim(network, noise, steps, label):
        if t == 0:
            break
        for name, machine in machines.items():
            if name == mapped:
                post = cast(ScoreMachine, machine).posterior(x, t, label=label, fields=("mean", "variance"))
                assert post.mean is not None and post.variance is not None  # both were asked for
                mean, error = post.mean, (post.mean - x0).square()
                keep("variance", post.variance.double().mean((1, 2, 3)))
                keep("error", error.double().mean((1, 2, 3)))
                keep("rank", rank_correlation(post.variance.cpu(), error.cpu()))
                keep("bins", reliability(post.variance.cpu(), error.cpu()))
            else:
                mean = machine.denoise(x, t, label)
            keep(f"r.{name}", pearson_r(mean, x0))
    return {
        key: torch.stack(values)[None] if key == "bins" else torch.stack(values, 1) for key, values in record.items()
    }


@torch.no_grad()
def held_out(
    build: Callable[[ImageSet], ScoreMachine],
    data: ImageSet,
    steps: int = 20,
    images: int = 40,
    label_known: bool = False,
    device: torch.device | str = "cpu",
) -> dict[str, torch.Tensor]:
    """The same error map against the truth: noisy images that the machine has never seen.

    build(ImageSet) -> machine, built on all images but the held-out ones, which are drawn by a fixed
    permutation (at most a fifth of the set). Returns the tensors "variance", "error", "rank" and "bins" of
    `teacher_forced`, where the error is now (clean image - posterior mean)^2.
    """
    from elsedu.diffusion import seeds

    count = min(images, len(data) // 5)
    if count < 1:
        raise ValueError(f"{len(data)} images are too few to hold some out")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seeds.seed_of("denoising", 0)))
    truth, machine = data.take(order[:count]), build(data.take(order[count:]))
    eps = seeds.noise("denoising", range(1, count + 1), data.shape, data.images.dtype).to(device)
    clean = truth.images.to(device)
    record: dict[str, list[torch.Tensor]] = {"variance": [], "error": [], "rank": [], "bins": []}
    for k in range(steps, 0, -1):
        x = machine.schedule.add_noise(clean, k / steps, eps)
        post = machine.posterior(x, k / steps, label=truth.labels if label_known else None, fields=("mean", "variance"))
        assert post.mean is not None and post.variance is not None  # both were asked for
        error = (clean - post.mean).square()
        record["variance"].append(post.variance.double().mean((1, 2, 3)))
        record["error"].append(error.double().mean((1, 2, 3)))
        record["rank"].append(rank_correlation(post.variance.cpu(), error.cpu()))
        record["bins"].append(reliability(post.variance.cpu(), error.cpu()))
    return {
        key: torch.stack(values)[None] if key == "bins" else torch.stack(values, 1) for key, values in record.items()
    }
