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
    settings: str, files: list[str | Path], decode: Callable[[], tuple[np.ndarray, np.ndarray | None]]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return decode(), (pixels, labels), from the cache if it is there, whole, and newer than the files.

    settings names what is decoded, e.g. "mnist-train-32"; there is one cache file for each settings
    and place of the source (the first of the absolute paths `files`). A damaged or outdated cache file is
    replaced. A cache that cannot be written costs only a warning: the decoded images are returned.
    """
    key = fingerprint(files)
    place = hashlib.sha256(str(files[0]).encode()).hexdigest()[:12]
    path = cache_folder() / "decoded" / f"{settings}-{place}.npz"
    kept = _read(path, key)
    if kept is not None:
        return kept
    pixels, labels = decode()
    try:
        _write(path, key, pixels, labels)
    except OSError as error:
        warnings.warn(
            f"decoded images could not be kept in {path} ({error}); they are loaded all the same, and "
            "decoded again next time. ELSEDU_CACHE names another folder.",
            UserWarning,
            stacklevel=4,
        )
    return pixels, labels


def _read(path: Path, key: str):
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:  # a zip: every member carries a checksum
            if str(file["key"]) != key:
                return None
            pixels = file["pixels"]
            labels = file["labels"] if "labels" in file.files else None
    except Exception:  # a damaged file can fail in many ways; all mean: decode again
        return None
    return pixels, labels


def _write(path: Path, key: str, pixels: np.ndarray, labels: np.ndarray | None) -> None:
    arrays = {"key": np.array(key), "pixels": pixels} | ({} if labels is None else {"labels": labels})
    with whole_file(path) as file:
        np.savez(file, **arrays)
