"""Writing files so that an interruption never leaves half of one behind."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "shipped"  # data that come with the package: weights, scales, results


@contextlib.contextmanager
def whole_file(path):
    """A binary stream whose content appears at `path` at once or not at all (``with whole_file(path) as stream``).

    It is a temporary file beside it, renamed at the end. After an error (unwritable folder, full disk, an
    exception in the block) the old file is as it was and nothing else is left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~_umask())  # mkstemp makes private files
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say what it was too full for
        raise


def write_bytes(path, content):
    """Write `content` to `path` at once or not at all. Raises OSError with the old file untouched."""
    with whole_file(path) as stream:
        stream.write(content)


def write_text(path, content):
    """`write_bytes` for text, in UTF-8."""
    write_bytes(path, content.encode())


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
