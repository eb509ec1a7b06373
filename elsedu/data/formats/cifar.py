"""CIFAR-10: the python batches and the binary version, as a folder or as the official archive.

The python batches are pickles, and a pickle can run any code when Python loads it. So they are not unpickled: their
containers, labels and pixels are read as data (see `plain_pickle`), and a batch that holds anything else is refused.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from elsedu._common.reading import Unpacked, read_file

from . import plain_pickle

PYTHON, BINARY = "cifar-10-batches-py", "cifar-10-batches-bin"
ARCHIVES = {"cifar-10-python.tar.gz": PYTHON, "cifar-10-binary.tar.gz": BINARY, f"{BINARY}.tar.gz": BINARY}
LARGEST_FILE = 1 << 28  # bytes; an official batch has 31 million
LARGEST_ARCHIVE = 1 << 29  # unpacked; the official ones have 186 million
BLOCK = 512  # of a tar archive
FILES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}


def find(folder: Path, split: str) -> list[Path] | None:
    """The batch files of a split, or the archive that holds them, or None if there are none."""
    for kind, suffix in ((PYTHON, ""), (BINARY, ".bin")):
        batches = [folder / kind / f"{name}{suffix}" for name in FILES[split]]
        if all(path.is_file() for path in batches):
            return batches
        for archive, content in ARCHIVES.items():
            if content == kind and (folder / archive).is_file():
                return [folder / archive]
    return None


def looked_for(split: str) -> str:
    """What `find` looks for, in words."""
    first, last = FILES[split][0], FILES[split][-1]
    files = first if first == last else f"{first} .. {last[-1]}"
    return f"{PYTHON}/ ({files}), {BINARY}/ ({files}, .bin), or {', '.join(ARCHIVES)}"


def read(paths: list[Path], split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read what `find` found: uint8 (N, 3, 32, 32) and int64 (N,).

    Raises ValueError naming the file if one is truncated, holds something else, or is a pickle of
    anything but plain containers and numpy arrays of bytes or integers.
    """
    batches = []
    for path, content in _contents(paths, split):
        batches.append(_read_binary(content, path) if path.endswith(".bin") else _read_pickle(content, path))
    pixels, labels = (np.concatenate(part) for part in zip(*batches))
    return pixels.reshape(-1, 3, 32, 32), labels


def _contents(paths: list[Path], split: str):
    """Yield (name, bytes) of every batch, in order."""
    if paths[0].name not in ARCHIVES:
        for path in paths:
            yield str(path), read_file(path, LARGEST_FILE)
        return
    archive, folder = paths[0], ARCHIVES[paths[0].name]
    suffix = ".bin" if folder == BINARY else ""
    wanted = [f"{folder}/{name}{suffix}" for name in FILES[split]]
    found = {}
    try:
        # One pass, nothing is unpacked to the disk; read to the end, where gzip keeps its own checksum.
        with Unpacked(archive, LARGEST_ARCHIVE) as stream:
            for name, size in _members(stream):
                if name not in wanted:
                    _skip(stream, size + -size % BLOCK)
                elif name in found:
                    raise ValueError(f"it holds {name} twice")
                elif size > LARGEST_FILE:
                    raise ValueError(f"{name} has {size:,} bytes, at most {LARGEST_FILE:,} are read")
                else:
                    found[name] = _exactly(stream, size)
                    _skip(stream, -size % BLOCK)
            while stream.read(1 << 20):
                pass
    except ValueError as error:
        text = str(error).removeprefix(f"{archive} ")
        raise ValueError(f"{archive} is damaged, truncated or not a .tar.gz archive: {text}") from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ValueError(f"{archive} does not hold {', '.join(missing)}")
    for name in wanted:
        yield f"{archive}:{name}", found[name]


