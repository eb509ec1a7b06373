"""Which places may be compared with which: the rule at the border of an image (paper, appendix B.2; chapter "Borders").

A window that overlaps the border shows it: the zeros beyond it give the overlap away, so a network can tell where
it is. The machine with a zero border therefore compares a window only with patches that overlap the border in the
same way. The rule holds for rows and columns on their own, and `comparable` states it for one axis; everything else
here, the sizes of dictionaries and the groups of pixels that the backends work off, is a product of two axes. (The
oracle, `backends.definition`, says it again in its own words, and the C++ engine in its own; tests compare them.)
"""

from __future__ import annotations

import torch

from elsedu.posterior.dictionary import Constraints


def comparable(
    length: int, window: int, border: str = "zero", interior: bool = False
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Which places of one axis are compared with which, for an equivariant machine.

    Args:
        length: Number of places.
        window: Odd side of the window.
        border: "zero" or "circular".
        interior: On a torus, leave out the places whose windows wrap around the border.

    Returns:
        Pairs (asking, compared) of index tensors (G, A) and (G, K): each of the G rows is a problem of its own, in
        which A places are compared with K. Every place asks in exactly one of them.

    >>> [(asking.tolist(), compared.tolist()) for asking, compared in comparable(5, 3)]
    [([[1, 2, 3]], [[1, 2, 3]]), ([[0], [4]], [[0], [4]])]
    """
    every, edge = torch.arange(length), near_border(length, window)
    inside = every[~edge]
    if border == "circular":
        return [(every[None], (inside if interior else every)[None])]
    problems = [(inside[None], inside[None]), (every[edge][:, None], every[edge][:, None])]
    return [problem for problem in problems if problem[0].numel()]


def near_border(length: int, window: int) -> torch.Tensor:
    """Whether a window around each of `length` places overlaps the border: (length,) bool."""
    radius = window // 2
    return torch.tensor([not radius <= place < length - radius for place in range(length)], dtype=torch.bool)


def groups(height: int, width: int, window: int, constraints: Constraints) -> list[tuple[torch.Tensor, ...]]:
    """Pixels compared with the same patches: (asking rows, compared rows, asking columns, compared columns).

    An entry holds index tensors of shape (G, .): G independent problems of one size. With a zero border the corners,
    near it in both directions, are left out: there the equivariant machine compares each place only with itself.
    """
    options = window, constraints.border, constraints.interior
    found = []
    for rows in comparable(height, *options):
        for columns in comparable(width, *options):
            if constraints.border == "zero" and _is_edge(rows, height, window) and _is_edge(columns, width, window):
                continue
            count = max(len(rows[0]), len(columns[0]))
            found.append(tuple(axis.expand(count, -1) for axis in (*rows, *columns)))
    return found


def _is_edge(problem, length, window):
    return bool(near_border(length, window)[problem[0][0, 0]])


def patch_counts(constraints: Constraints, window: int | None, images: int, height: int, width: int) -> torch.Tensor:
    """Size of the dictionary of each pixel: (H, W) float64, or (1, 1) for the whole-image machines."""
    if constraints.whole:
        size = images * (height * width if constraints.equivariant else 1)
        return torch.full((1, 1), float(size), dtype=torch.float64)
    if not constraints.equivariant:
        return torch.full((height, width), float(images), dtype=torch.float64)

    def along(length):
        counts = torch.empty(length, dtype=torch.float64)
        for asking, compared in comparable(length, window, constraints.border, constraints.interior):
            counts[asking] = float(compared.shape[1])
        return counts

    return images * along(height)[:, None] * along(width)[None, :]


def window_sizes(constraints: Constraints, window: int | None, shape) -> torch.Tensor:
    """How many values p's window holds inside the image (C, H, W), d_p of the evidence: (H, W) or (1, 1) float64."""
    channels, height, width = shape
    if constraints.whole:
        return torch.full((1, 1), float(channels * height * width), dtype=torch.float64)
    if constraints.border == "circular":
        return torch.full((height, width), float(channels * window**2), dtype=torch.float64)

    def along(length):
        i = torch.arange(length)
        return (torch.clamp(i + window // 2, max=length - 1) - torch.clamp(i - window // 2, min=0) + 1).double()

    return channels * along(height)[:, None] * along(width)[None, :]
