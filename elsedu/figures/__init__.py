"""The book's figures: one style (`use_style`), and the drawings that several chapters share."""

from elsedu.figures.sources import count_pieces, mosaic_map, outline_pieces, provenance

from .grids import pair_grid, save_grid, show_images, signed, tile, to_pixels
from .plots import diverging, heat, scatter, schedule_plot, score_field, window_plot
from .style import ACCENT, COLORS, DIVERGING, INK, MUTED, SEQUENTIAL, use_style

__all__ = [
    "ACCENT",
    "COLORS",
    "DIVERGING",
    "INK",
    "MUTED",
    "SEQUENTIAL",
    "count_pieces",
    "diverging",
    "heat",
    "mosaic_map",
    "outline_pieces",
    "pair_grid",
    "provenance",
    "save_grid",
    "scatter",
    "schedule_plot",
    "score_field",
    "show_images",
    "signed",
    "tile",
    "to_pixels",
    "use_style",
    "window_plot",
]
