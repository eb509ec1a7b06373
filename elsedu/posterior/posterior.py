"""What the sums over patches say about the clean image: `Posterior` (chapters "The ideal score", "Borders")."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from elsedu.posterior.borders import window_sizes
from elsedu.posterior.dictionary import Constraints
from elsedu.posterior.state import State

FIELDS = ("mean", "variance", "log_evidence", "effective_patches", "source")


@dataclass
class Posterior:
    """What a machine believes about the clean pixel at every position, given the noisy window around it.

    Fields that were not asked for are None.

    Attributes:
        mean: (B, C, H, W) the denoised image, sum of w q(0) / sum of w.
        variance: (B, C, H, W) of the clean pixel under the posterior: the machine's own error map.
        log_evidence: (B, H, W) log density of the noisy window under the dictionary (normalised, so that windows,
            classes and shards compare; paper appendix B: log of the marginal patch density).
        effective_patches: (B, H, W) exp of the entropy of the weights, from 1 (one patch decides) up to the size of
            the dictionary.
        source: (B, H, W, 3) image, row, column of the heaviest patch; ties go to the smallest index.
        tied: (B, H, W) bool, whether another patch is as heavy.
    """

    mean: torch.Tensor | None = None
    variance: torch.Tensor | None = None
    log_evidence: torch.Tensor | None = None
    effective_patches: torch.Tensor | None = None
    source: torch.Tensor | None = None
    tied: torch.Tensor | None = None


def to_posterior(state: State, constraints: Constraints, window: int | None, sigma: torch.Tensor, fields) -> Posterior:
    """Turn sums into a Posterior.

    Args:
        state: Sums over all patches.
        constraints: Of the machine that asked.
        window: Odd side of its window, None for a whole-image machine, whose values are spread over the pixels.
        sigma: (B,) noise levels.
        fields: Which of `FIELDS` to compute.
    """
    batch, height, width, channels = state.v.shape
    post = Posterior()
    s = state.s.unsqueeze(-1)

    def channels_first(z):
        return z.movedim(-1, 1).contiguous()

    if {"mean", "variance"} & set(fields):
        mean = state.v / s
        post.mean = channels_first(mean) if "mean" in fields else None
    if "variance" in fields:
        post.variance = channels_first((state.v2 / s - mean**2).clamp_min(0))
    if "log_evidence" in fields:
        size = window_sizes(constraints, window, (channels, height, width)).to(state.m.device, state.m.dtype)
        sigma = sigma.to(state.m.device, state.m.dtype).view(-1, 1, 1)
        log_n = torch.log(state.n).to(state.m.device, state.m.dtype)
        evidence = state.m + torch.log(state.s) - log_n - 0.5 * size * torch.log(2 * math.pi * sigma**2)
        post.log_evidence = evidence.expand(batch, height, width)
    if "effective_patches" in fields:
        effective = torch.exp(torch.log(state.s) - state.u / state.s).clamp_min(1)
        post.effective_patches = effective.expand(batch, height, width)
    if "source" in fields:
        source = state.source
        if constraints.whole:  # a shift, the same for every pixel: turn it into the position it points at
            rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            here = torch.stack([torch.zeros_like(rows), rows, columns], -1).to(source.device)
            size = torch.tensor([torch.iinfo(torch.int64).max, height, width], device=source.device)
            source = (source + here) % size
        post.source = source.expand(batch, height, width, 3)
        post.tied = state.tied.expand(batch, height, width)
    return post
