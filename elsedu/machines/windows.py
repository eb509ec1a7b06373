"""Windows over time, P(t): one number a step, calibrated on a network (chapter "Scales").

A trained network looks at a large neighbourhood while the image is noise and at a small one at the end.
A `ScaleSchedule` holds one window a time step; machines accept it wherever they accept a window.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from elsedu._common.checks import check_window
from elsedu._common.files import write_text
from elsedu._common.reading import parse_json, read_text
from elsedu.diffusion.schedule import Schedule, by_name, cosine


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

    windows: Sequence[int]  # a tuple once it is made
    schedule: Schedule = field(default_factory=cosine)
    info: dict[str, object] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.windows, (str, bytes)) or not hasattr(self.windows, "__iter__"):
            raise TypeError(f"windows must be a sequence of odd sides, got {self.windows!r}")
        windows = tuple(check_window(w) for w in self.windows)
        if not windows:
            raise ValueError("a ScaleSchedule needs at least one window, got none")
        if not isinstance(self.schedule, Schedule):
            raise TypeError(f"schedule must be an elsedu.schedule.Schedule, got {type(self.schedule).__name__}")
        object.__setattr__(self, "windows", windows)

    def __len__(self) -> int:
        return len(self.windows)

    def __repr__(self) -> str:
        return f"ScaleSchedule({list(self.windows)})"

    def at(self, t: float | torch.Tensor, schedule: Schedule | None = None) -> list[int]:
        """List of windows at times t (float or (B,)) of `schedule` (default: the own one)."""
        t = torch.as_tensor(t, dtype=torch.float64).cpu().flatten()
        if schedule is not None and schedule != self.schedule:
            t = self.schedule.time_of_ratio(schedule.sigma(t) / schedule.alpha(t))
        n = len(self.windows)
        entry = torch.clamp(torch.floor(n * t + 0.5).long(), 1, n) - 1
        return [self.windows[k] for k in entry.tolist()]

    def save(self, path: str | Path) -> None:
        """Write JSON (atomically); `load` reads it back."""
        record = {"windows": list(self.windows), "schedule": self.schedule.name, "info": self.info}
        write_text(path, json.dumps(record, indent=1) + "\n")

    @staticmethod
    def load(path: str | Path) -> ScaleSchedule:
        """Read a file written by `save`. ValueError if it is not one."""
        path = Path(path)
        try:
            record = parse_json(read_text(path, 1 << 24))
            windows, name, info = record["windows"], record["schedule"], record.get("info", {})
            if not isinstance(windows, list) or len(windows) > 100_000 or not isinstance(info, dict):
                raise ValueError(f"its windows are {str(windows)[:60]}")
            return ScaleSchedule(windows, by_name(name), info)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            said = str(error) if isinstance(error, ValueError) else repr(error)
            raise ValueError(f"{path} is not a scale schedule written by elsedu: {said}") from error


def candidate_windows(shape: Sequence[int], border: str = "zero", largest: int | None = None) -> list[int]:
    """The odd sides from 3 up that differ for images (C, H, W).

    With a zero border a window of 2 max(H, W) - 1 covers the image from every pixel, on a torus a window
    is at most min(H, W). `largest` caps the list (a network's receptive field, say).

    >>> import elsedu
    >>> elsedu.scales.candidate_windows((1, 8, 8))
    [3, 5, 7, 9, 11, 13, 15]
    """
    top = min(shape[-2:]) if border == "circular" else 2 * max(shape[-2:]) - 1
    if largest is not None:
        top = min(top, largest)
    return list(range(3, top + 1, 2)) or [1]
