"""A figure as the book's pages show it: on light and dark ground, on a wide screen and on a telephone.

A grid of images becomes HTML: one small picture a tile, enlarged by the browser with hard edges, and labels that are
text. On a telephone its columns are dealt out into blocks below each other. Every other figure is drawn up to four
times; the browser loads only the one it shows. `show_on_pages` makes Jupyter display figures so (used when the book
is built; elsewhere a figure is an ordinary picture).
"""

import base64
import html
import io
import math
import re

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Rectangle
from PIL import Image

from .style import FRAME
from .themes import dark

__all__ = ["figure_html", "grid_html", "png_uri", "show_on_pages"]

#: The alternative text of every picture; the book's build puts the cell's own in its place.
ALT = "figure"
_NARROW = 3.35  # inches: what a telephone shows at full size
_COLORS = 192


def png_uri(pixels) -> str:
    """A ``data:`` address of pixels (H,W,3) uint8, gray where they are gray."""
    image = Image.fromarray(np.asarray(pixels))
    if (np.asarray(pixels) == np.asarray(pixels)[..., :1]).all():
        image = image.convert("L")
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return _uri(buffer.getvalue())


def _uri(png):
    return "data:image/png;base64," + base64.b64encode(png).decode()


def text_html(words) -> str:
    """A matplotlib text as HTML: what stands between dollars is left to the page's MathJax."""
    parts = re.split(r"\$([^$]*)\$", words)
    return "".join(
        f'<span class="math notranslate nohighlight">\\({html.escape(part, quote=False)}\\)</span>'
        if k % 2 else html.escape(part, quote=False)
        for k, part in enumerate(parts)
    )  # fmt: skip


def grid_html(rows, labels, titles, block: int, tile: int, smooth: bool = False, chunk: int = 4) -> str:
    """HTML of rows of images with their labels.

    Args:
        rows: Lists of pixel arrays (H,W,3), uint8, one list a row.
        labels: One text a row, "" for none.
        titles: One list a row: a text a column, or nothing.
        block: So many rows belong together; after each block comes a wider gap.
        tile: Width of one image in CSS pixels, at most.
        smooth: Blend neighbouring pixels where the browser enlarges the images.
        chunk: Columns that stand side by side on a telephone.

    Returns:
        A ``div`` of class ``els-grid``.
    """
    columns = max(map(len, rows))
    # Blocks of about the same size: six columns stand in threes, not in four and two.
    chunk = columns if columns <= 5 else math.ceil(columns / math.ceil(columns / chunk))
    cells = []
    for first in range(0, columns, chunk):
        for r, (row, label, heads) in enumerate(zip(rows, labels, titles)):
            part = row[first : first + chunk]
            if not part:
                continue
            where = f"grid-row:{r + 1}"
            gap = " els-apart" if r and block > 1 and r % block == 0 else ""
            if label:
                hidden = "" if first == 0 else " els-again"
                cells.append(f'<span class="els-label{hidden}{gap}" style="{where}">{text_html(label)}</span>')
            tiles = []
            for k, pixels in enumerate(part):
                head = heads[first + k] if heads else ""
                words = f'<span class="els-head">{text_html(head)}</span>' if head else ""
                size = f'width="{pixels.shape[1]}" height="{pixels.shape[0]}"'
                tiles.append(f'<span class="els-tile">{words}<img alt="" {size} src="{png_uri(pixels)}"></span>')
            place = f"{where};grid-column:{first + 2}/span {len(part)};--k:{len(part)}"
            cells.append(f'<span class="els-tiles{gap}" style="{place}">{"".join(tiles)}</span>')
        cells.append('<span class="els-break"></span>')
    style = f"--n:{columns};--tile:{tile}px;--chunk:{min(chunk, columns)}"
    kind = " els-labelled" * bool(any(labels)) + " els-smooth" * smooth
    return f'<div class="els-grid{kind}" style="{style}" role="img" aria-label="{ALT}">{"".join(cells[:-1])}</div>'


