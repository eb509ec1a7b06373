"""Local consistency: a sample of a local machine is a mosaic of training patches (chapter "Mosaics").

As noise vanishes, the softmax over patches hardens into the nearest patch, and a sample at rest must
satisfy (paper theorem 4.1): every pixel equals the centre of the training patch nearest to its window.
"""

from __future__ import annotations

import torch

from elsedu._common.checks import check_images
from elsedu.machines.windows import ScaleSchedule
from elsedu.posterior import to_posterior

# Centres of tied patches that differ by less count as the same: 8-bit pixels are at least 2/255 = .0078 apart.
_SAME_CENTRE = 1e-3


def provenance(machine, image, t=None, label=None, return_tied=False):
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
        source, tied = post.source, post.tied
    if image.ndim == 3:
        source, tied = source[0], tied[0]
    return (source, tied) if return_tied else source


def patch_colours(machine, source):
    """The centre pixels that a provenance map points at: (..., H, W, 3) -> (..., C, H, W)."""
    images = machine.data.images.to(source.device)
    colours = images[source[..., 0], :, source[..., 1], source[..., 2]]    # (..., H, W, C)
    return colours.movedim(-1, -3)


def is_locally_consistent(machine, image, tol=1e-3, label=None):
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


def _as_batch(machine, image):
    if not isinstance(image, torch.Tensor) or image.ndim not in (3, 4):
        raise ValueError(f"image must be a tensor (C, H, W) or (B, C, H, W), got {getattr(image, 'shape', image)!r}")
    return check_images(image[None] if image.ndim == 3 else image, machine.image_shape, "image")


def _last_window(machine):
    window = machine.window
    return window.windows[0] if isinstance(window, ScaleSchedule) else window


def _hard(machine, batch, label, sigma, fields):
    """State at alpha = 1 and a chosen sigma: distances to the clean patches themselves."""
    _, label = machine._check(batch, 0.5, label)
    wide = batch.double()
    window, one = _last_window(machine), torch.ones(1, dtype=torch.float64)
    backend = "definition" if machine.backend == "definition" else "torch"
    return [machine._sums(wide[b:b + 1], one, sigma * one, None if label is None else int(label[b]), [window], fields,
                          backend)[window] for b in range(len(wide))]


def _nearest_patch(machine, batch, label):
    """Source and tied maps of the nearest patch, (B, H, W, 3) and (B, H, W)."""
    sigma = torch.ones(1, dtype=torch.float64)
    posts = [to_posterior(s, machine.kind, _last_window(machine), sigma, ("source",))
             for s in _hard(machine, batch, label, 1.0, ("source",))]
    return torch.cat([p.source for p in posts]), torch.cat([p.tied for p in posts])


def _one_centre(machine, batch, label):
    """Where all nearest patches have the same centre, (B, H, W) bool.

    At this sigma a patch further by 1e-6 in squared distance weighs nothing, so s counts the nearest patches, and
    no centre is further from their mean than the root of (number of patches) x (variance of the centres).
    """
    spread = []
    for state in _hard(machine, batch, label, 1e-4, ("mean", "variance")):
        count = state.s.unsqueeze(-1)
        variance = (state.v2 / count - (state.v / count) ** 2).clamp_min(0)
        spread.append((count * variance).amax(-1))
    return torch.cat(spread) <= _SAME_CENTRE**2


__all__ = ["is_locally_consistent", "patch_colours", "provenance"]
