"""The windows that come with elsedu: the paper's ten lists, and those calibrated on the shipped networks."""

from __future__ import annotations

from elsedu._common.checks import check_choice
from elsedu._common.files import SHIPPED
from elsedu.diffusion.denoiser import Denoiser
from elsedu.diffusion.schedule import cosine
from elsedu.machines.windows import ScaleSchedule

FOLDER = SHIPPED / "scales"

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


def published(name: str) -> ScaleSchedule:
    """The windows that the paper's authors released, for 32x32 images: a ScaleSchedule of 20 entries.

    >>> import elsedu
    >>> elsedu.scales.published("mnist-resnet-zero").windows[-1]
    15
    """
    check_choice(name, tuple(_PUBLISHED), "published scale schedule")
    return ScaleSchedule(
        [int(w) for w in _PUBLISHED[name].split()],
        cosine(),
        {"source": "Kamb and Ganguli 2025, released with the paper's code", "network": name},
    )


def published_names() -> tuple[str, ...]:
    """Names that `published` knows."""
    return tuple(_PUBLISHED)


def calibrated(network_name: str, machine: str = "els") -> ScaleSchedule:
    """The windows calibrated on a network shipped with elsedu, for "els" or "ls".

    ValueError names the ones there are.
    """
    check_choice(machine, ("els", "ls"), "machine")
    known = calibrated_names(machine)
    check_choice(network_name, known, f"calibrated {machine} scale schedule")
    return ScaleSchedule.load(FOLDER / f"{network_name}.{machine}.json")


def calibrated_names(machine: str = "els") -> tuple[str, ...]:
    """Networks with a shipped calibration."""
    return tuple(sorted(p.name[: -len(f".{machine}.json")] for p in FOLDER.glob(f"*.{machine}.json")))


def scales_for(
    network: Denoiser, scales: ScaleSchedule | dict[str, ScaleSchedule] | None = None
) -> dict[str, ScaleSchedule]:
    """{"els": ScaleSchedule, "ls": ScaleSchedule} of a comparison.

    scales: such a dict, a ScaleSchedule for both, or None for the schedules shipped with the network.
    ValueError if there are none.
    """
    if isinstance(scales, ScaleSchedule):
        return {"els": scales, "ls": scales}
    if scales is None:
        name = getattr(network, "name", None)
        missing = [kind for kind in ("els", "ls") if name not in calibrated_names(kind)]
        if missing:
            raise ValueError(
                f"no calibrated {missing[0]} windows are shipped for {name!r}: calibrate first "
                "(elsedu.calibrate) and give scales={'els': ..., 'ls': ...}"
            )
        assert name is not None  # it is the name of a shipped network
        return {kind: calibrated(name, kind) for kind in ("els", "ls")}
    if not isinstance(scales, dict) or set(scales) != {"els", "ls"}:
        raise ValueError(f"scales must be a ScaleSchedule or a dict with the keys 'els' and 'ls', got {scales!r}")
    return scales
