"""The sum over patches as a streaming state that merges (part II and chapter "Computing it fast").

Every machine is a softmax-weighted average over a dictionary of patches. The softmax can be computed
piece by piece: a piece is summarised by its largest logit m and by sums weighted with exp(logit - m), and
two pieces are merged by rescaling both to the larger maximum. The merge is associative and commutative and
has a neutral element (m = -inf, sums 0), so chunks of images, classes, threads, GPUs and whole computers
all use the same three lines of arithmetic: `merge`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch


@dataclass
class State:
    """Partial posterior of a batch of queries at every pixel p, over some patches q with logits l.

    m: (B, H, W) largest logit (-inf: no patch yet).     s: (B, H, W) sum of w = exp(l - m).
    v: (B, H, W, C) sum of w q(0), q(0) the patch's centre pixel.   v2: the same of w q(0)**2.
    u: (B, H, W) sum of w (l - m).      n: (H, W) or (B, H, W), float64: patches counted.
    source: (B, H, W, 3) int64: image, row, column of the patch with the largest logit (image as an index
    into the Dictionary); tied: (B, H, W) bool: another patch has the same largest logit (in the backends
    other than "definition": the same within rounding).
    v2, u, n, source and tied are None where they were not asked for. For the whole-image machines m, s, u,
    n are (B, 1, 1) or (1, 1), and source is (image, row shift, column shift), shape (B, 1, 1, 3).
    What belongs to one query lies in the leading axes, colours and places in the last: `merge` knows no shapes.

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

    def map(self, function) -> State:
        """The state of function(tensor) for every tensor that is there."""
        values = {name: getattr(self, name) for name in NAMES}
        return State(**{name: None if value is None else function(value) for name, value in values.items()})

    def to(self, device, dtype) -> State:
        """The state on a device, its sums in a dtype (counts, sources and ties keep theirs)."""
        moved = self.map(lambda z: z.to(device, dtype if z.is_floating_point() else z.dtype))
        return moved if self.n is None else replace(moved, n=self.n.to(device))


NAMES = tuple(field.name for field in fields(State))


def merge(a: State, b: State) -> State:
    """The state of the union of two disjoint sets of patches."""
    m = torch.maximum(a.m, b.m)
    parts = []
    for part in (a, b):
        # the neutral element has m = -inf, and (-inf) - (-inf) would be NaN
        drop = torch.where(torch.isneginf(part.m), torch.zeros_like(m), part.m - m)
        scale = torch.where(torch.isneginf(part.m), torch.zeros_like(m), torch.exp(drop))
        parts.append((part, drop.to(part.s.dtype), scale.to(part.s.dtype)))

    def colours(name):
        if getattr(a, name) is None:
            return None
        return sum(scale.unsqueeze(-1) * getattr(part, name) for part, _, scale in parts)

    merged = State(m=m, s=sum(scale * part.s for part, _, scale in parts), v=colours("v"), v2=colours("v2"))
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


def empty_state(like, wanted, whole=False):
    """The neutral element of `merge` for queries `like` (B, C, H, W), without n; whole: of IS and ES."""
    batch, channels, height, width = like.shape
    pixels = (1, 1) if whole else (height, width)
    wide = torch.float32 if like.device.type == "mps" else torch.float64

    def full(*shape, value=0, dtype=like.dtype):
        return torch.full((batch, *shape), value, dtype=dtype, device=like.device)

    return State(
        m=full(*pixels, value=-torch.inf, dtype=wide),
        s=full(*pixels),
        v=full(height, width, channels),
        v2=full(height, width, channels) if "variance" in wanted else None,
        u=full(*pixels) if "effective_patches" in wanted else None,
        source=full(*pixels, 3, dtype=torch.int64) if "source" in wanted else None,
        tied=full(*pixels, value=False, dtype=torch.bool) if "source" in wanted else None,
    )


def _comes_before(a, b):
    """Lexicographic a < b over the last axis (image, row, column)."""
    less, equal = torch.zeros_like(a[..., 0], dtype=torch.bool), torch.ones_like(a[..., 0], dtype=torch.bool)
    for left, right in zip(a.unbind(-1), b.unbind(-1)):
        less |= equal & (left < right)
        equal &= left == right
    return less


def with_image_index(state: State, index: torch.Tensor) -> State:
    """The state with sources renumbered: image i of the dictionary is image index[i] of the whole set."""
    if state.source is None or len(index) == 0:
        return state
    source = state.source.clone()
    source[..., 0] = index.to(source.device)[source[..., 0]]
    return replace(state, source=source)
