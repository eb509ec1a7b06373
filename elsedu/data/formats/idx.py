"""MNIST and Fashion-MNIST: the idx format, four files, gzipped or not.

An idx file starts with two zero bytes, the type (8: unsigned byte), the number of axes, then the
length of each axis as a big-endian uint32; the values follow.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

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
    """Read one idx file of unsigned bytes into an array; ValueError if it is damaged or something else."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is truncated or not a gzip file: {error}") from error
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(
            f"{path} is not an idx file of unsigned bytes: its first bytes are {content[:4].hex(' ')}"
        )
    axes = content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise ValueError(f"{path} is truncated: {len(content)} bytes do not hold the header of {axes} axes")
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) - start != math.prod(shape):
        state = "truncated" if len(content) - start < math.prod(shape) else "too long"
        raise ValueError(
            f"{path} is {state}: its header promises {shape}, {math.prod(shape):,} values, "
            f"but {len(content) - start:,} follow"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read(paths: list[Path], split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Read an image and a label file: uint8 (N, 1, H, W) and int64 (N,)."""
    images, labels = (read_idx(path) for path in paths)
    if images.ndim != 3:
        raise ValueError(f"{paths[0]} must hold images (N, H, W), it holds an array of shape {images.shape}")
    if labels.ndim != 1:
        raise ValueError(f"{paths[1]} must hold labels (N,), it holds an array of shape {labels.shape}")
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images in {paths[0]}, but {len(labels)} labels in {paths[1]}")
    if labels.size and labels.max() > 9:
        raise ValueError(f"{paths[1]} holds the label {labels.max()}, expected 0..9")
    return images[:, None], labels.astype(np.int64)
