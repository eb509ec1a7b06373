"""What a network can see, measured from outside (chapter "What a network can see").

Locality and equivariance are the two assumptions of the theory. Neither is read off the architecture
here: the receptive field is the footprint of gradients, equivariance is tried with cyclic shifts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from elsedu.diffusion.denoiser import Denoiser


def _double(denoiser: Denoiser) -> Denoiser:
    """A float64 copy of a network on the CPU (for tolerances near 1e-12); any other denoiser as it is."""
    return copy.deepcopy(denoiser).cpu().double().eval() if isinstance(denoiser, nn.Module) else denoiser


def _label(network: Denoiser, batch: int) -> torch.Tensor | None:
    return torch.zeros(batch, dtype=torch.int64) if getattr(network, "label_required", False) else None


def _shape(denoiser: Denoiser) -> tuple[int, ...]:
    if denoiser.image_shape is None:
        raise ValueError("this denoiser does not say which images it serves: its image_shape is None")
    return denoiser.image_shape


def receptive_field(network: Denoiser, size: int = 64, samples: int = 2, seed: int = 0) -> int:
    """Side of the smallest square that holds every pixel the centre pixel of the output depends on.

    The gradient of output pixels with respect to the input is taken at `samples` random images of
    `size` x `size` pixels; max-pooling sends gradients along its winners only, so several images and, for
    a network with `stride` s, the s x s pixels around the centre are tried and the footprints united.
    The result is at most `size`: if it equals `size`, the network sees at least that far.

    >>> receptive_field(elsedu.networks.ResNet(width=8, blocks=6))
    17
    """
    stride = getattr(network, "stride", 1)
    if size % stride:
        raise ValueError(f"size must be a multiple of the network's stride {stride}, got {size}")
    net = _double(network)
    generator = torch.Generator().manual_seed(seed)
    widest = 0
    for _ in range(samples):
        x = torch.randn(1, _shape(net)[0], size, size, generator=generator, dtype=torch.float64)
        x.requires_grad_(True)
        out = net.noise(x, 0.5, _label(net, 1)).abs().sum(dim=(0, 1))
        for dy in range(stride):
            for dx in range(stride):
                pixel = out[size // 2 + dy, size // 2 + dx]
                (gradient,) = torch.autograd.grad(pixel, x, retain_graph=True)
                seen = (gradient != 0).any(dim=1)[0]
                for axis in (0, 1):
                    where = torch.nonzero(seen.any(dim=axis))
                    widest = max(widest, int(where.max() - where.min()) + 1)
    return widest


def equivariance_error(
    denoiser: Denoiser,
    t: float = 0.5,
    shifts: Iterable[tuple[int, int]] = ((0, 1), (1, 0), (2, 3)),
    label: int | torch.Tensor | None = None,
    seed: int = 0,
) -> float:
    """Largest relative deviation from f(shift x) = shift f(x) over cyclic shifts (rows, columns).

    f is the predicted noise at time t, x one image of Gaussian noise of the denoiser's image_shape. The
    deviation is the largest absolute difference over the largest absolute value; 0 is exact.
    """
    net = _double(denoiser)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, *_shape(net), generator=generator, dtype=torch.float64)
    if label is None:
        label = _label(net, 1)
    with torch.no_grad():
        straight = net.noise(x, t, label)
        scale = float(straight.abs().max())
        errors = [
            float((net.noise(x.roll(shift, (2, 3)), t, label) - straight.roll(shift, (2, 3))).abs().max())
            for shift in shifts
        ]
    return max(errors) / scale


def is_equivariant(denoiser: Denoiser, tol: float = 1e-6, **options: Any) -> bool:
    """Whether the denoiser commutes with cyclic shifts to the relative tolerance `tol`.

    A circular ResNet is equivariant; zero padding breaks it, and so does max-pooling for shifts that are not
    multiples of its stride.

    Args:
        denoiser: Network or machine.
        tol: The largest relative deviation that passes.
        **options: Of `equivariance_error`, which gives the measured number.
    """
    return equivariance_error(denoiser, **options) <= tol
