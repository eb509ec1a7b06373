"""Local consistency: a sample of a local machine is a mosaic of training patches (chapter "Mosaics").

As noise vanishes, the softmax over patches hardens into the nearest patch, and a sample at rest must
satisfy (paper theorem 4.1): every pixel equals the centre of the training patch nearest to its window.
"""

from __future__ import annotations

import torch

from elsedu.checks import check_images
from elsedu.posterior import choose_backend, finish, partial_posterior
from elsedu.posterior.state import with_image_index
from elsedu.scales import ScaleSchedule


def provenance(machine, image, t=None, label=None):
    """Which training patch each pixel comes from: (H, W, 3) int64 with image, row, column of the heaviest one.

    image: (C, H, W), or a batch (B, C, H, W) for (B, H, W, 3). t=None: the limit sigma -> 0, where the
    heaviest patch is the nearest one (a machine with a ScaleSchedule then uses its last, smallest-t
    window); otherwise the posterior of the noisy image x_t = `image` at time t.
    """
    batch = _as_batch(machine, image)
    if t is None:
        source, _ = _nearest_patch(machine, batch, label)
    else:
        source = machine.posterior(batch, t, label=label, fields=("source",)).source
    return source[0] if image.ndim == 3 else source


def patch_colours(machine, source):
    """The centre pixels that a provenance map points at: (..., H, W, 3) -> (..., C, H, W)."""
    images = machine.data.images.to(source.device)
    colours = images[source[..., 0], :, source[..., 1], source[..., 2]]    # (..., H, W, C)
    return colours.movedim(-1, -3)


def is_locally_consistent(machine, image, tol=1e-3, label=None):
    """Where the image obeys theorem 4.1: bool (H, W), or (B, H, W) for a batch.

    True where every channel is within `tol` of the centre of the nearest training patch (in case of a tie:
    of the mean centre of the tied patches). Distances are taken in float64.
    """
    if not (isinstance(tol, (int, float)) and tol >= 0):
        raise ValueError(f"tol must be a number of at least 0, got {tol!r}")
    batch = _as_batch(machine, image)
    source, tied = _nearest_patch(machine, batch, label)
    same = (patch_colours(machine, source).double() - batch.double()).abs().amax(1) <= tol
    if bool((tied & ~same).any()):
        # several nearest patches: accept the mean of their centres, the limit of the softmax
        mean = _limit(machine, batch, label)
        same |= tied & ((mean - batch.double()).abs().amax(1) <= tol)
    return same[0] if image.ndim == 3 else same


def _as_batch(machine, image):
    if not isinstance(image, torch.Tensor) or image.ndim not in (3, 4):
        raise ValueError(f"image must be a tensor (C, H, W) or (B, C, H, W), got {getattr(image, 'shape', image)!r}")
    return check_images(image[None] if image.ndim == 3 else image, machine.image_shape, "image")


def _last_window(machine):
    window = machine.window
    return (window.windows[0] if isinstance(window, ScaleSchedule) else window) or 0


def _hard(machine, batch, label, sigma, fields):
    """State at alpha = 1 and a chosen sigma: distances to the clean patches themselves."""
    _, label = machine._check(batch, 0.5, label)
    wide = batch.double()
    states = []
    for b in range(len(wide)):
        dictionary, index = machine._dictionary(wide, None if label is None else int(label[b]))
        window = _last_window(machine)
        one = torch.ones(1, dtype=torch.float64)
        backend = "definition" if machine.backend == "definition" else choose_backend("torch", wide)
        state = partial_posterior(dictionary, wide[b:b + 1], one, sigma * one, machine.kind, [window], fields,
                                  backend)[window]
        states.append(state if index is None else with_image_index(state, index))
    return states


def _nearest_patch(machine, batch, label):
    """Source and tied maps of the nearest patch, (B, H, W, 3) and (B, H, W)."""
    sigma = torch.ones(1, dtype=torch.float64)
    posts = [finish(s, machine.kind, _last_window(machine), sigma, ("source",))
             for s in _hard(machine, batch, label, 1.0, ("source",))]
    return torch.cat([p.source for p in posts]), torch.cat([p.tied for p in posts])


def _limit(machine, batch, label):
    """The posterior mean as sigma -> 0: at this sigma a patch further by 1e-6 in squared distance weighs nothing."""
    return torch.cat([s.v / s.s.unsqueeze(1) for s in _hard(machine, batch, label, 1e-4, ("mean",))])


__all__ = ["is_locally_consistent", "patch_colours", "provenance"]
