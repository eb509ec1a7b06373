"""Pictures of images: mosaics of pixels for files and explorers, labelled grids for the book.

Images are (N,C,H,W) with values in [-1,1], one channel (gray) or three (colour). Values outside are shown
as the nearest end of the range; pixels that are not finite are shown in magenta, so that they are seen.
"""

import math
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, PngImagePlugin

from elsedu._common.files import whole_file

from .style import FRAME, MUTED, SIGNS

__all__ = ["pair_grid", "save_grid", "show_images", "signed", "tile", "to_pixels"]

_NOT_FINITE = np.array([255, 0, 255], dtype=np.uint8)


def to_pixels(images) -> np.ndarray:
    """The bytes to show for a batch of images.

    Parameters
    ----------
    images : tensor or array
        Shape (N,C,H,W) or (C,H,W), C = 1 or 3, values in [-1,1].

    Returns
    -------
    ndarray
        uint8, shape (N,H,W,3).

    Raises
    ------
    ValueError
        If the shape is not that of images.
    """
    array = torch.as_tensor(images).detach().to("cpu", torch.float64).numpy()
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise ValueError(f"expected images of shape (N,C,H,W) with C = 1 or 3, got {tuple(array.shape)}")
    array = np.moveaxis(array, 1, -1)
    bad = ~np.isfinite(array).all(-1)
    pixels = np.round((np.clip(np.nan_to_num(array), -1, 1) + 1) * 127.5).astype(np.uint8)
    pixels = np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
    pixels[bad] = _NOT_FINITE
    return pixels


def signed(values, limit: float) -> torch.Tensor:
    """Numbers of both signs as colour images: black at zero, blue below, orange above.

    Parameters
    ----------
    values : tensor or array
        (N,1,H,W), such as differences of gray images.
    limit : float
        Values of this size have the full colour.

    Returns
    -------
    tensor
        (N,3,H,W) in [-1,1].
    """
    values = torch.as_tensor(values).detach().to("cpu", torch.float64)
    if values.ndim != 4 or values.shape[1] != 1:
        raise ValueError(f"expected numbers of shape (N,1,H,W), got {tuple(values.shape)}")
    part = (values / limit).clamp(-1, 1)
    above, below = (torch.tensor(to_rgb(color), dtype=torch.float64).view(1, 3, 1, 1) for color in SIGNS)
    return 2 * (part.clamp_min(0) * above - part.clamp_max(0) * below) - 1


def _shape(count, columns):
    """Rows and columns of a grid of `count` tiles."""
    if count < 1:
        raise ValueError("there are no images to show")
    columns = min(count, columns or min(count, max(8, math.ceil(math.sqrt(count)))))
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    return math.ceil(count / columns), columns


def tile(images, columns: int | None = None, gap: int = 1, ground: int = 255) -> np.ndarray:
    """Lay images side by side, one byte pixel for each of their pixels.

    Parameters
    ----------
    images : tensor or array
        (N,C,H,W) in [-1,1].
    columns : int, optional
        Images in a row; by default at least 8, near a square for many.
    gap : int
        Pixels between neighbours.
    ground : int
        Gray value (0 to 255) of the gaps.

    Returns
    -------
    ndarray
        uint8, shape (rows H + gaps, columns W + gaps, 3).
    """
    return lay_out(to_pixels(images), columns, gap, ground)


