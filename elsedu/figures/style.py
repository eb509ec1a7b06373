"""The house style: one typeface, one palette, the same colour for the same machine in every chapter.

The palette is Okabe and Ito's, which readers with any common form of colour blindness can tell apart; the
sequential map changes steadily in lightness, so it also survives a black-and-white printer.
"""

from pathlib import Path

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.colors import LinearSegmentedColormap

from elsedu.machines.lineup import LINEUP

__all__ = ["ACCENT", "ARROWS", "COLORS", "DIVERGING", "FRAME", "INK", "MUTED", "SEQUENTIAL", "SIGNS", "use_style"]

INK = "#1f2933"
MUTED = "#66717d"
ACCENT = "#d55e00"
#: The thin line around a picture.
FRAME = "#c3cbd3"
#: On black: more, and less.
SIGNS = ("#ff8a3c", "#5cc0ff")

#: The colour of each denoiser (and of the data), the same in every figure of the book.
COLORS = {entry.family: entry.color for entry in LINEUP.values()} | {
    "network": "#1f2933",
    "data": "#e69f00",
    "other": "#56b4e9",
}

_CYCLE = ("ELS", "LS", "ES", "IS", "Wiener", "data", "other")  # grey after three colours that catch the eye

#: From paper white to dark brown; lightness falls all the way.
SEQUENTIAL = LinearSegmentedColormap.from_list(
    "elsedu_sequential", ["#ffffff", "#fde3cf", "#f7b27a", "#e0701a", "#9c3c00", "#3d1600"]
)
#: Blue below zero, white at zero, vermilion above.
DIVERGING = LinearSegmentedColormap.from_list(
    "elsedu_diverging", ["#003f66", "#0072b2", "#8fc3e2", "#ffffff", "#f5b183", "#d55e00", "#6b2c00"]
)
#: For arrows on paper: from pale to deep blue, the palest still 2 to 1 against white.
ARROWS = LinearSegmentedColormap.from_list("elsedu_arrows", ["#9fbccd", "#2f82b3", "#003c5f"])

_FONTS = Path(__file__).parent / "fonts"


def use_style() -> None:
    """Use the house style in all following matplotlib figures.

    Registers the typeface that is shipped with the package (Inter, SIL Open Font License); characters that
    it lacks, such as Greek letters outside formulas, come from matplotlib's own font.
    """
    known = {font.fname for font in font_manager.fontManager.ttflist}
    for file in sorted(_FONTS.glob("*.ttf")):
        if str(file) not in known:
            font_manager.fontManager.addfont(str(file))
    mpl.rcParams.update(
        {
            "font.family": ["Inter", "DejaVu Sans"],
            "font.size": 9.5,
            "mathtext.fontset": "cm",
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": "#9aa5b1",
            "axes.linewidth": 0.8,
            "axes.titlesize": 10,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.titlepad": 7,
            "axes.labelsize": 9.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.prop_cycle": mpl.cycler(color=[COLORS[name] for name in _CYCLE]),
            "axes.grid": False,
            "grid.color": "#e4e8ec",
            "grid.linewidth": 0.7,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.labelsize": 8.5,
            "ytick.labelsize": 8.5,
            "lines.linewidth": 1.8,
            "lines.markersize": 4.5,
            "lines.solid_capstyle": "round",
            "legend.frameon": False,
            "legend.fontsize": 8.5,
            "image.interpolation": "nearest",
            "image.cmap": "gray",
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.figsize": (6.4, 3.2),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
        }
    )
