"""One writer at a time: a lock on a place that ends with the process that holds it, however that process ends.

Two runs that write to one folder would each believe the other's half-finished files to be their own. The operating
system keeps the lock (flock, or its counterpart on Windows), not the presence of a file, so that a killed run leaves
nothing behind that would have to be removed by hand.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

_held: dict[str, list] = {}  # lock file -> [descriptor, how often this process took it]
_guard = threading.Lock()
FAR = 1 << 20  # Windows locks bytes: one that nobody reads, so that the holder's number stays readable


@contextlib.contextmanager
def one_writer(folder, name="", wait=0.0):
    """Hold a folder, or only the files called `name` in it, for this process while the block runs.

    The same process may take it again. Where the file system knows no locks the block runs without one.

    Args:
        folder: Where files are going to be written; made if it is not there.
        name: The stem of the files, where others may write beside them.
        wait: For how many seconds to try, where the other one will soon be done.

    Raises:
        BlockingIOError: If another process holds it, before anything is written.
        OSError: If the folder cannot be made or written to.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"cannot write to {place}: {error.strerror or error}") from error
    path = place.resolve() / f".{name}.lock" if name else place.resolve() / ".lock"
    until = time.monotonic() + wait
    while True:
        try:
            _take(path, place / name if name else place)
            break
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.05)
    try:
        yield
    finally:
        _leave(path)


def _take(path: Path, what: Path):
    with _guard:
        known = _held.get(str(path))
        if known is not None:
            known[1] += 1
            return
        while True:
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            except OSError as error:
                raise OSError(f"cannot write to {path.parent}: {error.strerror or error}") from error
            try:
                _lock(handle)
            except OSError as error:
                holder = _holder(handle)
                os.close(handle)
                if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK):
                    return  # a file system without locks
                raise BlockingIOError(
                    f"another process{holder} is writing to {what}: wait for it to end, or use "
                    "another place; nothing was written"
                ) from None
            # Whoever held it before may have removed the file between our opening it and our locking it.
            if fcntl is None or _is_there(handle, path):
                break
            os.close(handle)
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        _held[str(path)] = [handle, 1]


def _leave(path: Path):
    with _guard:
        known = _held.get(str(path))
        if known is None:
            return
        known[1] -= 1
        if known[1]:
            return
        del _held[str(path)]
        if fcntl is not None:
            path.unlink(missing_ok=True)  # still locked: nobody can have taken it
        os.close(known[0])
        if fcntl is None:
            with contextlib.suppress(OSError):
                path.unlink()


def _lock(handle):
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        os.lseek(handle, FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)


def _is_there(handle, path):
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False


def _holder(handle):
    with contextlib.suppress(OSError):
        os.lseek(handle, 0, os.SEEK_SET)
        number = os.read(handle, 20).decode("ascii", "replace")
        if number.isdigit():
            return f" ({number})"
    return ""
