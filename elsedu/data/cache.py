"""The cache folder: downloaded files, and decoded sets that need not be decoded again.

`ELSEDU_CACHE` names the folder; without it, it is the user's cache folder of the operating system
(~/.cache/elsedu on Linux). Every file in it is written under another name first and then renamed,
so that a file is either whole or absent.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import PIL

from elsedu._common.files import whole_file

FORMAT = 1  # raise it when decoding changes


def cache_folder() -> Path:
    """The folder for downloads and decoded sets: ELSEDU_CACHE, or the user's cache folder."""
    chosen = os.environ.get("ELSEDU_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import pooch  # only here and for downloads: a machine without the internet can do without

    return Path(pooch.os_cache("elsedu"))


def fingerprint(files: Iterable[str | Path]) -> str:
    """A key that changes with the source files (path, size, times), and with the way they are decoded."""
    digest = hashlib.sha256(f"format {FORMAT}, pillow {PIL.__version__}".encode())
    for path in files:
        state = os.stat(path)  # noqa: PTH116 (CelebA: 200,000 Path objects would take seconds)
        digest.update(f"\n{path} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}".encode())
    return digest.hexdigest()


def decoded(
    settings: str, files: list[str | Path], size: int, decode: Callable[[], tuple[np.ndarray, np.ndarray | None]]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return decode(), (pixels, labels), from the cache if it is there, whole, and newer than the files.

    settings names what is decoded, e.g. "mnist-train-32"; there is one cache file for each settings
    and place of the source (the first of the absolute paths `files`). size is the side of the images.
    """
    place = hashlib.sha256(str(files[0]).encode()).hexdigest()[:12]

    def named():
        pixels, labels = decode()
        return {"pixels": pixels} | ({} if labels is None else {"labels": labels})

    found = kept(f"{settings}-{place}", fingerprint(files), (size, size), named)
    return found["pixels"], found.get("labels")


def kept(
    name: str, key: str, sides: tuple[int, int] | None, decode: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return decode() from the cache file `name` if it is there, whole, and was kept under this key.

    A damaged or outdated file is replaced, and so is one whose pixels are no bytes of the right size. A cache that
    cannot be written costs only a warning: the decoded images are returned.

    Args:
        name: Of the cache file, without its ending.
        key: What decides whether the file is still right, e.g. a hash of the source.
        sides: Height and width that the images must have, or None.
        decode: Makes {"pixels": uint8 (N, C, H, W), "labels": int64 (N,), ...}; labels may be missing.
    """
    path = cache_folder() / "decoded" / f"{name}.npz"
    found = _read(path, key)
    if found is not None and _is_sound(found, sides):
        return found
    found = decode()
    try:
        with whole_file(path) as file:
            _write(file, key, found)
    except OSError as error:
        warnings.warn(
            f"decoded images could not be kept in {path} ({error}); they are loaded all the same, and "
            "decoded again next time. ELSEDU_CACHE names another folder.",
            UserWarning,
            stacklevel=5,
        )
    return found


def _is_sound(found: dict[str, np.ndarray], sides) -> bool:
    pixels, labels = found.get("pixels"), found.get("labels")
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] not in (1, 3):
        return False
    if sides is not None and pixels.shape[2:] != tuple(sides):
        return False
    return labels is None or (labels.dtype == np.int64 and labels.shape == pixels.shape[:1])


def _read(path: Path, key: str):
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:  # a zip: every member carries a checksum
            if str(file["key"]) != key:
                return None
            return {name: file[name] for name in file.files if name != "key"}
    except Exception:  # a damaged file can fail in many ways; all mean: decode again
        return None


def _write(file, key: str, arrays: dict[str, np.ndarray]) -> None:
    np.savez(file, key=np.array(key), **arrays)
