"""How large is the window, and when: windows that come with elsedu, and how to find them (chapter "Scales")."""

from elsedu.machines.windows import ScaleSchedule, candidate_windows
from elsedu.scales.calibration import calibrate, window_distance
from elsedu.scales.methods import KAPPA
from elsedu.scales.shipped import calibrated, calibrated_names, published, published_names, scales_for

__all__ = [
    "KAPPA",
    "ScaleSchedule",
    "calibrate",
    "calibrated",
    "calibrated_names",
    "candidate_windows",
    "published",
    "published_names",
    "scales_for",
    "window_distance",
]
