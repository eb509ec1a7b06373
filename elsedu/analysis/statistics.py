"""How sure a hundred seeds make us: medians and shares with 95 % intervals (chapter "Prediction").

Medians get percentile bootstrap intervals over the seeds, from a fixed generator, so that a table can be
recomputed to the last digit. Shares ("ELS above IS on 97 of 100 seeds") get Wilson's score interval, which
says something even when every seed agrees. A seed whose metric is not defined (an image that is one
constant has no correlation with anything) is counted and reported, never dropped in silence.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TypedDict

import numpy as np
import numpy.typing as npt

RESAMPLES = 4000
LEVEL = 0.95
SEED = 20250613


class Median(TypedDict):
    """A median with its interval, how many seeds it is of and how many were not defined."""

    median: float
    low: float
    high: float
    seeds: int
    undefined: int


class Share(TypedDict):
    """A share of seeds with its interval."""

    share: float
    low: float
    high: float
    seeds: int


class DefinedShare(Share):
    """A share of the seeds where something is defined, and how many of them there are where it is not."""

    undefined: int


class Paired(Median):
    """The median of differences, and the share of seeds where they are positive."""

    above: DefinedShare


class TwoLevel(TypedDict):
    """A mean over trainings of medians over noises."""

    mean: float
    low: float
    high: float
    trainings: int
    seeds: int
    medians: list[float]
    spread: float


def median(values: npt.ArrayLike, level: float = LEVEL, resamples: int = RESAMPLES) -> Median:
    """Median of numbers, one a seed, with its bootstrap interval.

    values: (S,). Returns {"median", "low", "high", "seeds", "undefined"}; NaN and infinite values are left
    out and counted in "undefined"; with none left the numbers are NaN.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values must be one number a seed, got shape {values.shape}")
    used = values[np.isfinite(values)]
    record: Median = {
        "median": math.nan,
        "low": math.nan,
        "high": math.nan,
        "seeds": len(used),
        "undefined": int(len(values) - len(used)),
    }
    if len(used):
        low, high = bootstrap(used, np.median, level, resamples)
        record |= {"median": float(np.median(used)), "low": low, "high": high}
    return record


def bootstrap(
    values: npt.ArrayLike,
    statistic: Callable[..., npt.NDArray[np.float64]],
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[float, float]:
    """Percentile bootstrap interval of statistic(values, axis=-1): (low, high).

    The seeds are drawn again with replacement `resamples` times; the interval holds the middle `level` of
    the statistic's values. ValueError unless 0 < level < 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
    values = np.asarray(values, dtype=float)
    again = statistic(values[_drawn(len(values), resamples, seed)], axis=-1)
    low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@functools.lru_cache(maxsize=4)
def _drawn(count: int, resamples: int, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(count, size=(resamples, count))


def share(wins: npt.ArrayLike, level: float = LEVEL) -> Share:
    """Share of seeds that are true, with Wilson's interval: {"share", "low", "high", "seeds"}.

    wins: (S,) bool.
    """
    from scipy.stats import norm

    wins = np.asarray(wins)
    if wins.dtype != bool or wins.ndim != 1:
        raise TypeError(f"wins must be one bool a seed, got {wins.dtype}, shape {wins.shape}")
    count = len(wins)
    if not count:
        return {"share": math.nan, "low": math.nan, "high": math.nan, "seeds": 0}
    z, p = norm.ppf((1 + level) / 2), float(wins.mean())
    centre = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    return {"share": p, "low": max(0.0, centre - half), "high": min(1.0, centre + half), "seeds": count}


def two_level(values: npt.ArrayLike, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED) -> TwoLevel:
    """What several trainings and many noises say together: the mean over trainings of the median over noises.

    Args:
        values: (K, S), one row a training, one column a noise; every training met the same noises.
        level: of the interval, between 0 and 1.
        resamples: how often both are drawn again.
        seed: of the resampling.

    Returns:
        {"mean", "low", "high", "trainings", "seeds", "medians": one a training, "spread": their standard
        deviation, NaN for a single one}. Trainings and noises are both drawn again with replacement,
        independently of each other, so the interval speaks of networks trained anew, where that of `median`
        speaks of new noises for one network. With few trainings it is too narrow, by about the square root
        of (K - 1) / K, as every bootstrap of few values.

    Raises:
        ValueError: If `values` is not a table of finite numbers.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"values must be a table of finite numbers, a row a training, got shape {values.shape}")
    rng, (trainings, seeds) = np.random.default_rng(seed), values.shape
    rows = rng.integers(trainings, size=(resamples, trainings))
    columns = rng.integers(seeds, size=(resamples, seeds))
    again = np.array([np.median(values[r][:, c], axis=1).mean() for r, c in zip(rows, columns)])
    low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2])
    medians = np.median(values, axis=1)
    return {
        "mean": float(medians.mean()),
        "low": float(low),
        "high": float(high),
        "trainings": trainings,
        "seeds": seeds,
        "medians": medians.tolist(),
        "spread": float(medians.std(ddof=1)) if trainings > 1 else math.nan,
    }


def paired(a: npt.ArrayLike, b: npt.ArrayLike) -> Paired:
    """By how much a is above b, seed by seed: `median` of a - b, and under "above" the share of seeds.

    The two met the same noise, so their difference is much less noisy than the difference of two medians.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return {**median(a - b), "above": above(a, b)}


def above(a: npt.ArrayLike, b: npt.ArrayLike) -> DefinedShare:
    """`share` of seeds with a > b; seeds where one of the two is not defined are left out and counted."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    defined = np.isfinite(a) & np.isfinite(b)
    return {**share(a[defined] > b[defined]), "undefined": int((~defined).sum())}
