"""Figures of a comparison: image by image, seed by seed, step by step (chapter "Prediction").

Each function draws from what `Comparison.load` returns, so the book draws what was measured.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch

from elsedu.analysis.statistics import median
from elsedu.figures import COLORS, INK, pair_grid, scatter, window_plot
from elsedu.machines.lineup import LINEUP

TITLES = {entry.name: entry.title for entry in LINEUP.values()} | {
    "ceiling": "second network", "nearest": "nearest training image"}


def _label(name):
    return f"network, {name.split('-')[1]} steps" if name.startswith("network-") else TITLES.get(name, name)


def as_images(comparison, name, index=None):
    """Stored pictures as images (S, C, H, W) in [-1, 1], float64; index: which seeds (default: all).

    ValueError for a name that is not there. The bytes were clipped: values outside [-1, 1] are lost.
    """
    if name not in comparison.images:
        raise ValueError(f"no images called {name!r}; there are {', '.join(comparison.images) or 'none'}")
    images = torch.from_numpy(comparison.images[name]).double() / 127.5 - 1
    return images if index is None else images[list(index)]


def pictures(comparison, names=("network-150", "els", "ls", "is"), count=12, index=None, titles=None):
    """The same seeds through network and machines, one row each: a Figure.

    names: entries of comparison.images. index: which seeds (default: the first `count`). titles: one a seed.
    ValueError for a name that is not there.
    """
    index = range(min(count, len(comparison.images.get(names[0], range(count))))) if index is None else list(index)
    rows = [as_images(comparison, name, index) for name in names]
    return pair_grid(rows, labels=[_label(name) for name in names], titles=titles, columns=len(index))


def strips(values, colors=None, ax=None, xlabel="correlation $r$ with the network's image"):
    """One line of dots each: the values of all seeds, their median, and its 95 % interval: an Axes.

    values: {label: numbers, one a seed}, drawn from top to bottom; those that are not finite are left out.
    colors: {label: colour}; the others are grey.
    """
    ax = plt.subplots(figsize=(6.2, 0.6 + 0.36 * len(values)))[1] if ax is None else ax
    shake = np.random.default_rng(0)
    for row, (label, numbers) in enumerate(values.items()):
        numbers = np.asarray(numbers, dtype=float)
        numbers, color = numbers[np.isfinite(numbers)], (colors or {}).get(label, COLORS["IS"])
        ax.scatter(numbers, row + shake.uniform(-0.22, 0.22, len(numbers)), s=7, color=color, alpha=0.45, linewidth=0)
        found = median(numbers)
        ax.plot([found["low"], found["high"]], [row, row], color=INK, linewidth=3, solid_capstyle="butt")
        ax.plot([found["median"]] * 2, [row - 0.36, row + 0.36], color=INK, linewidth=1.6)
    ax.set(yticks=range(len(values)), yticklabels=list(values), ylim=(len(values) - 0.5, -0.5), xlabel=xlabel)
    return ax


def agreement(comparison, steps="150", x="is", y="els", ax=None):
    """Pearson's r of each seed with one machine against the other (the paper's figure 10): an Axes."""
    ax = plt.subplots(figsize=(3.4, 3.4))[1] if ax is None else ax
    seeds = comparison.measured["per_seed"][str(steps)]
    pairs = [(a, b) for a, b in zip(seeds[x]["pearson_r"], seeds[y]["pearson_r"]) if None not in (a, b)]
    return scatter(ax, *zip(*pairs), f"$r$ of {TITLES[x]} and network", f"$r$ of {TITLES[y]} and network")


def forced(comparison, machines=("els", "ls", "is", "wiener"), ax=None):
    """r(t) of machine and network, one step at a time on the network's own images: an Axes."""
    ax = plt.subplots(figsize=(5.2, 3))[1] if ax is None else ax
    block = comparison.measured["forced"]
    for name in machines:
        if name in block:
            line = block[name]
            ax.plot(block["t"], line["median"], color=LINEUP[name].color, label=TITLES[name])
            ax.fill_between(block["t"], line["low"], line["high"], color=LINEUP[name].color, alpha=0.2, linewidth=0)
    ax.set(xlabel="time $t$ (noise grows)", ylabel="$r$ of denoised images", ylim=(None, 1.01))
    ax.legend()
    return ax


def windows(schedules, ax=None):
    """P(t) of several ScaleSchedules beside each other: {label: ScaleSchedule} -> an Axes."""
    return window_plot({label: schedule.windows for label, schedule in schedules.items()}, ax)


def reliability(comparison, ax=None):
    """Predicted against actual squared error, by predicted variance: an Axes with both tests."""
    ax = plt.subplots(figsize=(3.6, 3.4))[1] if ax is None else ax
    block = comparison.measured["error_map"]
    for name, label, color in (("held_out", "error against the truth", COLORS["data"]),
                               ("network", "distance to the network", COLORS["network"])):
        if name in block:
            curve = block[name]["reliability"]
            ax.loglog(curve["variance"], curve["error"], "o-", color=color, label=label, markersize=4)
    low, high = ax.get_xlim()
    ax.plot([low, high], [low, high], color="#9aa5b1", linewidth=1, zorder=0)
    ax.set(xlabel="posterior variance of the machine", ylabel="mean squared error")
    ax.legend()
    return ax
