"""The dark twin of a figure: the same drawing in the colours of a dark page.

Pictures (what a camera or a machine made) keep their pixels. All else is drawn by us and changes: paper becomes the
dark ground, ink becomes light, saturated colours keep their hue and gain light where they would sink, and maps of
numbers run from the ground upwards instead of from white downwards.
"""

import colorsys
import contextlib

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure

from .style import DIVERGING, FRAME, INK, MUTED, SEQUENTIAL

__all__ = ["GROUND", "dark", "dark_color"]

#: The ground of the book's dark pages.
GROUND = "#12171d"

# Where grays go: lightness on paper -> (red, green, blue) on the dark ground.
_PAPER = [0.0, 0.15, 0.42, 0.52, 0.66, 0.80, 0.91, 1.0]
_NIGHT = np.array([[0xF3, 0xF5, 0xF7], [0xE3, 0xE8, 0xEE], [0xA0, 0xAB, 0xB6], [0x96, 0xA1, 0xAD],
                   [0x6B, 0x76, 0x82], [0x46, 0x51, 0x5C], [0x2A, 0x32, 0x3B], [0x12, 0x17, 0x1D]]) / 255  # fmt: skip

_LUMINANCE = 0.24  # the least of a saturated colour: contrast 5 to 1 with the ground

# The twins of the maps of numbers; a map that is not named here, such as gray for pictures, stays.
_MAPS = {
    SEQUENTIAL.name: LinearSegmentedColormap.from_list(
        "elsedu_sequential_dark", [GROUND, "#3d1600", "#9c3c00", "#e0701a", "#f7b27a", "#fdeedd"]
    ),
    DIVERGING.name: LinearSegmentedColormap.from_list(
        "elsedu_diverging_dark", ["#bfe3f7", "#56b4e9", "#1f5f8a", GROUND, "#93441a", "#f08a4b", "#fbd3b8"]
    ),
    "Greys": LinearSegmentedColormap.from_list("elsedu_grays_dark", [GROUND, "#d5dbe1"]),
    "elsedu_arrows": LinearSegmentedColormap.from_list("elsedu_arrows_dark", ["#3c566a", "#56b4e9", "#e3f3fd"]),
}


_OF_ONE_COLOR = (mpl.text.Text, mpl.lines.Line2D)
_CONTAINERS = (mpl.figure.FigureBase, mpl.axes.Axes)  # they answer for their patch, which is recoloured by itself


def dark_color(color):
    """The colour that stands for `color` on the dark ground.

    Args:
        color: Any matplotlib colour, with or without opacity.

    Returns:
        (red, green, blue, opacity), each in [0,1].
    """
    red, green, blue, opacity = to_rgba(color)
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    if max(red, green, blue) - min(red, green, blue) < 0.12:
        return (*(float(np.interp((red + green + blue) / 3, _PAPER, night)) for night in _NIGHT.T), opacity)
    if light > 0.85:  # a pale fill, such as a band behind curves
        light = 0.18 + 2 * (1 - light) * 0.3
        return (*colorsys.hls_to_rgb(hue, light, 0.8 * saturation), opacity)
    rgb = np.array([red, green, blue])
    for white in np.linspace(0, 0.6, 13):  # as much white as it takes to be seen well, no more
        mixed = (1 - white) * rgb + white
        if mixed**2.2 @ (0.2126, 0.7152, 0.0722) >= _LUMINANCE:
            break
    return (*(float(v) for v in mixed), opacity)


def _pictures(ax):
    """Whether an Axes shows images as they are: pixels with colours of their own, or gray values."""
    return any(im.get_array() is not None and (np.ndim(im.get_array()) == 3 or im.get_cmap().name == "gray")
               for im in ax.images)  # fmt: skip


def _stays(artist):
    """Whether an artist lies on a picture (its colour was chosen for that picture, not for the page)."""
    ax = getattr(artist, "axes", None)
    if not isinstance(ax, mpl.axes.Axes) or not _pictures(ax) or artist in [*ax.spines.values(), ax.patch, ax.title]:
        return False
    if isinstance(artist, mpl.text.Text):
        return artist in ax.texts and mpl.colors.to_hex(artist.get_color()) not in (INK, MUTED)
    if isinstance(artist, mpl.patches.Rectangle) and mpl.colors.to_hex(artist.get_edgecolor()) == FRAME:
        return False
    return artist in [*ax.collections, *ax.lines, *ax.patches]


def _change(artist, undo):
    """Recolour one artist; `undo` collects what brings it back."""
    if isinstance(artist, mpl.cm.ScalarMappable) and artist.get_array() is not None:
        if twin := _MAPS.get(artist.get_cmap().name):
            undo.append((artist.set_cmap, artist.get_cmap()))
            artist.set_cmap(twin)
        if isinstance(artist, mpl.image.AxesImage):
            return
    changes = []
    for name in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
        getter, setter = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
        if getter is None or setter is None or (name == "color" and not isinstance(artist, _OF_ONE_COLOR)):
            continue
        if isinstance(artist, mpl.collections.Collection) and artist.get_array() is not None:
            continue  # its colours come from numbers
        old = getter()
        if old is None or (isinstance(old, str) and old in ("none", "auto", "inherit", "face")):
            continue
        several = isinstance(old, np.ndarray) and old.ndim == 2
        changes.append((setter, old, [dark_color(one) for one in old] if several else dark_color(old)))
    for setter, old, new in changes:
        undo.append((setter, old))
        setter(new)


@contextlib.contextmanager
def dark(figure: Figure):
    """Recolour a figure for a dark page; afterwards it is as it was.

    Args:
        figure: The figure. Its artists change colour inside the ``with`` block and get their own colours back.

    Yields:
        The figure.
    """
    undo = []
    try:
        figure.canvas.draw()
        for artist in figure.findobj():
            if not isinstance(artist, _CONTAINERS) and not _stays(artist):
                _change(artist, undo)
        yield figure
    finally:
        for setter, old in reversed(undo):
            setter(old)
