"""The posterior exactly as the formula says, in float64 and with nothing clever: the oracle of all backends.

For every pixel p and every patch q of p's dictionary (paper eqs. 3-10, 39-41):

    logit_q(p) = -|x_window(p) - alpha q|^2 / (2 sigma^2),   weights = softmax over q,
    denoised(p) = sum_q weight_q(p) q(0).

Read this first, then `attention_torch` and `native/shift.cpp`, which compute the same numbers faster.
Cost and memory grow as N H^2 W^2 P^2: for small images only.
"""

from __future__ import annotations

import torch

from elsedu.posterior.borders import patch_counts
from elsedu.posterior.dictionary import Constraints, Dictionary
from elsedu.posterior.state import State


def partial_posterior(dictionary: Dictionary, x, alpha, sigma, kind: Constraints, windows, fields):
    """{window: State} in float64 on the CPU. Arguments as in `elsedu.posterior.partial_posterior`."""
    images = dictionary.images.double().cpu()
    x, alpha, sigma = x.double().cpu(), alpha.double().cpu(), sigma.double().cpu()
    if kind.whole:
        return {window: _whole(images, x, alpha, sigma, kind) for window in windows}
    return {window: _windowed(images, x, alpha, sigma, kind, window) for window in windows}


def _windowed(images, x, alpha, sigma, kind, window):
    count, _, height, width = images.shape
    states = []
    for row in range(height):
        for column in range(width):
            offsets = window_offsets(row, column, height, width, window, kind.border)
            query = _pixels(x, row, column, offsets)                       # (B, C, K)
            positions = dictionary_positions(row, column, height, width, window, kind)
            logits = torch.empty(len(x), count, len(positions), dtype=torch.float64)
            values = torch.empty(count, len(positions), images.shape[1], dtype=torch.float64)
            for k, (i, j) in enumerate(positions):
                patches = _pixels(images, i, j, offsets)                   # (N, C, K)
                difference = query[:, None] - alpha[:, None, None, None] * patches[None]
                distance = (difference**2).sum((2, 3))                     # (B, N)
                logits[:, :, k] = -distance / (2 * sigma[:, None] ** 2)
                values[:, k] = images[:, :, i, j]
            states.append(_summarise(logits, values, torch.tensor(positions)))

    def grid(*parts):  # for every pixel (B, ...) -> (B, H, W, ...)
        return torch.stack(parts, 1).unflatten(1, (height, width))

    names = ("m", "s", "v", "v2", "u", "source", "tied")
    found = {name: grid(*(getattr(state, name) for state in states)) for name in names}
    return State(**found, n=patch_counts(kind, window, count, height, width))


def _whole(images, x, alpha, sigma, kind):
    count, _, height, width = images.shape
    shifts = [(i, j) for i in range(height) for j in range(width)] if kind.equivariant else [(0, 0)]
    logits = torch.empty(len(x), count, len(shifts), dtype=torch.float64)
    for k, (i, j) in enumerate(shifts):
        shifted = torch.roll(images, (-i, -j), (2, 3))                     # pixel p of it is p + shift of y
        difference = x[:, None] - alpha[:, None, None, None, None] * shifted[None]
        logits[:, :, k] = -(difference**2).sum((2, 3, 4)) / (2 * sigma[:, None] ** 2)
    values = torch.stack([torch.roll(images, (-i, -j), (2, 3)) for i, j in shifts], 1)   # (N, K, C, H, W)
    state = _summarise(logits, values.flatten(2), torch.tensor(shifts))

    state = state.map(lambda z: z[:, None, None])                          # one number for all pixels
    state.v, state.v2 = (z.reshape(x.shape).movedim(1, -1) for z in (state.v, state.v2))
    state.n = patch_counts(kind, None, count, height, width)
    return state


def _summarise(logits, values, positions):
    """Sums of one pixel's softmax. logits (B, N, K); values (N, K, D); positions (K, 2)."""
    flat = logits.flatten(1)                                               # image first, then position
    m, best = flat.max(1)
    best = (flat == m[:, None]).double().argmax(1)                         # ties: the first patch
    weight = torch.exp(flat - m[:, None])
    values = values.flatten(0, 1)
    where = positions[best % len(positions)]
    return State(
        m=m,
        s=weight.sum(1),
        v=weight @ values,
        v2=weight @ values**2,
        u=(weight * (flat - m[:, None])).sum(1),
        source=torch.cat([(best // len(positions))[:, None], where], 1),
        tied=(flat == m[:, None]).sum(1) > 1,
    )


def window_offsets(row, column, height, width, window, border):
    """Offsets (di, dj) of the window's pixels around (row, column); with a zero border those inside the image."""
    radius = window // 2
    reach = range(-radius, radius + 1)
    return [
        (di, dj)
        for di in reach
        for dj in reach
        if border == "circular" or (0 <= row + di < height and 0 <= column + dj < width)
    ]


def dictionary_positions(row, column, height, width, window, kind):
    """Centres (i, j) of the patches that the pixel (row, column) may be compared with.

    Local machines: the same place. On a torus: every place (with `interior`: where the window does not
    wrap). With a zero border: the places whose window overlaps the border in the same way, since the
    zeros beyond the border give that overlap away (paper appendix B.2).
    """
    if not kind.equivariant:
        return [(row, column)]
    radius = window // 2

    def along(index, length):
        inside = list(range(radius, length - radius))
        if kind.border == "circular":
            return inside if kind.interior else list(range(length))
        return inside if index in inside else [index]

    return [(i, j) for i in along(row, height) for j in along(column, width)]


def _pixels(images, row, column, offsets):
    """(N, C, K): the pixels at the offsets around (row, column), wrapping around."""
    height, width = images.shape[2:]
    return torch.stack([images[:, :, (row + di) % height, (column + dj) % width] for di, dj in offsets], -1)
