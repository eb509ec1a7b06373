"""The closed formulas: every optimal denoiser of the theory, and their relatives (parts II and VI)."""

from elsedu.machines.patches import EquivariantLocalScore, EquivariantScore, IdealScore, LocalScore
from elsedu.machines.wiener import StationaryWienerScore, WienerScore
from elsedu.machines.windows import ScaleSchedule

__all__ = [
    "EquivariantLocalScore",
    "EquivariantScore",
    "IdealScore",
    "LocalScore",
    "ScaleSchedule",
    "StationaryWienerScore",
    "WienerScore",
]
