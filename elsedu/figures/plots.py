"""Plots that several chapters share: schedules, scales, score fields, scatter plots, maps of numbers."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes

from .style import ACCENT, ARROWS, COLORS, DIVERGING, INK, MUTED, SEQUENTIAL

__all__ = ["diverging", "heat", "scatter", "schedule_plot", "score_field", "window_plot"]


def _array(values):
    """A float64 numpy array of a tensor, array or sequence."""
    return torch.as_tensor(values).detach().to("cpu", torch.float64).numpy()


def schedule_plot(schedules, axes=None):
    """Plot alpha(t) and sigma(t) of noise schedules.

    Parameters
    ----------
    schedules : Schedule or dict
        One schedule, or {label: schedule}.
    axes : pair of Axes, optional
        Where to draw alpha and sigma.

    Returns
    -------
    Figure
        The figure drawn in.
    """
    if not isinstance(schedules, dict):
        schedules = {getattr(schedules, "name", "schedule"): schedules}
    axes = plt.subplots(1, 2, figsize=(6.6, 2.5), sharey=True)[1] if axes is None else axes
    t = torch.linspace(0, 1, 201, dtype=torch.float64)
    for (label, schedule), style in zip(schedules.items(), ["-", "--", ":", "-."] * len(schedules)):
        axes[0].plot(t, _array(schedule.alpha(t)), style, label=label)
        axes[1].plot(t, _array(schedule.sigma(t)), style, label=label)
    axes[0].set(xlabel="time $t$", ylabel="value", title="signal $\\alpha(t)$", ylim=(-0.03, 1.03))
    axes[1].set(xlabel="time $t$", title="noise $\\sigma(t)$")
    if len(schedules) > 1:
        # Below both panels: inside, curves run through the words.
        handles = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(*handles, loc="outside lower center", ncols=len(schedules))
    return axes[0].figure


def window_plot(scales, ax: Axes | None = None) -> Axes:
    """Plot window sizes P over time as steps.

    Parameters
    ----------
    scales : dict
        {label: sequence of n odd windows}; entry k belongs to t = (k+1)/n.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        The axes drawn in.
    """
    ax = plt.subplots(figsize=(5.2, 2.8))[1] if ax is None else ax
    for (label, windows), style in zip(scales.items(), ["-", "--", ":", "-."] * len(scales)):
        windows = list(windows)
        t = (np.arange(len(windows)) + 1) / len(windows)
        ax.step(t, windows, style, where="mid", label=label)
    ax.set(xlabel="time $t$ (noise grows)", ylabel="window $P$ (pixels)")
    ax.grid(axis="y")
    if len(scales) > 1:
        ax.legend()
    return ax


def score_field(ax: Axes, denoiser, t: float, data=None, extent: float = 1.5, points: int = 19) -> Axes:
    """Draw the score of two-pixel images as arrows in the plane.

    Images of two pixels are points in the plane, so that the whole score can be drawn. Arrows show the
    direction, their colour the length (stronger is longer).

    Parameters
    ----------
    ax : Axes
        Where to draw.
    denoiser : Denoiser
        A denoiser of images of shape (1,1,2): anything with ``score(x, t)``.
    t : float
        Time in (0,1].
    data : tensor, optional
        Training images (N,1,1,2), drawn as points at alpha(t) times their place.
    extent : float
        The plane is drawn from -extent to extent.
    points : int
        Arrows a side.

    Returns
    -------
    Axes
        The axes drawn in.
    """
    line = torch.linspace(-extent, extent, points)
    x, y = torch.meshgrid(line, line, indexing="xy")
    score = denoiser.score(torch.stack([x, y], -1).reshape(-1, 1, 1, 2), t)
    score = _array(score).reshape(points, points, 2)
    length = np.linalg.norm(score, axis=-1)
    direction = score / np.maximum(length, 1e-12)[..., None]
    ax.quiver(x, y, direction[..., 0], direction[..., 1], np.log(length + 1e-12), cmap=ARROWS,
              pivot="mid", angles="xy", scale=1.35 * points, width=0.0065, headwidth=4)  # fmt: skip
    if data is not None:
        where = float(denoiser.schedule.alpha(t)) * _array(data).reshape(-1, 2)
        ax.scatter(*where.T, s=30, color=ACCENT, edgecolor="white", linewidth=0.8, zorder=3)
    ax.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
    ax.set(xlabel="first pixel", ylabel="second pixel")
    return ax


def scatter(ax: Axes, x, y, xlabel: str, ylabel: str, color: str = COLORS["ELS"], limits=None) -> Axes:
    """Plot pairs of numbers with the diagonal, and say how many lie above it.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    x, y : sequences
        The same number of finite numbers.
    xlabel, ylabel : str
        What they are.
    color : str
        Of the points.
    limits : (low, high), optional
        Of both axes.

    Returns
    -------
    Axes
        The axes drawn in.
    """
    x, y = _array(x).ravel(), _array(y).ravel()
    if len(x) != len(y):
        raise ValueError(f"{len(x)} numbers on the x axis but {len(y)} on the y axis")
    low, high = limits or (min(x.min(), y.min()), max(x.max(), y.max()))
    pad = 0.04 * (high - low or 1)
    low, high = low - pad, high + pad
    ax.plot([low, high], [low, high], color="#9aa5b1", linewidth=1, zorder=0)
    ax.scatter(x, y, s=22, color=color, alpha=0.75, edgecolor="white", linewidth=0.6)
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel=xlabel, ylabel=ylabel)
    above = f"{int((y > x).sum())} of {len(x)} above the line"
    ax.set_title(above, loc="right", fontsize=8.5, fontweight="normal", color=MUTED)
    return ax


def heat(ax: Axes, values, label: str, limits=None, cmap=SEQUENTIAL, colorbar: bool = True):
    """Show an array of numbers that start at zero as a map with its colour bar.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    values : tensor or array
        Shape (H,W).
    label : str
        What the numbers are (on the colour bar).
    limits : (low, high), optional
        By default from the smallest to the largest finite value.
    cmap : Colormap
        The house's sequential one by default.
    colorbar : bool
        Whether to draw the bar.

    Returns
    -------
    AxesImage
        The picture, to share one colour bar between several.
    """
    values = _array(values)
    if values.ndim != 2:
        raise ValueError(f"expected an array of shape (H,W), got {values.shape}")
    low, high = limits or (np.nanmin(values), np.nanmax(values))
    picture = ax.imshow(values, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color="#c9d1d9")
    if colorbar:
        bar = ax.figure.colorbar(picture, ax=ax, shrink=0.85, pad=0.03)
        bar.set_label(label, color=INK)
        bar.outline.set_visible(False)
    return picture


def diverging(ax: Axes, values, label: str, limit: float | None = None, colorbar: bool = True):
    """Show an array of numbers of both signs, white at zero; as `heat`, with limits (-limit, limit)."""
    limit = float(np.nanmax(np.abs(_array(values)))) if limit is None else limit
    return heat(ax, values, label, limits=(-limit, limit), cmap=DIVERGING, colorbar=colorbar)
