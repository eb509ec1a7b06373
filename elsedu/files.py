"""Writing files so that an interruption never leaves half of one behind."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_bytes(path, content):
    """Write `content` to `path` at once or not at all: a temporary file beside it, then a rename.

    Raises OSError (unwritable folder, full disk) with the old file untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~_umask())  # mkstemp makes private files
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path, content):
    """`write_bytes` for text, in UTF-8."""
    write_bytes(path, content.encode())


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
