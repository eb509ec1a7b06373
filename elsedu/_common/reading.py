"""Reading files that others wrote: what they unpack to is known or bounded before any memory is taken.

A compressed file of a few kilobytes can unpack to gigabytes, and a name in a folder can belong to a pipe or a device
that never ends. Each function here says how much it reads at most, and raises a ValueError that names the file.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import zlib
from pathlib import Path

LARGEST_JSON = 1 << 26


def check_regular(path) -> int:
    """The size in bytes of an ordinary file. ValueError for a pipe, a device, a socket; OSError if there is none."""
    state = os.stat(path)  # noqa: PTH116 (called for every one of 200,000 pictures)
    if not stat.S_ISREG(state.st_mode):
        raise ValueError(f"{path} is no ordinary file")
    return state.st_size


def read_file(path, limit: int, least: int = 0) -> bytes:
    """The content of an ordinary file of at most `limit` bytes."""
    size = check_regular(path)
    if size > limit:
        raise ValueError(f"{path} has {size:,} bytes, at most {limit:,} are read")
    return Path(path).read_bytes()


def read_text(path, limit: int = LARGEST_JSON) -> str:
    """The text of an ordinary UTF-8 file of at most `limit` bytes."""
    try:
        return read_file(path, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text ({error})") from error


def parse_json(text: str | bytes):
    """The value of a JSON text. ValueError for text that is none, also where it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


class Unpacked(io.RawIOBase):
    """The unpacked content of a gzip file as a stream of at most `limit` bytes; ValueError beyond, or if damaged."""

    def __init__(self, path, limit: int):
        check_regular(path)
        self.path, self.limit, self.count = path, limit, 0
        self.stream = gzip.open(path)

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; all that is left if negative."""
        left = self.limit - self.count + 1
        try:
            content = self.stream.read(left if size < 0 else min(size, left))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{self.path} is truncated or not a gzip file: {error}") from error
        self.count += len(content)
        if self.count > self.limit:
            raise ValueError(f"{self.path} unpacks to more than {self.limit:,} bytes")
        return content

    def close(self):
        """Close the file."""
        self.stream.close()
        super().close()