def lay_out(pixels, columns, gap, ground):
    """`tile` for bytes (N,H,W,3); the ground is a gray value or a colour."""
    n, h, w, _ = pixels.shape
    rows, columns = _shape(n, columns)
    canvas = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), ground, dtype=np.uint8)
    for k, one in enumerate(pixels):
        y, x = (k // columns) * (h + gap), (k % columns) * (w + gap)
        canvas[y : y + h, x : x + w] = one
    return canvas


def save_grid(images, path, columns: int | None = None, scale: int | None = None, gap: int | None = None,
              frame: int = 0, settings: str | None = None) -> Path:
    """Save images as one PNG, each pixel enlarged to a square of `scale` pixels.

    The file appears under its name only when it is complete.

    Parameters
    ----------
    images : tensor or array
        (N,C,H,W) in [-1,1].
    path : str or Path
        The file to write; its folder must exist.
    columns : int, optional
        Images in a row.
    scale : int, optional
        By default images become about 96 pixels wide.
    gap, frame : int
        White pixels between the images (by default about half of `scale`), and around all of them.
    settings : str, optional
        A text kept in a PNG file under the name "settings".

    Returns
    -------
    Path
        The file written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist")
    pixels = to_pixels(images)
    scale = max(1, round(96 / max(pixels.shape[1:3]))) if scale is None else scale
    if scale < 1:
        raise ValueError(f"scale must be at least 1, got {scale}")
    large = np.repeat(np.repeat(pixels, scale, 1), scale, 2)
    canvas = lay_out(large, columns, max(2, scale // 2) if gap is None else gap, 255)
    canvas = np.pad(canvas, ((frame, frame), (frame, frame), (0, 0)), constant_values=255)
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"unknown file extension: {path.suffix!r}")
    options = {}
    if settings is not None:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("settings", settings)
    with whole_file(path) as stream:
        Image.fromarray(canvas).save(stream, format=kind, **options)
    return path


def show_images(
    images,
    columns: int | None = None,
    titles=None,
    row_labels=None,
    width: float | None = None,
    size: float | None = None,
    gap: float = 0.08,
    ax=None,
    smooth: bool = False,
) -> Figure:
    """Draw images as a grid.

    Parameters
    ----------
    images : tensor or array
        (N,C,H,W) in [-1,1].
    columns : int, optional
        Images in a row.
    titles : sequence of str, optional
        One short text above each image.
    row_labels : sequence of str, optional
        One text at the left of each row.
    width : float, optional
        Width of the whole figure in inches, at most; by default 7.2.
    size : float, optional
        Width of one image in inches; by default what fits, at most 1.2.
    gap : float
        Gap between images, as a part of their width.
    ax : matplotlib Axes, optional
        Draw here instead of in a new figure.
    smooth : bool
        Blend neighbouring pixels: for images of few pixels that are to be seen as a whole.

    Returns
    -------
    Figure
        The figure drawn in.

    Raises
    ------
    ValueError
        If there are no images, or the titles or labels do not fit their number.
    """
    pixels = list(to_pixels(images))
    rows, columns = _shape(len(pixels), columns)
    titles, labels = list(titles or []), list(row_labels or [""] * rows)
    if titles and len(titles) != len(pixels):
        raise ValueError(f"{len(titles)} titles for {len(pixels)} images")
    if len(labels) != rows:
        raise ValueError(f"{len(labels)} row labels for {rows} rows")
    parts = [slice(r * columns, (r + 1) * columns) for r in range(rows)]
    return _draw([pixels[p] for p in parts], labels, [titles[p] for p in parts], 1, gap, width, size, ax, smooth)


def pair_grid(
    rows,
    labels=None,
    titles=None,
    columns: int = 12,
    width: float | None = None,
    size: float | None = None,
    gap: float = 0.06,
    smooth: bool = False,
) -> Figure:
    """Draw rows of images that belong together column by column, such as samples above their neighbours.

    Parameters
    ----------
    rows : sequence of tensors
        Each (N,C,H,W) in [-1,1], the same N.
    labels : sequence of str, optional
        One a row, at its left.
    titles : sequence of str, optional
        One a column, above the first row.
    columns : int
        At most so many columns; more images go into further blocks below.
    width, size, gap : float, optional
        As in `show_images`.
    smooth : bool
        As in `show_images`.

    Returns
    -------
    Figure
        The figure drawn in.

    Raises
    ------
    ValueError
        If the rows differ in length, or the labels or titles do not fit them.
    """
    rows = [list(to_pixels(row)) for row in rows]
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"every row needs the same number of images, got {[len(row) for row in rows]}")
    labels, titles = list(labels or [""] * len(rows)), list(titles or [])
    if len(labels) != len(rows):
        raise ValueError(f"{len(labels)} labels for {len(rows)} rows")
    if titles and len(titles) != len(rows[0]):
        raise ValueError(f"{len(titles)} titles for {len(rows[0])} columns")
    blocks, columns = _shape(len(rows[0]), columns)
    parts = [slice(b * columns, (b + 1) * columns) for b in range(blocks)]
    return _draw(
        [row[p] for p in parts for row in rows],
        labels * blocks,
        [titles[p] if r == 0 else [] for p in parts for r in range(len(rows))],
        len(rows),
        gap,
        width,
        size,
        None,
        smooth,
    )


def _draw(rows, labels, titles, block, gap, width, size, ax, smooth):
    """Draw rows of pixel arrays; every `block` rows a wider gap. The unit of length is an image's width."""
    aspect = rows[0][0].shape[0] / rows[0][0].shape[1]
    columns = max(map(len, rows))
    across, tops, y = columns * (1 + gap) - gap, [], 0.0
    for r in range(len(rows)):
        y += 0.3 if r and r % block == 0 and block > 1 else 0
        y += 0.27 if titles[r] else 0
        tops.append(y)
        y += aspect + gap
    down = y - gap
    new = ax is None
    if new:
        margin = 0.15 + 0.07 * max(map(_letters, labels)) if any(labels) else 0.0
        tile = round(100 * size) if size else 150 if columns <= 4 else 132 if columns <= 6 else 84
        size = size or min(1.2, ((width or 7.2) - margin) / across)
        fig = plt.figure(figsize=(across * size + margin, down * size), layout="none")
        ax = fig.add_axes((margin / fig.get_figwidth(), 0, 1 - margin / fig.get_figwidth(), 1))
    blend = "bicubic" if smooth else "nearest"
    for row, label, heads, top in zip(rows, labels, titles, tops):
        for k, one in enumerate(row):
            left = k * (1 + gap)
            ax.imshow(one, extent=(left, left + 1, top + aspect, top), interpolation=blend)
            frame = Rectangle((left, top), 1, aspect, fill=False, edgecolor=FRAME, linewidth=0.8, clip_on=False)
            ax.add_patch(frame)
        for k, text in enumerate(heads):
            x = k * (1 + gap) + 0.5
            ax.text(x, top - 0.05, text, ha="center", va="bottom", fontsize=8.5, color=MUTED)
        ax.text(-0.12, top + aspect / 2, label, ha="right", va="center", fontsize=9)
    ax.set(xlim=(0, across), ylim=(down, 0), aspect="equal")
    ax.axis("off")
    if new:
        # The book's pages show a grid that nothing was added to as HTML (`figures.page`).
        what = {"rows": rows, "labels": labels, "titles": titles, "block": block, "tile": tile,
                "smooth": smooth}
        ax.figure.elsedu_grid = {"what": what, "artists": len(ax.get_children())}
    return ax.figure


def _letters(label):
    """How many letters wide a label is, formulas about."""
    return len(re.sub(r"\\\w+|[${}]", "", label))
