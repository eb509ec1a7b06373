"""Writing files so that an interruption never leaves half of one behind."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

SHIPPED = Path(__file__).parents[1] / "shipped"  # data that come with the package: weights, scales, results


@contextlib.contextmanager
def whole_file(path):
    """A binary stream whose content appears at `path` at once or not at all (``with whole_file(path) as stream``).

    It is a temporary file beside it, renamed at the end. After an error (unwritable folder, full disk, an
    exception in the block) the old file is as it was and nothing else is left. What a killed process left behind of
    the same file is removed by the next one that writes it. A link is followed: its target is what is replaced.
    """
    path = Path(path)
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no ordinary file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    collect(path)
    handle, temporary = _locked_temporary(path)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            Path(temporary).chmod(0o666 & ~_umask())  # mkstemp makes private files
            if fcntl is not None:
                Path(temporary).replace(path)  # still locked: nobody takes it for a leftover
        if fcntl is None:
            Path(temporary).replace(path)  # Windows renames no open file
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say what it was too full for
        raise


def _locked_temporary(path):
    """(descriptor, name) of a new temporary file that is locked while its process lives."""
    while True:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.", suffix=".part")
        if fcntl is None:
            return handle, temporary
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if Path(temporary).exists():  # not taken for a leftover before it was locked
            return handle, temporary
        os.close(handle)


def collect(path):
    """Remove what killed processes left of earlier attempts to write `path`; those that still run are left alone."""
    start, end = f".{path.name[:60]}.", ".part"
    with os.scandir(path.parent) as entries:
        found = [Path(e.path) for e in entries if e.name.startswith(start) and e.name.endswith(end)]
    for place in found:
        if len(place.name) != len(start) + 8 + len(end):  # of another file, whose name only begins alike
            continue
        with contextlib.suppress(OSError):
            if fcntl is None:
                place.unlink()  # Windows refuses while it is open
                continue
            handle = os.open(place, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                place.unlink()
            finally:
                os.close(handle)


def write_bytes(path, content):
    """Write `content` to `path` at once or not at all. Raises OSError with the old file untouched."""
    with whole_file(path) as stream:
        stream.write(content)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at any moment the old or the new content is there, whole. OSError names the path."""
    try:
        write_bytes(path, content)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}; an earlier file there is as it was") from error


def write_text(path: str | Path, content: str) -> None:
    """`write_bytes` for text, in UTF-8."""
    write_bytes(path, content.encode())


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
