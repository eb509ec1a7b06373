"""MNIST and Fashion-MNIST: the idx format, four files, gzipped or not.

An idx file starts with two zero bytes, the type (8: unsigned byte), the number of axes, then the
length of each axis as a big-endian uint32; the values follow.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from elsedu._common.reading import Unpacked, check_regular

LARGEST = 1 << 30  # values; the 60,000 images of MNIST have 47 million

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def find(folder: Path, split: str) -> list[Path] | None:
    """The image and the label file of a split in `folder`, plain or .gz, or None if one is missing."""
    either = [(folder / name, folder / f"{name}.gz") for name in FILES[split]]
    found = [next((path for path in pair if path.is_file()), None) for pair in either]
    return None if None in found else found


def looked_for(split: str) -> str:
    """What `find` looks for, in words."""
    return " and ".join(f"{name}[.gz]" for name in FILES[split])


def read_idx(path: Path) -> np.ndarray:
    """Read one idx file of unsigned bytes, packed or not, into an array.

    No more is unpacked than the header promises, and at most 1 GiB.

    Raises:
        ValueError: If it is damaged, something else, empty along an axis other than the first, or too large.
    """
    packed = path.suffix == ".gz"
    size = check_regular(path)
    with Unpacked(path, LARGEST) if packed else path.open("rb") as stream:
        start = _read_all(stream, 4)
        if len(start) < 4 or start[:3] != b"\0\0\x08":
            raise ValueError(f"{path} is not an idx file of unsigned bytes: its first bytes are {start.hex(' ')}")
        axes = start[3]
        header = _read_all(stream, 4 * axes)
        if len(header) < 4 * axes:
            have = 4 + len(header)
            raise ValueError(f"{path} is truncated: {have} bytes do not hold the header of {axes} axes")
        shape = struct.unpack(f">{axes}I", header)
        promised = f"its header promises {_short(shape)}, {math.prod(shape):,} values"
        if axes > 4 or math.prod(shape) > LARGEST:
            raise ValueError(f"{path}: {promised}; at most 4 axes and {LARGEST:,} values are read")
        if 0 in shape[1:]:
            raise ValueError(f"{path}: {promised}; only the first axis, the number of images, may be 0")
        rest = size - 4 - 4 * axes if not packed else None
        content = b"" if rest is not None and rest != math.prod(shape) else _read_all(stream, math.prod(shape) + 1)
    found = len(content) if rest is None else rest
    if found != math.prod(shape):
        state = "truncated" if found < math.prod(shape) else "too long"
        exact = f"{found:,}" if rest is not None or state == "truncated" else "more"
        raise ValueError(f"{path} is {state}: {promised}, but {exact} follow")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_all(stream, count: int) -> bytes:
    parts = []
    while count and (part := stream.read(min(count, 1 << 24))):  # in parts: a short file takes no more memory
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _short(shape) -> str:
    return str(shape) if len(shape) <= 4 else f"({', '.join(map(str, shape[:4]))}, ...)"


def read(paths: list[Path], split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Read an image and a label file: uint8 (N, 1, H, W) and int64 (N,)."""
    images, labels = (read_idx(path) for path in paths)
    if images.ndim == 3 and images.shape[1] != images.shape[2]:
        raise ValueError(f"{paths[0]} must hold square images, its images have {images.shape[1]} x {images.shape[2]}")
    if images.ndim != 3:
        raise ValueError(f"{paths[0]} must hold images (N, H, W), it holds an array of shape {images.shape}")
    if labels.ndim != 1:
        raise ValueError(f"{paths[1]} must hold labels (N,), it holds an array of shape {labels.shape}")
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images in {paths[0]}, but {len(labels)} labels in {paths[1]}")
    if labels.size and labels.max() > 9:
        raise ValueError(f"{paths[1]} holds the label {labels.max()}, expected 0..9")
    return images[:, None], labels.astype(np.int64)
