"""Checks of what a user hands in, in one place, so that machines and networks refuse the same things."""

from __future__ import annotations

import numbers
from collections.abc import Collection, Sequence
from typing import TypeVar

import numpy as np
import torch

Choice = TypeVar("Choice")

LARGEST_PIXEL = 1e6  # with noise added a pixel has a size of a few


def check_time(
    t: float | torch.Tensor | np.ndarray | Sequence[float], batch: int, allow_zero: bool = False
) -> torch.Tensor:
    """Return t as a float64 tensor of shape () or (batch,).

    Raises ValueError if a value is NaN or outside (0, 1] ([0, 1] with `allow_zero`), or if the length is
    neither 1 nor `batch`; TypeError if t is not a number.
    """
    interval = "[0, 1]" if allow_zero else "(0, 1]"
    if isinstance(t, bool) or not isinstance(t, (numbers.Real, torch.Tensor, np.ndarray, list, tuple)):
        raise TypeError(f"t must be a number or one number an image, got {type(t).__name__}")
    # float64 from the start: as_tensor alone would round a Python float to float32
    values = t if isinstance(t, torch.Tensor) else torch.as_tensor(t, dtype=torch.float64)
    if values.is_complex() or values.dtype == torch.bool:
        raise TypeError(f"t must be real, got {values.dtype}")
    values = values.to(torch.float64) if values.device.type != "mps" else values.float()
    if values.ndim > 1 or (values.ndim == 1 and values.shape[0] not in (1, batch)):
        raise ValueError(f"t has shape {tuple(values.shape)}; expected one number or ({batch},), one an image")
    if values.ndim == 1 and values.shape[0] == 1:
        values = values[0]
    low = values >= 0 if allow_zero else values > 0
    if not bool((low & (values <= 1)).all()):  # NaN fails both comparisons
        bad = values[~(low & (values <= 1))].flatten()[0].item() if values.ndim else values.item()
        raise ValueError(f"t = {bad} is outside {interval}")
    return values


def broadcast_time(level: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A () or (B,) tensor shaped to multiply (B, C, H, W), in the dtype and on the device of `like`."""
    level = level.to(device=like.device, dtype=like.dtype)
    return level if level.ndim == 0 else level.view(-1, *([1] * (like.ndim - 1)))


def check_images(x: torch.Tensor, image_shape: Sequence[int] | None = None, what: str = "x") -> torch.Tensor:
    """Check a batch (B, C, H, W) of finite floating-point pixels; `image_shape` (C, H, W) must match if given."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{what} must be a torch.Tensor of shape (B, C, H, W), got {type(x).__name__}")
    if x.ndim != 4:
        raise ValueError(f"{what} has shape {tuple(x.shape)}; expected four axes (B, C, H, W)")
    if not x.is_floating_point():
        raise TypeError(f"{what} has dtype {x.dtype}; expected a floating-point type")
    if x.shape[0] == 0:
        raise ValueError(f"{what} is an empty batch, shape {tuple(x.shape)}")
    if image_shape is not None and tuple(x.shape[1:]) != tuple(image_shape):
        raise ValueError(f"{what} has images of shape (C, H, W) = {tuple(x.shape[1:])}; expected {tuple(image_shape)}")
    if not bool(torch.isfinite(x).all()):
        raise ValueError(f"{what} holds {int((~torch.isfinite(x)).sum())} NaN or infinite values")
    if bool((x.abs() > LARGEST_PIXEL).any()):
        raise ValueError(
            f"{what} holds the value {float(x.abs().max()):.3g}; pixels lie in [-1, 1], and beyond "
            f"{LARGEST_PIXEL:g} their squares overflow"
        )
    return x


def check_window(window: int, image_shape: Sequence[int] | None = None, border: str = "zero") -> int:
    """Return a window side as int. It must be odd and positive, and at most min(H, W) on a torus."""
    if isinstance(window, bool) or not isinstance(window, numbers.Integral):
        raise TypeError(f"window must be an odd positive integer, got {window!r}")
    window = int(window)
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window must be an odd positive integer, got {window}")
    if border == "circular" and image_shape is not None and window > min(image_shape[-2:]):
        height, width = image_shape[-2:]
        raise ValueError(
            f"window {window} is larger than the image ({height} x {width}): with a circular border it "
            f"would see the same pixel twice; use at most {min(height, width)}, or border='zero'"
        )
    return window


def check_choice(value: Choice, known: Collection[Choice], what: str) -> Choice:
    """ValueError naming the known choices unless `value` is one of them."""
    if value not in known:
        raise ValueError(f"unknown {what} {value!r}; known: {', '.join(map(repr, known))}")
    return value


def check_label(
    label: int | torch.Tensor | np.ndarray | Sequence[int] | None,
    batch: int,
    labels: Collection[int] | None,
    device: torch.device | str = "cpu",
) -> torch.Tensor | None:
    """Return None, or the labels as an int64 tensor (batch,) on `device`.

    `labels`: sorted list of the classes that exist, or None where the data (or network) has none.
    """
    if label is None:
        return None
    if labels is None:
        raise ValueError(f"label {label!r} was given, but this data or network has no labels")
    values = torch.as_tensor(label)
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise TypeError(f"label must be an integer or one integer an image, got dtype {values.dtype}")
    if values.ndim > 1 or (values.ndim == 1 and values.shape[0] not in (1, batch)):
        raise ValueError(f"label has shape {tuple(values.shape)}; expected an integer or ({batch},), one an image")
    values = values.to(torch.int64).expand(batch) if values.ndim == 0 or values.shape[0] == 1 else values.long()
    unknown = sorted(set(values.tolist()) - set(labels))
    if unknown:
        raise ValueError(f"label {unknown[0]} does not exist; known: {', '.join(map(str, labels))}")
    return values.to(device)


def check_steps(steps: int) -> int:
    """Number of sampling steps: an integer of at least 1."""
    if isinstance(steps, bool) or not isinstance(steps, numbers.Integral):
        raise TypeError(f"steps must be an integer of at least 1, got {steps!r}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    return int(steps)