def _png(figure, dpi=200):
    """PNG bytes, with a palette where that costs nothing to see, and the size in CSS pixels."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", facecolor=figure.get_facecolor())
    full = Image.open(buffer).convert("RGB")
    few = full.quantize(_COLORS, dither=Image.Dither.NONE)
    error = np.abs(np.asarray(full, int) - np.asarray(few.convert("RGB"), int)).max(-1)
    small = io.BytesIO()
    (few if (error > 24).mean() < 0.002 else full).save(small, "png", optimize=True)
    return small.getvalue(), round(full.width * 100 / dpi), round(full.height * 100 / dpi)


def _narrow(figure) -> bool:
    """Lay a figure out anew for a telephone: panels that stood in one row below each other. False if it cannot be."""
    grids = {id(ax.get_subplotspec().get_gridspec()): ax.get_subplotspec().get_gridspec()
             for ax in figure.axes if ax.get_subplotspec() is not None}  # fmt: skip
    for legend in figure.legends:
        legend.set_ncols(2)
    if len(grids) != 1 or figure.subfigs or any(ax.get_subplotspec() is None for ax in figure.axes):
        return False
    grid = next(iter(grids.values()))
    width, height = figure.get_size_inches()
    axes = figure.axes
    bare = all(ax.images and not ax.axison for ax in axes)
    if grid.nrows != 1 and grid.ncols != 1:
        if bare and grid.ncols <= 3:  # pictures with their names: smaller, the names as large as before
            figure.set_size_inches(_NARROW, height * _NARROW / width + 0.15 * grid.nrows)
        return bare and grid.ncols <= 3
    if len(axes) == 1:
        figure.set_size_inches(_NARROW, min(max(height, 2.4), 3.4 if width > 5 else height * _NARROW / width))
        return True
    if grid.nrows != 1 or grid.ncols != len(axes):
        return False
    square = all(ax.get_aspect() == 1.0 for ax in axes)
    columns = min(len(axes), (2 if len(axes) == 4 else 3) if bare else 2 if square and width / len(axes) < 2.6 else 1)
    rows = -(-len(axes) // columns)
    new = GridSpec(rows, columns, figure=figure)
    for k, ax in enumerate(axes):
        ax.set_subplotspec(new[k // columns, k % columns])
        if k % columns == 0 and ax.axison:
            ax.tick_params(labelleft=True)
    panel = height * (_NARROW / columns) / (width / len(axes)) if bare or square else min(max(height, 2.0), 2.8)
    figure.set_size_inches(_NARROW, rows * panel)
    return True


def _dress(figure):
    """One look for pictures among plots: the thin frame of the grids where they stand without axes (white pixels must
    not run into the page), and the names of rows upright."""
    for ax in figure.axes:
        if ax.images and ax.axison and ax.get_ylabel() and not len(ax.get_yticks()):
            ax.yaxis.label.set(rotation=0, ha="right", va="center")
        pictures = [im for im in ax.images if np.ndim(im.get_array()) == 3 or im.get_cmap().name == "gray"]
        if ax.axison or not pictures or any(isinstance(patch, Rectangle) for patch in ax.patches):
            continue
        for im in pictures:
            left, right, bottom, top = im.get_extent()
            line = Rectangle((left, bottom), right - left, top - bottom, fill=False, edgecolor=FRAME, linewidth=0.8)
            line.set_clip_on(False)
            ax.add_patch(line)


def figure_html(figure: Figure) -> str:
    """HTML of a figure: both themes, and a layout for telephones where one can be made."""
    if grid := getattr(figure, "elsedu_grid", None):
        if len(figure.axes) == 1 and len(figure.axes[0].get_children()) == grid["artists"] and not figure.texts:
            return grid_html(**grid["what"])
    # Saving asks the style for a layout where the figure has none; such a figure placed its axes itself.
    with plt.rc_context({"figure.constrained_layout.use": figure.get_layout_engine() is not None}):
        return _pictures_html(_pictures(figure))


def _pictures(figure):
    """{"wide", "narrow": {"light", "dark": (PNG, width, height)}}; "narrow" is empty where there is none."""
    pictures = {"wide": {}, "narrow": {}}
    _dress(figure)
    pictures["wide"]["light"] = _png(figure)
    with dark(figure):
        pictures["wide"]["dark"] = _png(figure)
    if narrow := getattr(figure, "elsedu_narrow", None):
        small = narrow()
        pictures["narrow"]["light"] = _png(small)
        with dark(small):
            pictures["narrow"]["dark"] = _png(small)
        plt.close(small)
    elif figure.get_figwidth() > 4.2 and _narrow(figure):
        pictures["narrow"]["light"] = _png(figure)
        with dark(figure):
            pictures["narrow"]["dark"] = _png(figure)
    return pictures


def _pictures_html(pictures):
    parts = []
    for theme in ("light", "dark"):
        png, width, height = pictures["wide"][theme]
        source = ""
        if pictures["narrow"]:
            small, w, h = pictures["narrow"][theme]
            source = f'<source media="(max-width: 575px)" srcset="{_uri(small)}" width="{w}" height="{h}">'
        size = f'width="{width}" height="{height}" loading="lazy" decoding="async"'
        parts.append(f'<picture class="els-{theme}">{source}<img alt="{ALT}" {size} src="{_uri(png)}"></picture>')
    kind = "" if pictures["narrow"] or pictures["wide"]["light"][1] < 420 else " els-scrolls"
    return f'<div class="els-figure{kind}" style="--els-width:{pictures["wide"]["light"][1]}px">{"".join(parts)}</div>'


def show_on_pages(shell) -> None:
    """Make an IPython shell display figures as HTML for the book's pages.

    Args:
        shell: The running shell. The inline backend registers its own formats anew after the first cell, so the
            HTML is a method of the figures, which outlives that.
    """
    from matplotlib_inline.config import InlineBackend

    InlineBackend.instance(parent=shell).figure_formats = set()
    Figure._repr_html_ = figure_html
    plt.rcParams["figure.max_open_warning"] = 0
