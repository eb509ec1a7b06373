"""Explorers: figures with sliders, for pages without a kernel, and their live counterparts.

`explore` draws every combination of the sliders' values beforehand and keeps the frames as small PNGs inside
one piece of HTML. It needs no kernel, no widget manager and nothing from the network, answers to keyboard
and touch, says its values in the alternative text, and shows its first frame where scripts do not run and on
paper. `live` computes on the real machine in Jupyter and Colab (ipywidgets 7 and 8). Both take the same
function.
"""

import base64
import hashlib
import html
import io
import itertools
import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from string import Template

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from elsedu.figures.explorer_page import PAGE
from elsedu.figures.grids import lay_out, show_images, to_pixels
from elsedu.figures.themes import GROUND, dark

__all__ = ["Explorer", "explore", "explore_images", "live", "live_images"]


class Explorer:
    """A grid of finished pictures, one of them shown, chosen with sliders in the browser.

    Parameters
    ----------
    axes : dict
        {name: values}, one to three sliders.
    frames : sequence of bytes, or of pairs of bytes
        PNG files, in the order of ``itertools.product`` of the values; or each with the palette chunk that turns
        it into the picture for a dark page.
    alt : str
        What the picture shows, for readers who cannot see it; the sliders' values are added.
    width : int
        Width on the page in CSS pixels, at most that of the column.
    start : dict, optional
        {name: value} of the first frame; by default each axis' first value.
    play : str, optional
        The axis that the play button moves.
    seconds : float
        Between frames while playing.
    pixelated : bool
        Enlarge with hard edges, for frames kept at the images' own resolution.
    budget : int
        Largest size of the HTML in bytes.
    """

    def __init__(self, axes, frames, alt, width, start=None, play=None, seconds=0.4, pixelated=False,
                 budget=500_000):  # fmt: skip
        self.axes = {name: [_words(value) for value in values] for name, values in _checked(axes).items()}
        shape = [len(values) for values in self.axes.values()]
        if len(frames) != _product(shape):
            raise ValueError(f"{len(frames)} frames for sliders with {shape} values")
        chosen = dict(start or {})
        if unknown := set(chosen) - set(axes):
            raise ValueError(f"start names {sorted(unknown)}, the axes are {list(axes)}")
        if play is not None and play not in axes:
            raise ValueError(f"play names {play!r}, the axes are {list(axes)}")
        self.start = [0] * len(shape)
        for k, (name, values) in enumerate(axes.items()):
            if name in chosen:
                if chosen[name] not in list(values):
                    raise ValueError(f"start: {name} has no value {chosen[name]!r}, only {list(values)}")
                self.start[k] = list(values).index(chosen[name])
        self.alt, self.width, self.play, self.seconds, self.pixelated = alt, width, play, seconds, pixelated
        # Equal frames are kept once: `order` maps a combination of values to its frame.
        self.frames = list(dict.fromkeys(frames))
        place = {frame: k for k, frame in enumerate(self.frames)}
        self.order = [place[frame] for frame in frames]
        size = len(self._repr_html_())
        if size > budget:
            raise ValueError(
                f"this explorer is {size / 1000:.0f} kB, more than its budget of {budget / 1000:.0f} kB: "
                "take fewer values, a smaller figure, fewer colors, or explore_images"
            )

    def __repr__(self):
        return "Explorer(" + " x ".join(f"{len(v)} {name}" for name, v in self.axes.items()) + ")"

    def _repr_html_(self):
        names = list(self.axes)
        index = 0
        for values, at in zip(self.axes.values(), self.start):
            index = index * len(values) + at
        first = self.order[index]
        caption = ", ".join(f"{name} = {self.axes[name][at]}" for name, at in zip(names, self.start))
        pairs = [frame if isinstance(frame, tuple) else (frame, b"") for frame in self.frames]
        sources = ["data:image/png;base64," + base64.b64encode(frame).decode() for frame, _ in pairs]
        spec = {
            "names": names,
            "values": list(self.axes.values()),
            "start": self.start,
            "play": names.index(self.play) if self.play else -1,
            "seconds": self.seconds,
            "alt": self.alt,
            "order": self.order,
            # The first frame is in the page already, as the picture's source.
            "night": [base64.b64encode(palette).decode() for _, palette in pairs] if pairs[0][1] else [],
            "frames": [None if k == first else source for k, source in enumerate(sources)],
        }
        text = json.dumps(spec, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
        return Template(PAGE).substitute(
            uid="elsx-" + hashlib.sha1((text + sources[first]).encode()).hexdigest()[:10],
            spec=text,
            src=sources[first],
            alt=html.escape(f"{self.alt}: {caption}", quote=True),
            caption=html.escape(caption),
            width=int(self.width),
            pixelated=" elsx-pixelated" if self.pixelated else "",
            # Drawn frames keep their labels legible on a telephone: they scroll instead of shrinking.
            drawn="" if self.pixelated or self.width < 420 else " elsx-drawn",
            small=round(0.93 * self.width),
        )


def _product(numbers):
    result = 1
    for n in numbers:
        result *= n
    return result


def _words(value):
    """How a slider shows a value: numbers short, everything else as it is."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _checked(axes) -> Mapping:
    """The axes of a static explorer, or an error that says what is wrong with them."""
    if not isinstance(axes, Mapping) or not 1 <= len(axes) <= 3:
        raise ValueError(f"axes must be a dict of one to three {{name: values}}, got {axes!r}")
    for name, values in axes.items():
        if isinstance(values, str) or not len(list(values)):
            raise ValueError(f"the axis {name!r} needs a list of values, got {values!r}")
    return axes


def _from_noise(axes):
    """The axes with every list of times turned so that it runs from noise to image, as everywhere in the book."""
    turned = {}
    for name, values in _checked(axes).items():
        values = list(values)
        numbers = all(isinstance(value, int | float) for value in values)
        falls = not numbers or not name.startswith("time") or values != sorted(values)
        turned[name] = values if falls else values[::-1]
    return turned


def _png(image: Image.Image, colors: int, night: Image.Image | None = None) -> bytes | tuple[bytes, bytes]:
    """A small PNG with a palette of at most so many colours, the same bytes for the same picture.

    With the same picture for a dark page (`night`): the PNG and its other palette. One index for both pictures costs
    a few hundred bytes where a second file would cost as much as the first.
    """
    buffer = io.BytesIO()
    if night is None:
        image.convert("RGB").quantize(colors, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
        return buffer.getvalue()
    pair = np.concatenate([np.asarray(image.convert("RGB")), np.asarray(night.convert("RGB"))], -1)
    index, palette = _median_cut(pair.reshape(-1, 6), colors)
    small = Image.fromarray(index.reshape(pair.shape[:2]).astype(np.uint8), "P")
    small.putpalette(palette[:, :3].tobytes())
    # Not optimised: that could reorder the colours, and the two palettes must stay in step.
    small.save(buffer, "png", compress_level=9)
    return buffer.getvalue(), _chunk(palette[:, 3:].tobytes())


def _median_cut(colors, count):
    """At most `count` colours for many (N,k) bytes, by splitting the box with the widest spread at its median.

    Returns the index of each and the palette (count,k) uint8.
    """
    kinds, place, often = np.unique(colors, axis=0, return_inverse=True, return_counts=True)
    kinds = kinds.astype(float)
    boxes = [np.arange(len(kinds))]
    while len(boxes) < count:
        spread = [np.ptp(kinds[b], axis=0).max() * often[b].sum() ** 0.25 if len(b) > 1 else 0 for b in boxes]
        widest = int(np.argmax(spread))
        if spread[widest] == 0:
            break
        box = boxes.pop(widest)
        axis = np.ptp(kinds[box], axis=0).argmax()
        box = box[np.argsort(kinds[box, axis], kind="stable")]
        half = np.searchsorted(np.cumsum(often[box]), often[box].sum() / 2) + 1
        half = min(max(half, 1), len(box) - 1)
        boxes += [box[:half], box[half:]]
    index, palette = np.zeros(len(kinds), dtype=int), np.zeros((len(boxes), colors.shape[1]), dtype=np.uint8)
    for k, box in enumerate(boxes):
        index[box] = k
        palette[k] = np.round(np.average(kinds[box], axis=0, weights=often[box]))
    return index[place.ravel()], palette


def _chunk(palette):
    """A PNG's palette chunk: length, name, colours, check sum."""
    body = b"PLTE" + palette
    return struct.pack(">I", len(palette)) + body + struct.pack(">I", zlib.crc32(body))


def _in_book():
    """Whether frames are drawn for the book's pages, which have a dark theme."""
    return os.environ.get("ELSEDU_BOOK") == "1"


def explore(
    draw: Callable,
    axes: Mapping,
    alt: str,
    figsize: tuple[float, float] = (6.4, 3.0),
    start: Mapping | None = None,
    play: str | None = None,
    seconds: float = 0.4,
    colors: int = 64,
    scale: float = 2,
    budget: int = 500_000,
) -> Explorer:
    """Draw a figure for every combination of values, to be explored with sliders.

    Parameters
    ----------
    draw : callable
        ``draw(fig, *values)`` draws on a new matplotlib Figure; values in the order of the axes.
    axes : dict
        {name: list of numbers or strings}, one to three. Lists of words become buttons, lists of numbers sliders;
        an axis called "time ..." is shown from noise to image.
    alt : str
        What the figure shows, for readers who cannot see it.
    figsize : (float, float)
        Inches; a hundred CSS pixels each.
    start, play, seconds, budget
        As in `Explorer`.
    colors : int
        Colours kept in each frame, at most 256.
    scale : float
        Picture pixels for each CSS pixel.

    Returns
    -------
    Explorer
        Shown by Jupyter as HTML.

    Raises
    ------
    ValueError
        If the axes are not one to three lists, or the result is larger than its budget.
    """
    frames, axes = [], _from_noise(axes)
    for values in itertools.product(*axes.values()):
        fig = plt.figure(figsize=figsize)
        try:
            draw(fig, *values)
            buffer = io.BytesIO()
            fig.savefig(buffer, dpi=100 * scale, format="png", bbox_inches=None)
            night = None
            if _in_book():
                with dark(fig):
                    fig.savefig(other := io.BytesIO(), dpi=100 * scale, format="png", facecolor=fig.get_facecolor())
                night = Image.open(other)
        finally:
            plt.close(fig)
        frames.append(_png(Image.open(buffer), colors, night))
    return Explorer(axes, frames, alt, round(100 * figsize[0]), start, play, seconds, budget=budget)


def explore_images(
    pictures: Callable,
    axes: Mapping,
    alt: str,
    columns: int | None = None,
    width: int = 560,
    gap: int = 1,
    start: Mapping | None = None,
    play: str | None = None,
    seconds: float = 0.4,
    colors: int = 128,
    budget: int = 500_000,
) -> Explorer:
    """Show images for every combination of values, kept at their own few pixels, enlarged by the browser.

    Parameters
    ----------
    pictures : callable
        ``pictures(*values)`` returns images (N,C,H,W) in [-1,1].
    axes, alt, start, play, seconds, budget
        As in `explore`.
    columns : int, optional
        Images in a row.
    width : int
        Width on the page in CSS pixels.
    gap : int
        Image pixels between images.
    colors : int
        Colours kept in each frame, at most 256.

    Returns
    -------
    Explorer
        Shown by Jupyter as HTML.
    """
    frames, axes = [], _from_noise(axes)
    for values in itertools.product(*axes.values()):
        images = to_pixels(pictures(*values))
        grounds = [(255, 255, 255), tuple(bytes.fromhex(GROUND[1:]))]
        light, night = (Image.fromarray(lay_out(images, columns, gap, ground)) for ground in grounds)
        frames.append(_png(light, colors, night if _in_book() else None))
    return Explorer(axes, frames, alt, width, start, play, seconds, pixelated=True, budget=budget)


def live(draw: Callable, axes: Mapping, figsize: tuple[float, float] = (6.4, 3.0)) -> None:
    """Show a figure with sliders that computes anew at every move, where a kernel runs.

    In the built book (ELSEDU_BOOK=1), which has no kernel, it prints one line that names Colab instead.

    Parameters
    ----------
    draw : callable
        As in `explore`.
    axes : dict
        {name: list of values}, or {name: (low, high, step)} for evenly spaced numbers; any number of axes.
    figsize : (float, float)
        Inches.

    Raises
    ------
    Exception
        Whatever the first call of ``draw`` raises.
    """

    def show(*values):
        draw(plt.figure(figsize=figsize), *values)
        plt.show()

    _interact(show, axes)


def live_images(pictures: Callable, axes: Mapping, columns: int | None = None) -> None:
    """As `live`, for a function that returns images (N,C,H,W) in [-1,1], as in `explore_images`."""

    def show(*values):
        show_images(pictures(*values), columns=columns)
        plt.show()

    _interact(show, axes)


def _interact(show, axes):
    """Sliders of ipywidgets 7 or 8 that call ``show`` with their values."""
    if os.environ.get("ELSEDU_BOOK") == "1":
        print("Live sliders need a kernel: open this page in Colab (the rocket above) and run this cell.")
        return
    import ipywidgets as widgets

    calls, failures = [], []

    def update(**chosen):
        calls.append(chosen)
        try:
            show(*(chosen[f"axis{k}"] for k in range(len(axes))))
        except Exception as error:
            # ipywidgets prints and swallows errors: keep the first, so that a broken cell fails.
            failures.append(error)
            raise

    sliders = {f"axis{k}": _slider(widgets, name, axes[name]) for k, name in enumerate(axes)}
    shown = widgets.interact(update, **sliders)
    if not calls:  # ipywidgets 7 draws only when a front end asks for it
        shown.widget.update()
    if failures:
        raise failures[0]


def _slider(widgets, name, values):
    """One slider: a range of numbers for (low, high, step), else the listed values."""
    common = {
        "description": name,
        "continuous_update": False,
        "layout": widgets.Layout(width="28rem"),
        "style": {"description_width": "8rem"},
    }
    if isinstance(values, tuple) and len(values) == 3 and all(isinstance(v, int | float) for v in values):
        low, high, step = values
        kind = widgets.IntSlider if all(isinstance(v, int) for v in values) else widgets.FloatSlider
        return kind(value=low, min=low, max=high, step=step, **common)
    if isinstance(values, str) or not len(list(values)):
        raise ValueError(f"the axis {name!r} needs a list of values or (low, high, step), got {values!r}")
    return widgets.SelectionSlider(options=[(_words(value), value) for value in values], **common)
