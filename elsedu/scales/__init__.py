"""Windows over time, P(t): one number a step, calibrated on a network (chapter "Scales").

A trained network looks at a large neighbourhood while the image is noise and at a small one at the end.
A `ScaleSchedule` holds one window a time step; machines accept it wherever they accept a window.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch

from elsedu.checks import check_choice, check_window
from elsedu.schedule import Schedule, by_name, cosine

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class ScaleSchedule:
    """n windows; entry k belongs to t = (k + 1)/n, the first to the least noise.

    windows: odd sides. schedule: the noise schedule the windows were calibrated on; under another one a
    time is translated to the t of this schedule with the same sigma/alpha (beyond its range: t = 1).
    info: where the windows come from (anything JSON can hold).

    >>> import elsedu
    >>> elsedu.ScaleSchedule([3, 3, 5, 9]).at(0.5)
    [3]
    """

    windows: tuple
    schedule: Schedule = field(default_factory=cosine)
    info: dict = field(default_factory=dict, compare=False)

    def __post_init__(self):
        if isinstance(self.windows, (str, bytes)) or not hasattr(self.windows, "__iter__"):
            raise TypeError(f"windows must be a sequence of odd sides, got {self.windows!r}")
        windows = tuple(check_window(w) for w in self.windows)
        if not windows:
            raise ValueError("a ScaleSchedule needs at least one window, got none")
        if not isinstance(self.schedule, Schedule):
            raise TypeError(f"schedule must be an elsedu.schedule.Schedule, got {type(self.schedule).__name__}")
        object.__setattr__(self, "windows", windows)

    def __len__(self):
        return len(self.windows)

    def __repr__(self):
        return f"ScaleSchedule({list(self.windows)})"

    def at(self, t, schedule=None):
        """List of windows at times t (float or (B,)) of `schedule` (default: the own one)."""
        t = torch.as_tensor(t, dtype=torch.float64).cpu().flatten()
        if schedule is not None and schedule != self.schedule:
            t = self.schedule.time_of_ratio(schedule.sigma(t) / schedule.alpha(t))
        n = len(self.windows)
        entry = torch.clamp(torch.floor(n * t + 0.5).long(), 1, n) - 1
        return [self.windows[k] for k in entry.tolist()]

    def save(self, path):
        """Write JSON (atomically); `load` reads it back."""
        from elsedu.files import write_text

        record = {"windows": list(self.windows), "schedule": self.schedule.name, "info": self.info}
        write_text(path, json.dumps(record, indent=1) + "\n")

    @staticmethod
    def load(path):
        """Read a file written by `save`. ValueError if it is not one."""
        path = Path(path)
        try:
            record = json.loads(path.read_text())
            windows, name, info = record["windows"], record["schedule"], record.get("info", {})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a scale schedule written by elsedu: {error!r}") from error
        return ScaleSchedule(windows, by_name(name), info)


# Released with the paper's code (Kamb and Ganguli 2025): calibrated by them, cosine schedule, 20 steps.
_PUBLISHED = {
    "cifar10-resnet-zero": "3 3 3 3 5 5 5 7 7 7 7 9 9 11 11 13 15 17 17 17",
    "cifar10-resnet-circular": "3 3 3 3 5 5 5 5 7 7 7 9 9 11 11 13 13 15 15 15",
    "cifar10-unet-zero": "3 3 3 3 5 5 5 5 7 7 7 7 9 9 11 13 13 15 17 25",
    "celeba-resnet-zero": "3 3 3 5 5 5 5 5 7 7 9 9 9 11 11 11 13 15 19 19",
    "celeba-unet-zero": "3 3 3 3 3 3 3 5 5 5 5 5 7 7 9 9 9 13 19 27",
    "fashion_mnist-resnet-zero": "3 3 5 5 7 7 9 9 9 11 11 11 13 13 13 15 15 15 17 17",
    "fashion_mnist-unet-zero": "3 3 5 5 7 7 7 9 11 11 11 13 15 15 21 23 25 25 25 25",
    "mnist-resnet-zero": "3 3 5 5 5 7 7 7 9 9 11 11 11 11 13 15 15 15 15 15",
    "mnist-resnet-circular": "3 3 5 5 5 7 7 9 9 9 11 11 11 11 9 9 7 7 3 3",
    "mnist-unet-zero": "3 3 3 5 5 7 7 7 9 9 9 11 13 15 17 21 23 23 25 27",
}


def published(name):
    """The windows that the paper's authors released, for 32x32 images: a ScaleSchedule of 20 entries.

    >>> import elsedu
    >>> elsedu.scales.published("mnist-resnet-zero").windows[-1]
    15
    """
    check_choice(name, tuple(_PUBLISHED), "published scale schedule")
    return ScaleSchedule([int(w) for w in _PUBLISHED[name].split()], cosine(),
                         {"source": "Kamb and Ganguli 2025, released with the paper's code", "network": name})


def published_names():
    """Names that `published` knows."""
    return tuple(_PUBLISHED)


def calibrated(network_name, machine="els"):
    """The windows calibrated on a network shipped with elsedu, for "els" or "ls".

    ValueError names the ones there are.
    """
    check_choice(machine, ("els", "ls"), "machine")
    known = calibrated_names(machine)
    check_choice(network_name, known, f"calibrated {machine} scale schedule")
    return ScaleSchedule.load(_HERE / f"{network_name}.{machine}.json")


def calibrated_names(machine="els"):
    """Networks with a shipped calibration."""
    return tuple(sorted(p.name[: -len(f".{machine}.json")] for p in _HERE.glob(f"*.{machine}.json")))
