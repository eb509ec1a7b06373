"""The posterior on a CPU in plain PyTorch, without gradients: what serves where the C++ engine is missing.

The same softmax attention over patches as in `attention_torch`, arranged for a cache instead of a GPU:

- A block of logits stays in the cache from the matrix product that makes it to the one that uses it, and is
  overwritten in place. It is in bits, because 2^z is quick where e^z is not, and no weight is allowed below the
  smallest normal number: arithmetic on what lies below takes ten times as long.
- For large windows the distance of two patches is summed from those of their rows (`_by_rows`). One matrix
  product compares all rows with all rows, with P C multiplications instead of P^2 C; P rows are summed by
  log2 P additions; and each row serves up to P patches.
- Near a zero border patches meet only where they lie in the same row (or column): the same sums, one shift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from elsedu.posterior.backends.boxsum_torch import corners, ends, rounding, same_position, window_sum
from elsedu.posterior.borders import patch_counts
from elsedu.posterior.state import empty_state, merge

QUERIES, KEYS = 256, 1024  # the sides of a block where nothing else limits them: a fast matrix product
ADDITION = 4  # one addition between blocks costs as much as so many multiplications in a matrix product


@dataclass
class Problem:
    """What all parts of one posterior share. precision: bits of one squared difference, log2(e) / (2 sigma^2)."""

    alpha: torch.Tensor
    precision: torch.Tensor
    centre: torch.Tensor
    window: int
    fields: frozenset
    chunk: int


def windowed(dictionary, x, alpha, inv, kind, window, fields, chunk):
    """State of LS or ELS for one window, as `attention_torch.windowed`."""
    images, (height, width) = dictionary.images, x.shape[2:]
    if not kind.equivariant:
        state = same_position(images, x, alpha, inv, kind.border, window, fields, chunk)
    else:
        # centring changes no difference x - alpha y, but it makes the numbers that cancel small
        centre, levels = dictionary.centre.view(1, -1, 1, 1), alpha.view(-1, 1, 1, 1)
        problem = Problem(levels, inv.view_as(levels) / math.log(2), centre, window, fields, chunk)
        query, state = x - levels * centre, empty_state(x, fields)
        _every_pair(problem, query, images, kind, state)
        if kind.border == "zero" and window > 1:
            for end in ends(height, window):
                _same_row(problem, query, images, *end, state, turned=False)
            for end in ends(width, window):
                _same_row(problem, query.mT, images.mT, *end, state, turned=True)
            state = merge(state, corners(images, x, alpha, inv, window, fields, chunk))
    state.n = patch_counts(kind, window, len(images), height, width)
    return state


# -- which windows meet ------------------------------------------------------------------------------------


def _every_pair(problem, query, images, kind, state):
    """Every window of the query with every window of the images; with a zero border only those inside."""
    window, radius = problem.window, problem.window // 2
    rows, columns = (slice(radius, length - radius) for length in query.shape[2:])
    wrap = kind.border == "circular" and not kind.interior
    if kind.border == "circular":
        query = _wrapped(query, radius)
    height, width = (query.shape[2] - 2 * radius, query.shape[3] - 2 * radius)
    key_height, key_width = images.shape[2:] if wrap else (n - 2 * radius for n in images.shape[2:])
    if min(height, width, key_height, key_width) <= 0:
        return
    tall = not _better_by_rows(window, images.shape[1], height, key_height)
    left, size = _queries(problem, query, tall)
    if tall:
        step = max(1, QUERIES // height)
        per_part = max(1, problem.chunk // (step * height * key_height * key_width))
    else:
        size = window_sum(size, window, 0)
        per_part = max(1, KEYS // (len(left) * key_width))
        step = max(1, problem.chunk // (len(left) * (key_height + 2 * radius) * per_part * key_width))
    blocks = [
        (left[:, i : i + step], Sums(problem, query, size[:, i : i + step].reshape(1, -1), images.shape[1]))
        for i in range(0, left.shape[1], step)
    ]
    for start in range(0, len(images), per_part):
        part = images[start : start + per_part]
        keys, values = part - problem.centre, part if wrap else part[..., rows, columns]
        right = _keys(_wrapped(keys, radius) if wrap else keys, window, tall)
        first = (start, 0, 0) if wrap else (start, radius, radius)
        columns_of, places = _columns(problem, values.transpose(0, 2), first)
        for some, sums in blocks:
            logits = some.reshape(-1, some.shape[-1]) @ right.flatten(1)
            if not tall:
                shape = len(left), some.shape[1], right.shape[1], -1
                logits = window_sum(logits.view(shape), window, 0, 2)
            sums.add(logits.reshape(1, sums.size.shape[1], -1), columns_of, places)
    at = (slice(None), slice(None)) if kind.border == "circular" else (rows, columns)
    _place(state, [sums for _, sums in blocks], height, at, turned=False)


def _better_by_rows(window, channels, height, key_height):
    """Whether summing the products of rows costs less than multiplying whole windows."""
    rows = (height + window - 1) * (key_height + window - 1)
    additions = 2 * math.log2(window)  # the larger half of them at full size
    return rows * (channels * window + ADDITION * additions) < height * key_height * channels * window**2


def _same_row(problem, query, images, rows, seen, state, turned):
    """Near a zero border: windows around the pixels `rows`, each with those of its own row; turned: of its column.

    seen: the rows that these windows see.
    """
    window, radius = problem.window, problem.window // 2
    columns = slice(radius, query.shape[3] - radius)
    if columns.start >= columns.stop:
        return
    above, below = (radius if edge else 0 for edge in (rows.start == seen.start, rows.stop == seen.stop))
    left, size = _queries(problem, query[:, :, seen], tall=False)
    size = window_sum(F.pad(size, (0, 0, above, below)), window, 0)
    height, count = len(left), columns.stop - columns.start
    step = min(left.shape[1], QUERIES)
    per_part = max(1, problem.chunk // ((height + above + below) * step * count))
    blocks = [
        (left[:, i : i + step], Sums(problem, query, size[:, i : i + step], images.shape[1]))
        for i in range(0, left.shape[1], step)
    ]
    for start in range(0, len(images), per_part):
        part = images[start : start + per_part]
        right = _keys(part[:, :, seen] - problem.centre, window, tall=False).flatten(2).transpose(0, 1)
        values = part[:, :, rows, columns].permute(2, 1, 0, 3)
        columns_of, places = _columns(problem, values, (start, rows.start, radius), groups=True, turned=turned)
        for some, sums in blocks:
            products = left.new_zeros(height + above + below, some.shape[1], right.shape[2])
            torch.bmm(some, right, out=products[above : above + height])
            sums.add(window_sum(products, window, 0), columns_of, places)
    _place(state, [sums for _, sums in blocks], rows.stop - rows.start, (rows, columns), turned)


# -- windows as matrices -----------------------------------------------------------------------------------


def _wrapped(images, radius):
    return F.pad(images, (radius,) * 4, mode="circular") if radius else images


def _unfold(images, window, tall):
    """(N, C, R, S, P or 1, P): windows of P rows, or of one, and P columns, and (N, R, S) their squared norms."""
    side = window if tall else 1
    norms = window_sum(window_sum(images.square().sum(1), window, -1), side, -2)
    return images.unfold(2, side, 1).unfold(3, window, 1), norms


def _queries(problem, query, tall):
    """Rows (R, B S, D + 2) whose product with `_keys` is minus the squared distance in bits; and (R, B S) sizes."""
    scaled = query * (2 * problem.alpha * problem.precision)
    windows = _unfold(scaled, problem.window, tall)[0]
    norms = _unfold(query, problem.window, tall)[1] * problem.precision[:, 0]  # (B, R, S)
    batch, _, height, width = windows.shape[:4]
    windows = windows.permute(2, 0, 3, 1, 4, 5).reshape(height, batch * width, -1)
    size = norms.transpose(0, 1).reshape(height, -1, 1)
    factor = (problem.alpha**2 * problem.precision).view(1, batch, 1).expand(height, batch, width)
    return torch.cat([windows, -size, -factor.reshape(height, -1, 1)], -1), size.squeeze(-1)


def _keys(images, window, tall):
    """Columns (D + 2, R, n, S): the windows, 1, and their squared norms."""
    windows, norms = _unfold(images, window, tall)
    count, channels, height, width, side, _ = windows.shape
    keys = images.new_empty(channels * side * window + 2, height, count, width)
    keys[:-2].view(channels, side, window, height, count, width).copy_(windows.permute(1, 4, 5, 2, 0, 3))
    keys[-2], keys[-1] = 1, norms.transpose(0, 1)
    return keys


def _columns(problem, values, first, groups=False, turned=False):
    """What the weights average, (1, terms, k) or one for each row of values (R, C, n, S), and where it comes from."""
    rows, _, count, width = values.shape
    columns = [torch.ones_like(values[:, :1]), values]
    if "variance" in problem.fields:
        columns.append(values.square())
    columns = torch.cat(columns, 1)  # (R, terms, n, S)
    columns = columns.flatten(2) if groups else columns.transpose(0, 1).flatten(1)[None]
    if "source" not in problem.fields:
        return columns, None
    row, image, column = torch.meshgrid(*(torch.arange(n) for n in (rows, count, width)), indexing="ij")
    image, row, column = image + first[0], row + first[1], column + first[2]
    places = torch.stack([image, column, row] if turned else [image, row, column], -1)  # (R, n, S, 3)
    return columns, places.view(len(columns), -1, 3)


# -- the softmax ----------------------------------------------------------------------------------------------


class Sums:
    """A streaming softmax over blocks of logits, for queries in independent groups.

    size: (groups, queries), logits of the queries against 0, which says how far their logits are rounded.
    """

    def __init__(self, problem, like, size, channels):
        self.fields, self.channels, self.size = problem.fields, channels, size
        self.top = like.new_full((*size.shape, 1), -torch.inf)
        self.sums = like.new_zeros(*size.shape, 1 + channels * (2 if "variance" in self.fields else 1))
        self.spread = torch.zeros_like(self.top)
        self.source = self.tied = None
        self.least = math.log2(torch.finfo(like.dtype).tiny)

    def add(self, logits, columns, places):
        """logits (groups, queries, k), overwritten; columns (groups, terms, k) and places (groups, k, 3)."""
        highest = logits.amax(-1, keepdim=True)
        if "source" in self.fields:
            self._keep_nearest(logits, highest, places)
        top = torch.maximum(self.top, highest)
        drop = (self.top - top).clamp_min_(self.least)
        lowered = logits.sub_(top).clamp_min_(self.least)
        scale, weight = drop.exp2(), lowered
        if "effective_patches" in self.fields:
            weight = lowered.exp2()
            added = lowered.mul_(weight).sum(-1, keepdim=True)
            self.spread = scale * (self.spread + self.sums[..., :1] * drop) + added
        else:
            weight.exp2_()
        self.sums.mul_(scale).add_(torch.bmm(weight, columns.mT))
        self.top = top

    def _keep_nearest(self, logits, highest, places):
        group = torch.arange(len(logits))[:, None]
        source = places[group, logits.argmax(-1)]
        margin = rounding(logits) * (1 + highest.abs() + self.size.unsqueeze(-1))
        tied = (logits > highest - margin).sum(-1) > 1
        if self.source is not None:
            nearer = (highest > self.top).squeeze(-1)
            tied = (highest == self.top).squeeze(-1) | torch.where(nearer, tied, self.tied)
            source = torch.where(nearer.unsqueeze(-1), source, self.source)
        self.source, self.tied = source, tied


def _place(state, blocks, height, at, turned):
    """Write the sums of blocks of queries, (height, some of B S) each, at their pixels."""
    batch = len(state.m)

    def put(target, name, scale=1):
        """target: (B, H, W, ...)."""
        parts = [getattr(sums, name) for sums in blocks]
        parts = [part.reshape(height, -1, *part.shape[2:]) for part in parts]
        values = torch.cat(parts, 1)
        values = values.view(height, batch, -1, *values.shape[2:]).transpose(0, 1)
        if scale != 1:
            values = values.to(target.dtype) * scale
        rows, columns = at
        if turned:
            target[:, columns, rows] = values.transpose(1, 2)
        else:
            target[:, rows, columns] = values

    channels, fields = blocks[0].channels, blocks[0].fields
    nats = math.log(2)
    put(state.m.unsqueeze(-1), "top", nats)
    sums = [state.s.unsqueeze(-1), state.v]
    if "variance" in fields:
        sums.append(state.v2)
    whole = torch.cat(sums, -1)
    put(whole, "sums")
    for target, value in zip(sums, whole.split([1] + [channels] * (len(sums) - 1), -1)):
        target.copy_(value)
    if "effective_patches" in fields:
        put(state.u.unsqueeze(-1), "spread", nats)
    if "source" in fields:
        put(state.source, "source")
        put(state.tied, "tied")
