"""The sum over patches as a streaming state that merges (part II and chapter "Computing it fast").

Every machine is a softmax-weighted average over a dictionary of patches. The softmax can be computed
piece by piece: a piece is summarised by its largest logit m and by sums weighted with exp(logit - m), and
two pieces are merged by rescaling both to the larger maximum. The merge is associative and commutative and
has a neutral element (m = -inf, sums 0), so chunks of images, classes, threads, GPUs and whole computers
all use the same three lines of arithmetic: `merge`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch

FIELDS = ("mean", "variance", "log_evidence", "effective_patches", "source")


@dataclass(frozen=True)
class Kind:
    """Which machine: the two switches of the family, and what happens at the border.

    whole: the comparison window is the whole image (IS, ES), otherwise P x P (LS, ELS).
    equivariant: patches may come from every position (ES, ELS), otherwise from the same one (IS, LS).
    border: "zero" or "circular"; interior: ELS on a torus that leaves out patches which wrap around the
    border of a training image. The whole-image machines ignore border and interior (ES shifts cyclically).
    """

    whole: bool
    equivariant: bool
    border: str = "zero"
    interior: bool = False


@dataclass(eq=False)
class Dictionary:
    """Training images (N, C, H, W) on one device and in one dtype, with room for what a backend derives from them.

    centre: (C,) colour that backends may subtract before distances are taken, which moves the rounding but no
    number; by default the mean of the images. Parts of one set should share one, to be rounded alike.
    `cache` belongs to the backends (packed copies, patch norms); it lives as long as the dictionary.
    """

    images: torch.Tensor
    centre: torch.Tensor | None = None
    cache: dict = field(default_factory=dict, repr=False)

    def __post_init__(self):
        if self.centre is None:
            self.centre = self.images.mean((0, 2, 3))


@dataclass
class State:
    """Partial posterior of a batch of queries at every pixel p, over some patches q with logits l.

    m: (B, H, W) largest logit (-inf: no patch yet).     s: (B, H, W) sum of w = exp(l - m).
    v: (B, C, H, W) sum of w q(0), q(0) the patch's centre pixel.   v2: the same of w q(0)**2.
    u: (B, H, W) sum of w (l - m).      n: (H, W) or (B, H, W), float64: patches counted.
    source: (B, H, W, 3) int64: image, row, column of the patch with the largest logit (image as an index
    into the Dictionary); tied: (B, H, W) bool: another patch has the same largest logit (in the backends
    other than "definition": the same within rounding).
    v2, u, n, source and tied are None where they were not asked for. For the whole-image machines m, s, u,
    n are (B, 1, 1) or (1, 1), and source is (image, row shift, column shift), shape (B, 1, 1, 3).

    m may be float64 beside sums in float32: it is large, and its rounding would be a factor on all the sums
    when two states meet.
    """

    m: torch.Tensor
    s: torch.Tensor
    v: torch.Tensor
    v2: torch.Tensor | None = None
    u: torch.Tensor | None = None
    n: torch.Tensor | None = None
    source: torch.Tensor | None = None
    tied: torch.Tensor | None = None


def merge(a: State, b: State) -> State:
    """The state of the union of two disjoint sets of patches."""
    m = torch.maximum(a.m, b.m)
    parts = []
    for part in (a, b):
        # the neutral element has m = -inf, and (-inf) - (-inf) would be NaN
        drop = torch.where(torch.isneginf(part.m), torch.zeros_like(m), part.m - m)
        scale = torch.where(torch.isneginf(part.m), torch.zeros_like(m), torch.exp(drop))
        parts.append((part, drop.to(part.s.dtype), scale.to(part.s.dtype)))

    def add(name, lift=lambda z: z):
        if getattr(a, name) is None:
            return None
        return sum(lift(scale) * getattr(part, name) for part, _, scale in parts)

    def over_channels(z):
        return z.unsqueeze(1)

    merged = State(m=m, s=add("s"), v=add("v", over_channels), v2=add("v2", over_channels))
    if a.u is not None:  # sum of w (l - m) moves with the reference point m
        merged.u = sum(scale * (part.u + part.s * drop) for part, drop, scale in parts)
    if a.n is not None:
        merged.n = a.n + b.n
    if a.source is not None:
        same = a.m == b.m
        take_b = (b.m > a.m) | (same & _comes_before(b.source, a.source))
        merged.source = torch.where(take_b.unsqueeze(-1), b.source, a.source)
        merged.tied = same | torch.where(take_b, b.tied, a.tied)
    return merged


def empty_state(like, fields, whole=False):
    """The neutral element of `merge` for queries `like` (B, C, H, W), without n; whole: of IS and ES."""
    batch, channels, height, width = like.shape
    pixels = (1, 1) if whole else (height, width)
    wide = torch.float32 if like.device.type == "mps" else torch.float64

    def full(*shape, value=0, dtype=like.dtype):
        return torch.full((batch, *shape), value, dtype=dtype, device=like.device)

    return State(
        m=full(*pixels, value=-torch.inf, dtype=wide),
        s=full(*pixels),
        v=full(channels, height, width),
        v2=full(channels, height, width) if "variance" in fields else None,
        u=full(*pixels) if "effective_patches" in fields else None,
        source=full(*pixels, 3, dtype=torch.int64) if "source" in fields else None,
        tied=full(*pixels, value=False, dtype=torch.bool) if "source" in fields else None,
    )


def _comes_before(a, b):
    """Lexicographic a < b over the last axis (image, row, column)."""
    less = a < b
    equal = a == b
    return less[..., 0] | (equal[..., 0] & (less[..., 1] | (equal[..., 1] & less[..., 2])))


@dataclass
class Posterior:
    """What a machine believes about the clean pixel at every position, given the noisy window around it.

    mean: (B, C, H, W) the denoised image, sum of w q(0) / sum of w.
    variance: (B, C, H, W) of the clean pixel under the posterior: the machine's own error map.
    log_evidence: (B, H, W) log density of the noisy window under the dictionary (normalised, so that
    windows, classes and shards compare; paper appendix B: log of the marginal patch density).
    effective_patches: (B, H, W) exp of the entropy of the weights, from 1 (one patch decides) up to the
    size of the dictionary.
    source: (B, H, W, 3) image, row, column of the heaviest patch; ties go to the smallest index.
    tied: (B, H, W) bool, whether another patch is as heavy.
    Fields that were not asked for are None.
    """

    mean: torch.Tensor | None = None
    variance: torch.Tensor | None = None
    log_evidence: torch.Tensor | None = None
    effective_patches: torch.Tensor | None = None
    source: torch.Tensor | None = None
    tied: torch.Tensor | None = None


def patch_counts(kind: Kind, window: int, images: int, height: int, width: int) -> torch.Tensor:
    """Size of the dictionary of each pixel: (H, W) float64, or (1, 1) for the whole-image machines."""
    if kind.whole:
        size = images * (height * width if kind.equivariant else 1)
        return torch.full((1, 1), float(size), dtype=torch.float64)
    if not kind.equivariant:
        return torch.full((height, width), float(images), dtype=torch.float64)
    radius = window // 2
    if kind.border == "circular":
        positions = (height - 2 * radius) * (width - 2 * radius) if kind.interior else height * width
        return torch.full((height, width), float(images * positions), dtype=torch.float64)

    def along(length):  # how many rows (columns) overlap the border as this one does
        inside = max(0, length - 2 * radius)
        counts = torch.ones(length, dtype=torch.float64)
        if inside:
            counts[radius:length - radius] = inside
        return counts

    return images * along(height)[:, None] * along(width)[None, :]


def window_sizes(kind: Kind, window: int, shape) -> torch.Tensor:
    """d_p of the evidence: how many values p's window holds inside the image, (H, W) or (1, 1) float64."""
    channels, height, width = shape
    if kind.whole:
        return torch.full((1, 1), float(channels * height * width), dtype=torch.float64)
    if kind.border == "circular":
        return torch.full((height, width), float(channels * window**2), dtype=torch.float64)

    def along(length):
        i = torch.arange(length)
        return (torch.clamp(i + window // 2, max=length - 1) - torch.clamp(i - window // 2, min=0) + 1).double()

    return channels * along(height)[:, None] * along(width)[None, :]


def finish(state: State, kind: Kind, window: int, sigma: torch.Tensor, fields) -> Posterior:
    """Turn sums into a Posterior. sigma: (B,). Whole-image values are broadcast over the pixels."""
    batch, _, height, width = state.v.shape
    post = Posterior()
    s = state.s.unsqueeze(1)
    if {"mean", "variance"} & set(fields):
        mean = state.v / s
        post.mean = mean if "mean" in fields else None
    if "variance" in fields:
        post.variance = (state.v2 / s - mean**2).clamp_min(0)
    if "log_evidence" in fields:
        size = window_sizes(kind, window, state.v.shape[1:]).to(state.m.device, state.m.dtype)
        sigma = sigma.to(state.m.device, state.m.dtype).view(-1, 1, 1)
        log_n = torch.log(state.n).to(state.m.device, state.m.dtype)
        evidence = state.m + torch.log(state.s) - log_n - 0.5 * size * torch.log(2 * math.pi * sigma**2)
        post.log_evidence = evidence.expand(batch, height, width)
    if "effective_patches" in fields:
        effective = torch.exp(torch.log(state.s) - state.u / state.s).clamp_min(1)
        post.effective_patches = effective.expand(batch, height, width)
    if "source" in fields:
        source = state.source
        if kind.whole:  # a shift, the same for every pixel: turn it into the position it points at
            rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            here = torch.stack([torch.zeros_like(rows), rows, columns], -1).to(source.device)
            size = torch.tensor([torch.iinfo(torch.int64).max, height, width], device=source.device)
            source = (source + here) % size
        post.source = source.expand(batch, height, width, 3)
        post.tied = state.tied.expand(batch, height, width)
    return post


def with_image_index(state: State, index: torch.Tensor) -> State:
    """The state with sources renumbered: image i of the dictionary is image index[i] of the whole set."""
    if state.source is None or len(index) == 0:
        return state
    source = state.source.clone()
    source[..., 0] = index.to(source.device)[source[..., 0]]
    return replace(state, source=source)
