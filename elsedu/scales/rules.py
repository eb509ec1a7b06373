"""From many samples to one window a step: median or mean, and a schedule that only grows with noise.

Calibration measures how well each window does, for each sample and time: a table of qualities. A rule
turns it into costs, one for each time and window, and the schedule is the cheapest path. Without a
constraint each time decides for itself; a monotone path is found by dynamic programming.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from elsedu._common.checks import check_choice

RULES = ("median", "mean")


def best(quality: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Index of the best window for each sample and time: (S, n, W) -> (S, n). Ties go to the smaller window."""
    places: npt.NDArray[np.intp] = np.argmax(quality, axis=-1)
    return places


def costs(quality: npt.NDArray[np.float64], rule: str) -> npt.NDArray[np.float64]:
    """Cost of each window at each time, (n, W), from qualities (S, n, W), where larger is better.

    "mean": minus the mean quality over the samples; its minimum is the window that is best on average.
    "median": sum over the samples of the distance (in windows) to the sample's best window; its minimum
    is the median of the best windows, the lower one of two (the paper's rule, appendix C).
    """
    check_choice(rule, RULES, "rule")
    cost: npt.NDArray[np.float64]
    if rule == "mean":
        cost = -quality.mean(0)
    else:
        ranks = np.arange(quality.shape[-1])
        cost = np.abs(best(quality)[:, :, None] - ranks).sum(0).astype(float)
    return cost


def cheapest(cost: npt.NDArray[np.float64], monotone: bool = False) -> npt.NDArray[np.intp]:
    """Index of the window at each time, (n,): the least cost, with `monotone` among paths that never fall.

    cost: (n, W), times in rising order. Ties go to the smaller window.
    """
    if not monotone:
        places: npt.NDArray[np.intp] = np.argmin(cost, axis=1)
        return places
    times, count = cost.shape
    total = np.empty_like(cost)  # cheapest path up to this time that ends at this window
    before = np.zeros((times, count), dtype=int)
    total[0] = cost[0]
    for k in range(1, times):
        for w in range(count):
            before[k, w] = np.argmin(total[k - 1, : w + 1])
            total[k, w] = cost[k, w] + total[k - 1, before[k, w]]
    path = [int(np.argmin(total[-1]))]
    for k in range(times - 1, 0, -1):
        path.append(int(before[k, path[-1]]))
    return np.array(path[::-1])


def choose(quality: npt.ArrayLike, windows: Sequence[int], rule: str = "median", monotone: bool = False) -> list[int]:
    """The windows of a schedule, a list of n sides, from qualities (S, n, W).

    ValueError if a quality is NaN (a denoiser that returned a constant has no direction to compare).
    """
    quality = np.asarray(quality, dtype=float)
    if np.isnan(quality).any():
        raise ValueError(
            f"{int(np.isnan(quality).sum())} of {quality.size} similarities are NaN: the network or "
            "the machine returned an image without direction (all zero)"
        )
    return [windows[w] for w in cheapest(costs(quality, rule), monotone)]
