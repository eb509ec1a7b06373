"""Pixels: bytes on disk, numbers in [-1, 1] in the theory.

Every data set is kept as uint8 as long as possible. Resizing (Pillow, bilinear, antialiased) and
hashing happen on the bytes, so that a set is the same, bit for bit, on every machine. Only then
are the pixels mapped to the range of the theory, value = byte / 127.5 - 1, where 0 is mid-grey:
the same value with which a network's zero padding, and the border of the boundary-broken machine,
surround an image (chapter "Borders").
"""

from __future__ import annotations

import hashlib
import os

import numpy as np
import torch
from PIL import Image


def to_values(pixels: np.ndarray) -> torch.Tensor:
    """Map uint8 pixels of any shape to float32 values in [-1, 1]: byte / 127.5 - 1.

    Computed as (2 byte - 255) / 255, whose only rounding is that of the division, so that black and
    white, and every pair of opposite greys, are exactly opposite numbers.
    """
    values = pixels.astype(np.float32)
    values *= 2
    values -= 255
    values /= 255
    return torch.from_numpy(values)


def to_bytes(values: torch.Tensor) -> np.ndarray:
    """Map values in [-1, 1] of any shape to the nearest uint8 pixels; what lies outside is clipped."""
    return ((values.detach().cpu() + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8).numpy()


def check_fits(count: int, channels: int, size: int) -> None:
    """ValueError if so many images of size x size pixels cannot be held in this machine's memory."""
    needed = 5 * count * channels * size * size  # a byte and a float32 for every value
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        memory = 1 << 40
    if needed > memory:
        raise ValueError(
            f"{count:,} images of {size} x {size} pixels take {needed / 1e9:,.1f} GB, this machine has "
            f"{memory / 1e9:,.1f} GB: take a smaller size, or a limit"
        )


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resize uint8 images (N, C, H, W), C = 1 or 3, to (N, C, size, size) with Pillow's bilinear filter.

    Pillow works on uint8 in fixed-point arithmetic, and widens the filter when it shrinks an image
    (antialiasing), as torchvision's Resize does with PIL images in the published code.
    """
    if pixels.shape[2:] == (size, size):
        return pixels
    check_fits(*pixels.shape[:2], size)
    resized = np.empty((*pixels.shape[:2], size, size), np.uint8)
    for image, channels in zip(resized, pixels):
        for plane, channel in zip(image, channels):
            plane[...] = Image.fromarray(channel).resize((size, size), Image.Resampling.BILINEAR)
    return resized


def content_hash(images: torch.Tensor, labels: torch.Tensor | None) -> str:
    """The first 16 hexadecimal digits of a SHA-256 over shape, pixels and labels.

    Values that lie on the 256 levels of `to_values` (all that `elsedu.load` returns) are hashed as
    bytes, so that the last digits of a float do not matter; other values as little-endian float64.
    """
    values = images.detach().cpu().numpy()
    for kind, encode in (("uint8", _levels), ("float64", lambda block: block.astype("<f8"))):
        digest = hashlib.sha256(f"{kind} {values.shape}".encode())
        for start in range(0, len(values), 256):
            block = encode(values[start : start + 256])
            if block is None:
                break
            digest.update(np.ascontiguousarray(block))
        else:
            if labels is not None:
                digest.update(labels.detach().cpu().numpy().astype("<i8"))
            return digest.hexdigest()[:16]


def _levels(values: np.ndarray) -> np.ndarray | None:
    """The values as bytes, or None if one of them lies on none of the 256 levels."""
    scaled = values * 127.5
    scaled += 127.5
    level = np.rint(scaled)
    scaled -= level
    if level.min() < 0 or level.max() > 255 or np.abs(scaled, out=scaled).max() > 1e-3:
        return None
    return level.astype(np.uint8)
