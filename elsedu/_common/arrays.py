"""numpy's files, .npy and .npz, of plain numbers.

Nothing is unpickled, and what a header promises is compared with the file before memory is taken.
"""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from .reading import check_regular

LARGEST = 1 << 34  # bytes of one array
KINDS = "biufU"  # numbers and texts; objects ("O") would have to be unpickled
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(path, limit: int = LARGEST, names=None) -> dict[str, np.ndarray]:
    """All arrays of an .npz file, or those called `names`.

    Args:
        path: The file.
        limit: How many bytes all of them may have together.
        names: Which arrays; None for all.

    Raises:
        ValueError: If it is damaged, no .npz file, holds anything but numbers and texts, or unpacks to more.
    """
    check_regular(path)
    found, total = {}, 0
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if member.filename == name or (names is not None and name not in names):
                    continue
                total += member.file_size
                if total > limit:
                    raise ValueError(f"its arrays take more than {limit:,} bytes")
                if name in found:
                    raise ValueError(f"it holds {name!r} twice")
                with archive.open(member) as stream:
                    found[name] = _read(stream, member.file_size)
    except (
        ValueError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        struct.error,
        MemoryError,
    ) as error:
        raise ValueError(f"{path} is damaged or no .npz file of plain numbers: {error}") from error
    return found


def read_npy(path, limit: int = LARGEST) -> np.ndarray:
    """The array of an .npy file; ValueError as for `read_npz`."""
    size = check_regular(path)
    try:
        if size > limit:
            raise ValueError(f"it has more than {limit:,} bytes")
        with Path(path).open("rb") as stream:
            return _read(stream, size)
    except (ValueError, EOFError, struct.error, MemoryError) as error:
        raise ValueError(f"{path} is damaged or no .npy file of plain numbers: {error}") from error


def _read(stream, size: int) -> np.ndarray:
    version = np.lib.format.read_magic(stream)
    if version not in _READERS:
        raise ValueError(f"version {version} of the format")
    try:
        shape, fortran, dtype = _READERS[version](stream, max_header_size=10_000)
    except (SyntaxError, RecursionError, TypeError, KeyError, tokenize.TokenError) as error:
        raise ValueError(f"a header that cannot be read ({type(error).__name__})") from error
    header = stream.tell()
    if dtype.kind not in KINDS or dtype.hasobject or dtype.names:
        raise ValueError(f"an array of {dtype}, only numbers are read")
    if not all(type(n) is int and n >= 0 for n in shape) or header + math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"an array of shape {str(shape)[:60]} and type {dtype} in {size:,} bytes")
    content = bytearray(stream.read(size - header))
    if len(content) != size - header:
        raise ValueError(f"it ends {size - header - len(content):,} bytes too early")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
