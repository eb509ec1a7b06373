"""Local consistency: a sample of a local machine is a mosaic of training patches (chapter "Mosaics").

As noise vanishes, the softmax over patches hardens into the nearest patch, and a sample at rest must
satisfy (paper theorem 4.1): every pixel equals the centre of the training patch nearest to its window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import torch

from elsedu._common.checks import check_images
from elsedu.machines.patches import ScoreMachine
from elsedu.machines.windows import ScaleSchedule
from elsedu.posterior import State, to_posterior

# Centres of tied patches that differ by less count as the same: 8-bit pixels are at least 2/255 = .0078 apart.
_SAME_CENTRE = 1e-3


@overload
def provenance(
    machine: ScoreMachine,
    image: torch.Tensor,
    t: float | torch.Tensor | None = None,
    label: int | torch.Tensor | None = None,
    return_tied: Literal[False] = False,
) -> torch.Tensor: ...


@overload
def provenance(
    machine: ScoreMachine,
    image: torch.Tensor,
    t: float | torch.Tensor | None = None,
    label: int | torch.Tensor | None = None,
    *,
    return_tied: Literal[True],
) -> tuple[torch.Tensor, torch.Tensor]: ...


def provenance(
    machine: ScoreMachine,
    image: torch.Tensor,
    t: float | torch.Tensor | None = None,
    label: int | torch.Tensor | None = None,
    return_tied: bool = False,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """Which training patch each pixel comes from: (H, W, 3) int64 with image, row, column of the heaviest one.

    image: (C, H, W), or a batch (B, C, H, W) for (B, H, W, 3). t=None: the limit sigma -> 0, where the
    heaviest patch is the nearest one (a machine with a ScaleSchedule then uses its last, smallest-t
    window); otherwise the posterior of the noisy image x_t = `image` at time t.

    return_tied: also return bool (H, W), or (B, H, W): where another patch is as heavy. The source is then
    only the first of many, and says nothing about where the pixel came from; pictures show it gray.
    """
    batch = _as_batch(machine, image)
    if t is None:
        source, tied = _nearest_patch(machine, batch, label)
    else:
        post = machine.posterior(batch, t, label=label, fields=("source",))
        assert post.source is not None and post.tied is not None  # they were asked for
        source, tied = post.source, post.tied
    if image.ndim == 3:
        source, tied = source[0], tied[0]
    return (source, tied) if return_tied else source


def patch_colours(machine: ScoreMachine, source: torch.Tensor) -> torch.Tensor:
    """The centre pixels that a provenance map points at: (..., H, W, 3) -> (..., C, H, W)."""
    images = machine.data.images.to(source.device)
    colours = images[source[..., 0], :, source[..., 1], source[..., 2]]  # (..., H, W, C)
    return colours.movedim(-1, -3)


def is_locally_consistent(
    machine: ScoreMachine, image: torch.Tensor, tol: float = 1e-3, label: int | torch.Tensor | None = None
) -> torch.Tensor:
    """Where the image is locally consistent (def-locally-consistent): bool (H, W), or (B, H, W) for a batch.

    True where every channel is within `tol` of the centre of the nearest training patch, and all patches
    that are equally near have this same centre. Images with ties between different centres are excluded by the
    assumptions of the theorem on mosaics, and so they are False here; a machine can draw some of them all the
    same, with one of the tied centres (remark rem-mosaic-caveats), never with their mean.
    Distances are taken in float64.
    """
    if not (isinstance(tol, (int, float)) and tol >= 0):
        raise ValueError(f"tol must be a number of at least 0, got {tol!r}")
    batch = _as_batch(machine, image)
    source, tied = _nearest_patch(machine, batch, label)
    same = (patch_colours(machine, source).double() - batch.double()).abs().amax(1) <= tol
    if bool((tied & same).any()):
        same &= ~tied | _one_centre(machine, batch, label)
    return same[0] if image.ndim == 3 else same


def _as_batch(machine: ScoreMachine, image: torch.Tensor) -> torch.Tensor:
    if not isinstance(image, torch.Tensor) or image.ndim not in (3, 4):
        raise ValueError(f"image must be a tensor (C, H, W) or (B, C, H, W), got {getattr(image, 'shape', image)!r}")
    return check_images(image[None] if image.ndim == 3 else image, machine.image_shape, "image")


def _last_window(machine: ScoreMachine) -> int | None:
    window = machine.window
    return window.windows[0] if isinstance(window, ScaleSchedule) else window


def _hard(
    machine: ScoreMachine, batch: torch.Tensor, label: int | torch.Tensor | None, sigma: float, fields: Sequence[str]
) -> list[State]:
    """State at alpha = 1 and a chosen sigma: distances to the clean patches themselves."""
    _, label = machine._check(batch, 0.5, label)
    wide = batch.double()
    window, one = _last_window(machine), torch.ones(1, dtype=torch.float64)
    backend = "definition" if machine.backend == "definition" else "torch"
    return [
        machine._sums(
            wide[b : b + 1], one, sigma * one, None if label is None else int(label[b]), [window], fields, backend
        )[window]
        for b in range(len(wide))
    ]


def _nearest_patch(
    machine: ScoreMachine, batch: torch.Tensor, label: int | torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Source and tied maps of the nearest patch, (B, H, W, 3) and (B, H, W)."""
    sigma = torch.ones(1, dtype=torch.float64)
    sources, ties = [], []
    for state in _hard(machine, batch, label, 1.0, ("source",)):
        post = to_posterior(state, machine.kind, _last_window(machine), sigma, ("source",))
        assert post.source is not None and post.tied is not None  # they were asked for
        sources.append(post.source)
        ties.append(post.tied)
    return torch.cat(sources), torch.cat(ties)


def _one_centre(machine: ScoreMachine, batch: torch.Tensor, label: int | torch.Tensor | None) -> torch.Tensor:
    """Where all nearest patches have the same centre, (B, H, W) bool.

    At this sigma a patch further by 1e-6 in squared distance weighs nothing, so s counts the nearest patches, and
    no centre is further from their mean than the root of (number of patches) x (variance of the centres).
    """
    spread = []
    for state in _hard(machine, batch, label, 1e-4, ("mean", "variance")):
        assert state.v2 is not None  # it was asked for
        count = state.s.unsqueeze(-1)
        variance = (state.v2 / count - (state.v / count) ** 2).clamp_min(0)
        spread.append((count * variance).amax(-1))
    return torch.cat(spread) <= _SAME_CENTRE**2


__all__ = ["is_locally_consistent", "patch_colours", "provenance"]
