"""Calibration: one window a time step, from a network or without one (chapter "Scales").

The theory has one free number a step, the window P(t). `calibrate` finds it in three ways (see
`elsedu.scales.methods`) and returns a `ScaleSchedule` that knows how it was made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch

from elsedu._common import records
from elsedu._common.checks import check_choice, check_steps, check_window
from elsedu._common.progress import progress_wanted
from elsedu.data import ImageSet
from elsedu.diffusion import seeds
from elsedu.diffusion.denoiser import Denoiser
from elsedu.machines.lineup import LINEUP, border_of
from elsedu.machines.patches import EquivariantLocalScore, LocalScore
from elsedu.machines.windows import ScaleSchedule, candidate_windows
from elsedu.scales import methods
from elsedu.scales.methods import KAPPA
from elsedu.scales.rules import RULES, best, cheapest, choose, costs

__all__ = ["KAPPA", "METHODS", "RULES", "best", "calibrate", "candidate_windows", "cheapest", "choose", "costs"]

METHODS = ("trajectory", "denoising", "patches")
CRITERIA = ("cosine", "squared_error")


def calibrate(
    network: Denoiser | None,
    machine: str | LocalScore | EquivariantLocalScore,
    data: ImageSet | torch.Tensor,
    method: str = "trajectory",
    *,
    windows: Iterable[int] | None = None,
    steps: int = 20,
    samples: int | Iterable[int] | None = None,
    rule: str | None = None,
    criterion: str = "cosine",
    monotone: bool = False,
    label: int | torch.Tensor | None = None,
    folds: int = 5,
    kappa: float = KAPPA,
    progress: bool | None = None,
) -> ScaleSchedule:
    """Windows P(t) for a machine: a ScaleSchedule of `steps` entries.

    Args:
        network: The denoiser to look like (a network, or a machine in a test); None for "denoising" and "patches",
            which need none.
        machine: "els" or "ls", or a machine whose border, dictionary, backend and schedule are used (its own window
            is ignored). A name takes the network's padding as border, "zero" without a network, and the network's
            noise schedule.
        data: The ImageSet (or images (N, C, H, W)) that the machine is built on.
        method: "trajectory" (the paper's), "denoising" or "patches".
        windows: Candidate sides (default: `candidate_windows`).
        steps: DDIM steps, and entries of the schedule.
        samples: How many reverse processes (default 10), or held-out images for "denoising" (default 50); or a
            sequence of integers. They come from streams of seeds of their own (`elsedu.seeds`), never from the
            test's.
        rule: "median" over the samples of the best window, or the best "mean" over the samples (default: median for
            "trajectory", mean for "denoising"; "patches" has no choice).
        criterion: "cosine" of the scores or their "squared_error" ("denoising" always takes the error).
        monotone: Whether P(t) must not fall as t rises.
        label: None, a class, or one a sample; a class-conditional network without a label cycles through its
            classes; "denoising" of a class-conditional network uses each image's own class.
        folds: For "denoising", into how many parts the images are cut.
        kappa: For "patches", how many effective patches a window must keep.
        progress: Whether a bar is shown; None leaves it to ELSEDU_PROGRESS.

    Returns:
        A ScaleSchedule. Its `info` says how it was made, and holds the windows each sample would have chosen
        (`choices`, S x n) and the mean quality of each window (`quality`, n x W; for "patches" the median log
        effective patches).

    Raises:
        ValueError: For an unknown method, rule or criterion, no samples, no network where one is needed, or
            schedules that differ.
        TypeError: For a machine that is none of these.
    """
    check_choice(method, METHODS, "method")
    check_choice(criterion, CRITERIA, "criterion")
    rule = check_choice(rule or ("mean" if method == "denoising" else "median"), RULES, "rule")
    steps = check_steps(steps)
    index = seeds.as_index(samples if samples is not None else (50 if method == "denoising" else 10))
    data = data if isinstance(data, ImageSet) else ImageSet(data)
    if method == "trajectory" and network is None:
        raise ValueError(
            "method 'trajectory' follows a network's reverse process: give a network, or use "
            "method 'denoising' or 'patches'"
        )
    progress = progress_wanted() if progress is None else progress
    build = _builder(network, machine)
    built = build(data)
    if network is not None and network.schedule != built.schedule:
        raise ValueError(
            f"the network's noise schedule is {network.schedule.name}, the machine's "
            f"{built.schedule.name}; they must agree"
        )
    windows = candidate_windows(data.shape, built.border) if windows is None else list(windows)
    windows = sorted({check_window(w, data.shape, built.border) for w in windows})
    if not windows:
        raise ValueError("windows is empty; expected at least one odd side")
    conditional = bool(getattr(network, "label_required", False))
    if label is None and network is not None and conditional:
        label = seeds.labels(index, network.classes)

    info: dict[str, object] = {
        "method": method,
        "machine": built.short_name,
        "border": built.border,
        "network": None if network is None else records.name_of(network),
        "weights_hash": records.weights_hash(network),
        "data": data.name,
        "data_hash": data.hash,
        "images": len(data),
        "steps": steps,
        "seeds": {"stream": "calibration" if method == "trajectory" else method, "index": index},
        "candidates": windows,
        "monotone": bool(monotone),
    }
    if method == "patches":
        chosen, quality = methods.patches(built, windows, steps, index, label, kappa, monotone, progress)
        info |= {"kappa": float(kappa), "quality": records.rounded(quality)}
    else:
        if method == "trajectory":
            assert network is not None  # checked above
            table = methods.trajectory(network, built, windows, steps, index, label, criterion, progress)
        else:
            criterion = "squared_error"
            table = methods.denoising(build, data, windows, steps, index, folds, conditional, progress)
            info["folds"] = folds
        qualities = table.numpy()
        chosen = choose(qualities, windows, rule, monotone)
        choices = [[windows[w] for w in row] for row in best(qualities)]
        info |= {
            "rule": rule,
            "criterion": criterion,
            "choices": choices,
            "quality": records.rounded(qualities.mean(0), 7),
        }
    info |= {"versions": records.versions(), "commit": records.commit()}
    return ScaleSchedule(chosen, built.schedule, info)


def _builder(
    network: Denoiser | None, machine: str | LocalScore | EquivariantLocalScore
) -> Callable[[ImageSet], LocalScore | EquivariantLocalScore]:
    """A function that builds the machine to be calibrated on any ImageSet."""
    if isinstance(machine, str):
        check_choice(machine, ("els", "ls"), "machine")
        kind = cast(type[LocalScore | EquivariantLocalScore], LINEUP[machine].machine)
        options: dict[str, Any] = {"border": border_of(network), "schedule": getattr(network, "schedule", None)}
    elif isinstance(machine, LocalScore | EquivariantLocalScore):
        kind = type(machine)
        options = {"border": machine.border, "schedule": machine.schedule, "backend": machine.backend}
        if type(machine) is EquivariantLocalScore:
            options["dictionary"] = machine.dictionary
    else:
        raise TypeError(f"machine must be 'els', 'ls', a LocalScore or an EquivariantLocalScore, got {machine!r}")
    return lambda data: kind(data, 1, **options)


def window_distance(a: ScaleSchedule, b: ScaleSchedule) -> float:
    """Mean absolute difference of two schedules in steps of one candidate (two pixels of the side).

    a, b: ScaleSchedule of the same length.
    """
    if len(a) != len(b):
        raise ValueError(f"schedules of {len(a)} and {len(b)} entries cannot be compared")
    return math.fsum(abs(p - q) / 2 for p, q in zip(a.windows, b.windows)) / len(a)
