"""Provenance: which training patch each pixel of a generated image came from.

Drawn from the posterior's ``source`` map, (H,W,3) integers (image, row, column). Neighbouring pixels whose
sources are neighbours in the same training image form one piece of the mosaic. Where several patches are equally
near (the posterior's ``tied``, as on black ground), the source is one of many: such pixels are dark gray and belong
to no piece.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from elsedu.figures.grids import to_pixels
from elsedu.figures.style import FRAME

__all__ = ["count_pieces", "mosaic_map", "outline_pieces", "provenance"]

# Okabe and Ito's colours and lighter and darker relatives: one a training image, in order of its share.
_PIECES = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b5a2b", "#6a51a3"]
_REST = "#8b8f94"
TIED = "#33383f"


def _keys(source, tied=None):
    """(H,W,3) integers: training image, row shift and column shift of each pixel; -1, 0, 0 where tied."""
    source = np.asarray(torch.as_tensor(source).cpu())
    if source.ndim != 3 or source.shape[-1] != 3:
        raise ValueError(f"expected a source map of shape (H,W,3), got {source.shape}")
    keys = source.astype(np.int64).copy()
    keys[..., 1] -= np.arange(source.shape[0])[:, None]
    keys[..., 2] -= np.arange(source.shape[1])[None, :]
    keys[~_known(source, tied)] = -1, 0, 0
    return keys


def _known(source, tied):
    """(H,W) bool: the pixels whose source is the only one."""
    if tied is None:
        return np.ones(source.shape[:2], dtype=bool)
    tied = np.asarray(torch.as_tensor(tied).cpu())
    if tied.shape != source.shape[:2] or tied.dtype != bool:
        raise ValueError(f"expected tied as bool of shape {source.shape[:2]}, got {tied.dtype} of {tied.shape}")
    return ~tied


def count_pieces(source, tied=None) -> int:
    """The number of pieces of the mosaic: connected pixels copied from one image with one shift.

    Parameters
    ----------
    source : tensor or array
        (H,W,3) integers: image, row, column.
    tied : tensor or array, optional
        (H,W) bool: pixels for which several patches are equally near. They belong to no piece.

    Returns
    -------
    int
        At most H times W; at least 1, unless all pixels are tied.
    """
    keys = _keys(source, tied)
    return len(np.unique(_pieces(keys)[keys[..., 0] >= 0]))


def _pieces(keys):
    """(H,W) piece numbers: connected pixels (by sides) with equal keys."""
    height, width, _ = keys.shape
    piece = -np.ones((height, width), dtype=np.int64)
    count = 0
    for start in np.ndindex(height, width):
        if piece[start] >= 0:
            continue
        piece[start], todo = count, [start]
        while todo:
            y, x = todo.pop()
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= near[0] < height and 0 <= near[1] < width
                if inside and piece[near] < 0 and (keys[near] == keys[y, x]).all():
                    piece[near] = count
                    todo.append(near)
        count += 1
    return piece


def _colors(source, top, tied=None):
    """{training image: colour} for the `top` images that give most pixels, most first; tied pixels do not count."""
    source = np.asarray(torch.as_tensor(source).cpu())
    images, counts = np.unique(source[_known(source, tied)][..., 0], return_counts=True)
    order = images[np.argsort(-counts, kind="stable")][:top]
    return {int(image): _PIECES[k % len(_PIECES)] for k, image in enumerate(order)}


def outline_pieces(ax: Axes, source, color: str = "white", linewidth: float = 1.0, tied=None) -> None:
    """Draw lines between pixels that belong to different pieces of the mosaic, none between two tied pixels."""
    keys = _keys(source, tied)
    down = (keys[1:] != keys[:-1]).any(-1)
    right = (keys[:, 1:] != keys[:, :-1]).any(-1)
    lines = [[(x - 0.5, y + 0.5), (x + 0.5, y + 0.5)] for y, x in np.argwhere(down)]
    lines += [[(x + 0.5, y - 0.5), (x + 0.5, y + 0.5)] for y, x in np.argwhere(right)]
    ax.add_collection(LineCollection(lines, colors=color, linewidths=linewidth, capstyle="round"))


def mosaic_map(ax: Axes, image, source, top: int = 8, tied=None) -> dict:
    """Draw an image tinted by the training image that each pixel came from, with the pieces outlined.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    image : tensor
        (C,H,W) in [-1,1].
    source : tensor
        (H,W,3) integers: image, row, column.
    top : int
        How many training images get a colour of their own; the rest are gray.
    tied : tensor, optional
        (H,W) bool: pixels for which several patches are equally near; they are dark gray.

    Returns
    -------
    dict
        {training image: colour}, the largest share of the pixels that are not tied first.
    """
    colors = _colors(source, top, tied)
    source = np.asarray(torch.as_tensor(source).cpu())
    owner = source[..., 0]
    light = to_pixels(image)[0].astype(float).mean(-1, keepdims=True) / 255
    tint = np.array([[to_rgb(colors.get(int(o), _REST)) for o in row] for row in owner])
    # Dark pixels show the tint deep, bright ones almost white: both tint and image stay readable.
    shown = np.clip(tint * (0.62 + 0.25 * light) + 0.36 * light**2, 0, 1)
    shown[~_known(source, tied)] = to_rgb(TIED)
    ax.imshow(shown, interpolation="nearest")
    outline_pieces(ax, source, tied=tied)
    ax.axis("off")
    return colors


def provenance(image, source, training, top: int = 6, tied=None) -> Figure:
    """Draw an image, its mosaic, and the training images that gave most of its pixels.

    Parameters
    ----------
    image : tensor
        (C,H,W) in [-1,1], usually a machine's sample.
    source : tensor
        (H,W,3) integers: image, row, column, for instance from ``elsedu.mosaic.provenance``.
    training : tensor
        (N,C,H,W), the training images that the source map counts in.
    top : int
        How many training images to show; the pixels used are outlined in their colour.
    tied : tensor, optional
        (H,W) bool, for instance from ``elsedu.mosaic.provenance(..., return_tied=True)``: pixels for which several
        patches are equally near. They are dark gray, a line below the map says so, and no share counts them.

    Returns
    -------
    Figure
        The figure.
    """
    training = torch.as_tensor(training)
    source = np.asarray(torch.as_tensor(source).cpu())
    if source[..., 0].max() >= len(training):
        raise ValueError(f"the source map names image {source[..., 0].max()}, there are {len(training)}")
    fig = _provenance(image, source, training, top, tied, columns=max(1, min(4, (top + 1) // 2)), width=7.4)
    # For telephones: the same at half the width, with fewer training images.
    fig.elsedu_narrow = lambda: _provenance(image, source, training, min(top, 4), tied, columns=2, width=3.4)
    return fig


def _provenance(image, source, training, top, tied, columns, width):
    """`provenance` at a width in inches, with so many training images beside each other."""
    rows, share = -(-top // columns), width / 7.4
    small = (width / columns) * 1.06
    fig = plt.figure(figsize=(width, 3.55 * share + 0.4 + small * rows))
    upper, lower = fig.add_gridspec(2, 1, height_ratios=[3.55 * share + 0.4, small * rows])
    upper, lower = upper.subgridspec(1, 2), lower.subgridspec(rows, columns)
    shown = fig.add_subplot(upper[0])
    shown.imshow(to_pixels(image)[0], interpolation="nearest")
    shown.set_title("the sample", loc="center")
    pieces = fig.add_subplot(upper[1])
    colors = mosaic_map(pieces, image, source, top, tied)
    number = count_pieces(source, tied)
    pieces.set_title(f"its {number} piece{'s' * (number != 1)}", loc="center")
    for ax in (shown, pieces):
        ax.axis("on")
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, color=FRAME)
    known = _known(source, tied)
    if not known.all():
        pieces.set_xlabel("dark gray: many fit equally", fontsize=9)
    for k, (index, color) in enumerate(colors.items()):
        ax = fig.add_subplot(lower[k // columns, k % columns])
        ax.imshow(to_pixels(training[index])[0], interpolation="nearest")
        used = {(int(r), int(c)) for i, r, c in source[known] if i == index}
        _outline_set(ax, used, color)
        share = (source[known][:, 0] == index).mean()
        ax.set_title(f"{100 * share:.0f} % of the pixels", fontsize=9, loc="center", fontweight="normal", pad=4)
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, color=color, linewidth=2)
    return fig


def _outline_set(ax, pixels, color):
    """Draw the border of a set of (row, column) pixels."""
    lines = []
    for y, x in sorted(pixels):
        left, right, top, bottom = x - 0.5, x + 0.5, y - 0.5, y + 0.5
        lines += [[(left, top), (right, top)]] * ((y - 1, x) not in pixels)
        lines += [[(left, bottom), (right, bottom)]] * ((y + 1, x) not in pixels)
        lines += [[(left, top), (left, bottom)]] * ((y, x - 1) not in pixels)
        lines += [[(right, top), (right, bottom)]] * ((y, x + 1) not in pixels)
    ax.add_collection(LineCollection(lines, colors=color, linewidths=2.2, capstyle="round"))
