"""Who predicts the network: the machines of a comparison, one record each (chapter "Prediction").

`LINEUP` is the one list of machines: comparisons, tables, figures and the command line read it, so that a machine
added here is added everywhere.

All start from the same noise as the network and know only the training images, and ELS and LS the
windows calibrated for each of them. For a zero-padded network "els" is the paper's boundary-broken
machine and "els_circular" the plain one, with the same windows as far as they fit on the torus; a
circular network has only the plain one, which is then "els", and with it a rival that has the network's
symmetry as well: "stationary", the Wiener filter of all shifts.
"""

from __future__ import annotations

from dataclasses import dataclass

from elsedu._common.checks import check_choice
from elsedu.data import ImageSet
from elsedu.diffusion.denoiser import Denoiser
from elsedu.machines.patches import EquivariantLocalScore, EquivariantScore, IdealScore, LocalScore
from elsedu.machines.wiener import StationaryWienerScore, WienerScore
from elsedu.machines.windows import ScaleSchedule


@dataclass(frozen=True)
class Entry:
    """One machine of the line-up.

    Attributes:
        name: In results and on the command line.
        title: In tables and figures.
        family: Machines of one family share a colour; the chapters' name for it.
        color: Of its lines and points.
        machine: The class.
        scales: Which calibrated windows it takes, "els" or "ls"; None for a machine without windows.
        border: The border it always has, or None for the network's.
        beside: Only compared with networks of this padding, or None for all.
        linear: It draws no training image, so the nearest one says nothing; and it has no backends.
        forced: Whether it is also followed step by step on the network's own images.
    """

    name: str
    title: str
    family: str
    color: str
    machine: type[Denoiser]
    scales: str | None = None
    border: str | None = None
    beside: str | None = None
    linear: bool = False
    forced: bool = True

    def build(self, data, window=None, *, border="zero", schedule=None, backend="auto"):
        """The machine on a data set.

        Args:
            data: ImageSet.
            window: Odd side or ScaleSchedule, for machines with windows only; on a torus a schedule is clipped.
            border: "zero" or "circular", for machines with windows only.
            schedule: Noise schedule (default: cosine).
            backend: See `elsedu.posterior`; linear machines have none.
        """
        if self.scales is None:
            options = {} if self.linear else {"backend": backend}
            return self.machine(data, schedule=schedule, **options)
        border = self.border or border
        if border == "circular" and isinstance(window, ScaleSchedule):
            window = clipped(window, data.shape)
        return self.machine(data, window, border=border, schedule=schedule, backend=backend)


_ELS, _WIENER = ("ELS", "#d55e00"), ("Wiener", "#009e73")
LINEUP = {
    entry.name: entry
    for entry in (
        Entry("els", "ELS", *_ELS, EquivariantLocalScore, scales="els"),
        Entry(
            "els_circular",
            "ELS (torus)",
            *_ELS,
            EquivariantLocalScore,
            scales="els",
            border="circular",
            beside="zero",
            forced=False,
        ),
        Entry("ls", "LS", "LS", "#0072b2", LocalScore, scales="ls"),
        Entry("is", "IS", "IS", "#7d8894", IdealScore),
        Entry("es", "ES", "ES", "#cc79a7", EquivariantScore, forced=False),
        Entry("wiener", "Wiener", *_WIENER, WienerScore, linear=True),
        Entry("stationary", "Wiener, all shifts", *_WIENER, StationaryWienerScore, beside="circular", linear=True),
    )
}
MACHINES = tuple(LINEUP)


def border_of(network: object) -> str:
    """The border of the machines that a network is compared with: its padding ("zero" if it has none)."""
    return "circular" if getattr(network, "padding", "zero") == "circular" else "zero"


def clipped(scales, shape):
    """The same schedule with windows that fit on the torus of (C, H, W): at most the odd side <= min(H, W)."""
    largest = (min(shape[-2:]) - 1) // 2 * 2 + 1
    return ScaleSchedule([min(w, largest) for w in scales.windows], scales.schedule, scales.info)


def lineup(network, data, scales, which=MACHINES, backend="auto"):
    """The machines that a network is compared with.

    Args:
        network: Denoiser whose padding and schedule the machines take.
        data: ImageSet, or tensor (N, C, H, W).
        scales: As `elsedu.scales.scales_for` returns them.
        which: Names out of `MACHINES`; those that do not go with the network's padding are left out.
        backend: See `elsedu.posterior`.

    Returns:
        {name: machine}, in the order of `MACHINES`.

    Raises:
        TypeError: If `network` is no Denoiser.
        ValueError: For an unknown name.
    """
    if not isinstance(network, Denoiser):
        raise TypeError(f"network must be a Denoiser (a network or a machine), got {type(network).__name__}")
    data = data if isinstance(data, ImageSet) else ImageSet(data)
    for name in which:
        check_choice(name, MACHINES, "machine")
    border = border_of(network)
    options = {"border": border, "schedule": network.schedule, "backend": backend}
    wanted = [entry for entry in LINEUP.values() if entry.name in which and entry.beside in (None, border)]
    return {entry.name: entry.build(data, scales.get(entry.scales), **options) for entry in wanted}