def _members(stream):
    """(name, size) of every ordinary file in a tar stream; whoever asks for the next has read (or skipped) the last.

    Python's tarfile believes what a header says about sparse files and about its own length, and takes the memory for
    it. The batches need none of this: their names fit into the plain header of any kind of tar.
    """
    while True:
        header = _exactly(stream, BLOCK)
        if not header.strip(b"\0"):
            return
        if _octal(header[148:156]) != sum(header[:148]) + sum(b" " * 8) + sum(header[156:]):
            raise ValueError("a header without its checksum")
        size, kind = _octal(header[124:136]), header[156:157]
        if kind in (b"0", b"\0"):
            prefix = header[345:500] if header[257:263] == b"ustar\0" else b""
            parts = [part.split(b"\0")[0].decode("utf-8", "replace") for part in (prefix, header[:100])]
            yield "/".join(part for part in parts if part).removeprefix("./"), size
        else:
            _skip(stream, size + -size % BLOCK)  # folders, links, notes about the next member


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits.isdigit() or digits.strip(b"01234567"):
        raise ValueError(f"a header with the number {field!r}")
    return int(digits, 8)


def _exactly(stream, count: int) -> bytes:
    parts, left = [], count
    while left and (part := stream.read(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if left:
        raise ValueError(f"it ends {left:,} bytes too early")
    return b"".join(parts)


def _skip(stream, count: int):
    while count and (part := stream.read(min(count, 1 << 20))):
        count -= len(part)
    if count:
        raise ValueError(f"it ends {count:,} bytes too early")


def _read_binary(content: bytes, path: str):
    """One byte of label and 3,072 of pixels (red, green, blue planes) for each image."""
    if not content or len(content) % 3073:
        raise ValueError(f"{path} is truncated: {len(content):,} bytes are no multiple of 3,073 (a record)")
    records = np.frombuffer(content, np.uint8).reshape(-1, 3073)
    return _check(records[:, 1:], records[:, 0], path)


def _read_pickle(content: bytes, path: str):
    try:
        batch = plain_pickle.loads(content)
    except (ValueError, MemoryError) as error:
        raise ValueError(f"{path} is truncated or not a CIFAR-10 batch: {error}") from error
    if not isinstance(batch, dict):
        raise ValueError(f"{path} is not a CIFAR-10 batch: expected a dict, got {type(batch).__name__}")
    entries = {}
    for key, value in batch.items():
        name = key.decode("latin-1") if isinstance(key, bytes) else key
        if name in entries:
            raise ValueError(f"{path} is not a CIFAR-10 batch: it holds {name[:60]!r} twice")
        entries[name] = value
    if "data" not in entries or "labels" not in entries:
        raise ValueError(f"{path} is not a CIFAR-10 batch: it holds {str(list(entries))[:200]}, not data and labels")
    return _check(_pixels(entries["data"], path), _labels(entries["labels"], path), path)


def _pixels(data, path: str) -> np.ndarray:
    if not isinstance(data, plain_pickle.Array):
        raise ValueError(f"{path}: data must be uint8 of shape (N, 3072), got {type(data).__name__}")
    try:
        pixels = data.to_numpy()
    except ValueError as error:
        raise ValueError(f"{path}: data must be uint8 of shape (N, 3072): {error}") from error
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (3072,):
        raise ValueError(f"{path}: data must be uint8 of shape (N, 3072), got {data.describe()}")
    return pixels


def _labels(labels, path: str) -> np.ndarray:
    if isinstance(labels, plain_pickle.Array):
        try:
            return labels.to_numpy()
        except ValueError as error:
            raise ValueError(f"{path}: labels must be integers 0..9: {error}") from error
    # Looked at one by one: a list that holds itself, or lists in lists, would never end in numpy.
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError(f"{path}: labels must be a list of integers 0..9")
    if labels and not 0 <= min(labels) <= max(labels) <= 9:
        raise ValueError(f"{path} holds labels {min(labels)}..{max(labels)}, expected 0..9")
    return np.array(labels, np.int64)


def _check(pixels: np.ndarray, labels: np.ndarray, path: str):
    if labels.shape != (len(pixels),) or labels.dtype.kind not in "iu":
        raise ValueError(f"{path}: {len(pixels)} images need as many integer labels, got {labels.dtype} {labels.shape}")
    if len(labels) and not 0 <= labels.min() <= labels.max() <= 9:
        raise ValueError(f"{path} holds labels {labels.min()}..{labels.max()}, expected 0..9")
    return pixels, labels.astype(np.int64)
