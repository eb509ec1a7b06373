"""What the network looks at: mean absolute Jacobian heat maps (chapter "Scales", the paper's figure 4a).

The derivative of one output pixel with respect to every input pixel says how far the denoiser sees. Its
mean absolute value over noisy images shrinks from the whole receptive field to a few pixels as the noise
falls. That shrinking window is what P(t) stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from elsedu._common.records import device_of
from elsedu.diffusion import seeds
from elsedu.diffusion.denoiser import Denoiser
from elsedu.diffusion.sampling import ddim


def heat_map(
    denoiser: Denoiser,
    x: torch.Tensor,
    t: float | torch.Tensor,
    label: int | torch.Tensor | None = None,
    pixel: tuple[int, int] | None = None,
) -> torch.Tensor:
    """Mean absolute Jacobian of the denoised centre pixel: (H, W) float64, non-negative.

    x: (B, C, H, W) noisy images at time t; the absolute derivatives d x0(pixel) / d x are summed over the
    channels of output and input and averaged over the batch. pixel: (row, column), default the centre
    (H // 2, W // 2). Machines use their differentiable "torch" backend here. ValueError for a pixel outside.
    """
    height, width = x.shape[2:]
    row, column = (height // 2, width // 2) if pixel is None else pixel
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"pixel {(row, column)} lies outside the {height} x {width} image")
    total = torch.zeros(height, width, dtype=torch.float64, device=x.device)
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        out = denoiser.denoise(x, t, label)
        for channel in range(out.shape[1]):
            # images of a batch do not mix, so one backward pass serves them all
            (gradient,) = torch.autograd.grad(out[:, channel, row, column].sum(), x, retain_graph=True)
            total += gradient.detach().abs().double().sum(1).mean(0)
    return total.cpu()


def over_time(
    denoiser: Denoiser,
    samples: int | Iterable[int] = 8,
    steps: int = 20,
    label: int | torch.Tensor | None = None,
    shape: Sequence[int] | None = None,
    path: Denoiser | None = None,
) -> tuple[list[float], torch.Tensor]:
    """Heat maps along a reverse process: (times (n,) rising, maps (n, H, W) float64).

    samples: how many reverse processes, or which (stream "jacobian" of `elsedu.seeds`). path: the denoiser
    whose noisy images are looked at, by default the denoiser itself. shape: (C, H, W), default the
    denoiser's image_shape.
    """
    path = denoiser if path is None else path
    shape = denoiser.image_shape if shape is None else shape
    if shape is None:
        raise ValueError("this denoiser serves images of any size: give shape=(C, H, W)")
    index = seeds.as_index(samples)
    if label is None and getattr(denoiser, "label_required", False):
        label = seeds.labels(index, denoiser.classes)
    noise = seeds.noise("jacobian", index, shape).to(device_of(path))
    times, maps = [], []
    with torch.no_grad():
        for t, x, _ in ddim(path, noise, steps, label):
            if t > 0:
                times.append(t)
                maps.append(heat_map(denoiser, x, t, label))
    return times[::-1], torch.stack(maps[::-1])


def _offsets(
    shape: tuple[int, ...], pixel: tuple[int, int] | None
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    height, width = shape
    row, column = (height // 2, width // 2) if pixel is None else pixel
    return np.abs(np.arange(height) - row)[:, None], np.abs(np.arange(width) - column)[None, :]


def effective_width(heat: npt.ArrayLike, pixel: tuple[int, int] | None = None) -> float:
    """Side of the window that, seen evenly, would spread as widely as the heat map: a float of at least 1.

    heat: (H, W), non-negative. An even P x P window has variance (P^2 - 1)/12 along each axis, so
    P = sqrt(12 v + 1) with v the mean of the two axes' second moments around the pixel.
    """
    heat = _checked(heat)
    rows, columns = _offsets(heat.shape, pixel)
    variance = (heat * (rows**2 + columns**2)).sum() / heat.sum() / 2
    return float(np.sqrt(12 * variance + 1))


def covering_window(heat: npt.ArrayLike, share: float = 0.9, pixel: tuple[int, int] | None = None) -> int:
    """Side of the smallest odd window around the pixel that holds `share` of the heat map's sum: an odd int."""
    heat = _checked(heat)
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share!r}")
    rows, columns = _offsets(heat.shape, pixel)
    ring = np.maximum(rows, columns)
    inside = np.cumsum(np.bincount(ring.ravel(), heat.ravel()))
    return 2 * int(np.argmax(inside >= share * inside[-1] * (1 - 1e-12))) + 1


def _checked(heat: npt.ArrayLike) -> npt.NDArray[np.float64]:
    heat = np.asarray(heat, dtype=float)
    if heat.ndim != 2 or (heat < 0).any() or not np.isfinite(heat).all() or not heat.sum() > 0:
        raise ValueError(
            f"heat must be a map (H, W) of non-negative numbers that are not all 0, got shape {heat.shape}"
        )
    return heat
