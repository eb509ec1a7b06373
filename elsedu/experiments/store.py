"""Long work in pieces that survive an interruption (chapter "Prediction").

Each finished piece is a file, written at once or not at all, with the settings it was computed under in
its header. A run that was killed skips the finished pieces; a run under other settings refuses to mix.
Of several processes (`elsedu.distributed`) the first alone reads and writes, and tells the others what it has.
"""

from __future__ import annotations

import contextlib
import json
import time
import weakref
from pathlib import Path

from elsedu._common import processes
from elsedu._common.files import write_bytes
from elsedu._common.lock import one_writer
from elsedu._common.reading import parse_json
from elsedu._common.records import check_writable, read_json, settings_hash, write_json
from elsedu._common.tensors import HASH, read, to_bytes


class OutOfTime(Exception):
    """The time is over; what is finished is kept."""


def check_time_left(deadline):
    """OutOfTime if `time.monotonic()` is past the deadline (None: there is none)."""
    if deadline is not None and time.monotonic() >= deadline:
        raise OutOfTime("the time is over; finished pieces are kept, and the same call goes on")


class ResultStore:
    """A folder of pieces computed under one set of settings; `folder=None` keeps nothing.

    Until it is closed (``with ResultStore(...)``) no other process can open the same folder (`elsedu._common.lock`).

    Args:
        folder: Where the pieces are.
        settings: Dict that JSON can hold: everything that decides the numbers.
        deadline: `time.monotonic()` after which no new piece is begun (`OutOfTime`).

    Raises:
        OSError: Before any work, if the folder cannot be written or another process writes to it.
        ValueError: If it holds pieces of other settings.
    """

    def __init__(self, folder, settings, deadline=None):
        self.folder = None if folder is None else Path(folder)
        self.settings = json.loads(json.dumps(settings))
        self.hash = settings_hash(self.settings)
        self.seconds, self.deadline = 0.0, deadline
        self.close = lambda: None  # gives the folder back to other processes
        if self.folder is not None:
            processes.on_main_process(self._open)

    def _open(self):
        check_writable(self.folder)
        held = contextlib.ExitStack()
        held.enter_context(one_writer(self.folder))
        try:
            self._note()
        except BaseException:
            held.close()
            raise
        self.close = weakref.finalize(self, held.close)  # given back with this object, or with the process

    def _note(self):
        note = check_writable(self.folder) / "settings.json"
        if note.exists():
            self._same(note, read_json(note))
        else:
            write_json(note, self.settings)

    def _same(self, path, before):
        if before != self.settings:
            raise ValueError(f"{path} was computed under other settings: {difference(before, self.settings)}. Results "
                             "of different settings are not mixed: use another folder, or remove this one")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def part(self, name, extra):
        """A store in a folder inside this one, under these settings and `extra` ones (which may come later)."""
        folder = None if self.folder is None else self.folder / name
        return ResultStore(folder, {**self.settings, **extra}, self.deadline)

    def path(self, name):
        return Path(self.folder) / f"{name}.safetensors"

    def get(self, name, compute):
        """The piece `name`, a dict of tensors: read if it is there, otherwise `compute()` and kept.

        Raises ValueError for a piece of other settings or a damaged one; nothing is overwritten.
        """
        found = processes.on_main_process(lambda: self._find(name))
        if found is None:
            start = time.perf_counter()
            tensors = {key: value.detach().cpu().contiguous() for key, value in compute().items()}
            seconds = time.perf_counter() - start
            found = processes.on_main_process(lambda: self._keep(name, tensors, seconds))
        self.seconds += found[1]
        return found[0]

    def _find(self, name):
        found = self._read(name)
        if found is None:
            check_time_left(self.deadline)
        return found

    def _keep(self, name, tensors, seconds):
        if self.folder is not None:
            header = {"settings": json.dumps(self.settings), "seconds": f"{seconds:.3f}", "piece": name}
            write_bytes(self.path(name), to_bytes(tensors, header))
        return tensors, seconds

    def _read(self, name):
        """(tensors, seconds) of a finished piece, None if there is none."""
        if self.folder is None or not self.path(name).exists():
            return None
        path = self.path(name)
        try:
            header, tensors = read(path, frozenset({"settings", "seconds"}))  # the first had no hash
            settings, seconds = parse_json(header.get("settings", "null")), float(header.get("seconds", "nan"))
            if not isinstance(settings, dict) or not seconds >= 0:
                raise ValueError("its header does not say how it was computed")
            if HASH in header and header.get("piece") != name:
                raise ValueError(f"it is the piece {header.get('piece')!r} under another name")
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} is damaged ({error}); remove it to compute it again") from error
        self._same(path, settings)
        return tensors, seconds


def difference(before, now):
    """The entries in which two settings differ, in words."""
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    return "; ".join(f"{key} is {_short(before.get(key))} there, {_short(now.get(key))} here" for key in keys)


def _short(value, length=60):
    text = json.dumps(value)
    return text if len(text) <= length else text[:length] + "..."


def batches(index, size):
    """Cut a list of seeds into [(name, seeds)]; the borders depend on `size` alone, so that runs agree."""
    if size < 1:
        raise ValueError(f"batch must be at least 1, got {size}")
    parts = [index[start:start + size] for start in range(0, len(index), size)]
    return [(f"{part[0]:05d}-{part[-1]:05d}", part) for part in parts]
