"""Who predicts the network: the machines of a comparison (chapter "Prediction").

All start from the same noise as the network and know only the training images, and ELS and LS the
windows calibrated for each of them. For a zero-padded network "els" is the paper's boundary-broken
machine and "els_circular" the plain one, with the same windows as far as they fit on the torus; a
circular network has only the plain one, which is then "els", and with it a rival that has the network's
symmetry as well: "stationary", the Wiener filter of all shifts.
"""

from __future__ import annotations

from elsedu._common.checks import check_choice
from elsedu.data import ImageSet
from elsedu.diffusion.denoiser import Denoiser
from elsedu.machines.patches import EquivariantLocalScore, EquivariantScore, IdealScore, LocalScore
from elsedu.machines.wiener import StationaryWienerScore, WienerScore
from elsedu.machines.windows import ScaleSchedule

MACHINES = ("els", "els_circular", "ls", "is", "es", "wiener", "stationary")
ONLY = {"els_circular": "zero", "stationary": "circular"}    # machines that go with one border alone


def border_of(network):
    """The border of the machines that a network is compared with: its padding ("zero" if it has none)."""
    return "circular" if getattr(network, "padding", "zero") == "circular" else "zero"


def clipped(scales, shape):
    """The same schedule with windows that fit on the torus of (C, H, W): at most the odd side <= min(H, W)."""
    largest = (min(shape[-2:]) - 1) // 2 * 2 + 1
    return ScaleSchedule([min(w, largest) for w in scales.windows], scales.schedule, scales.info)


def lineup(network, data, scales, which=MACHINES, backend="auto"):
    """{name: machine} for a network, in the order of MACHINES.

    network: Denoiser whose padding and schedule the machines take. scales: as `elsedu.scales.scales_for` returns them.
    """
    if not isinstance(network, Denoiser):
        raise TypeError(f"network must be a Denoiser (a network or a machine), got {type(network).__name__}")
    data = data if isinstance(data, ImageSet) else ImageSet(data)
    for name in which:
        check_choice(name, MACHINES, "machine")
    border, options = border_of(network), {"schedule": network.schedule, "backend": backend}
    els = clipped(scales["els"], data.shape) if border == "circular" else scales["els"]
    ls = clipped(scales["ls"], data.shape) if border == "circular" else scales["ls"]
    makers = {
        "els": lambda: EquivariantLocalScore(data, els, border=border, **options),
        "els_circular": lambda: EquivariantLocalScore(data, clipped(els, data.shape), border="circular", **options),
        "ls": lambda: LocalScore(data, ls, border=border, **options),
        "is": lambda: IdealScore(data, **options),
        "es": lambda: EquivariantScore(data, **options),
        "wiener": lambda: WienerScore(data, schedule=network.schedule),
        "stationary": lambda: StationaryWienerScore(data, schedule=network.schedule),
    }
    wanted = [name for name in MACHINES if name in which and ONLY.get(name, border) == border]
    return {name: makers[name]() for name in wanted}
