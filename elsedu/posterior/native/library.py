"""The engine's shared library: found, or compiled at the first need, then called through its C interface.

A checkout keeps the library beside its sources, an installation in the user's cache folder; a wheel brings it
along. Without any compiler elsedu computes in PyTorch, and looks again for a compiler at the next call.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import sys
import threading
import time
from pathlib import Path

from elsedu._common.lock import one_writer
from elsedu.posterior.native import build

INTERFACE_VERSION = 1  # interface_version in interface.cpp
NOTE_SECONDS = 24 * 3600  # how long other processes believe a note that the compiler fails


class Job(ctypes.Structure):
    """What to compute: `Job` in shift.hpp, field by field. Arrays are addresses."""

    _fields_ = [
        ("dictionary", ctypes.c_void_p), ("queries", ctypes.c_void_p), ("images", ctypes.c_int64),
        ("batch", ctypes.c_int64), ("channels", ctypes.c_int), ("height", ctypes.c_int), ("width", ctypes.c_int),
        ("alpha", ctypes.c_void_p), ("sigma", ctypes.c_void_p), ("windows", ctypes.c_void_p),
        ("window_count", ctypes.c_int), ("equivariant", ctypes.c_bool), ("circular", ctypes.c_bool),
        ("interior", ctypes.c_bool), ("full", ctypes.c_bool), ("reach", ctypes.c_double),
    ]


class Request(ctypes.Structure):
    """A Job, how to compute it and where the answer goes: `Request` in interface.cpp, field by field."""

    _fields_ = [
        ("version", ctypes.c_int32), ("size", ctypes.c_int32), ("job", Job), ("isa", ctypes.c_char_p),
        ("threads", ctypes.c_int32), ("m", ctypes.c_void_p), ("sums", ctypes.c_void_p), ("source", ctypes.c_void_p),
        ("tied", ctypes.c_void_p),
    ]


def _layout():
    """Where ctypes puts each field, in the words of `elsedu_layout`."""
    places = {}
    for name, kind in Request._fields_:
        start = getattr(Request, name).offset
        if kind is Job:
            places |= {f"job.{inner}": start + getattr(Job, inner).offset for inner, _ in Job._fields_}
        else:
            places[name] = start
    return " ".join(f"{name}:{place}" for name, place in places.items()) + f" bytes:{ctypes.sizeof(Request)}"


class Library:
    """A loaded library. OSError if the file is none that belongs to this source."""

    def __init__(self, path: Path):
        self.path = path
        self._functions = functions = ctypes.CDLL(str(path))  # its calls release the interpreter's lock
        try:
            functions.elsedu_layout.restype = ctypes.c_char_p
            functions.elsedu_supports.argtypes = [ctypes.c_char_p]
            functions.elsedu_posterior.argtypes = [ctypes.POINTER(Request)]
            functions.elsedu_posterior.restype = ctypes.c_char_p
        except AttributeError as error:
            raise OSError(f"{path} is not elsedu's engine: {error}") from None
        there, here = functions.elsedu_layout().decode(), _layout()
        if there != here:
            raise OSError(f"{path} lays a request out as {there}, library.py as {here}")

    def supports(self, isa: str) -> bool:
        """Whether an instruction set (avx512, avx2, base) is built in and this processor has it."""
        return bool(self._functions.elsedu_supports(isa.encode()))

    def posterior(self, isa: str, threads: int, job: dict, m: int, sums: int, source: int, tied: int) -> None:
        """The sums over all patches; every array is the address of contiguous memory that outlives the call.

        Args:
            isa: The instruction set.
            threads: How many threads share the work.
            job: The fields of `Job` by name.
            m, sums, source, tied: Where the answer goes: float64, float64, int64 and uint8 arrays of shape
                (batch, windows, height, width), `sums` with one more axis for its terms (`Job::terms`).

        Raises:
            MemoryError: The work space does not fit.
            ValueError: The request is wrong, and nothing was computed.
        """
        request = Request(INTERFACE_VERSION, ctypes.sizeof(Request), Job(**job), isa.encode(), threads, m, sums, source,
                          tied)
        wrong = self._functions.elsedu_posterior(ctypes.byref(request))
        if wrong == b"out of memory":
            raise MemoryError("the C++ engine's work space does not fit into memory")
        if wrong:
            raise ValueError(f"the C++ engine refuses: {wrong.decode()}")


def _python():
    """How the user calls this Python."""
    here, folder = Path(sys.executable), Path.cwd()
    return str(here.relative_to(folder)) if here.is_relative_to(folder) else "python"


MEND = f"`{_python()} -m pip install ziglang` brings a compiler"

_lock = threading.Lock()
_loaded: Library | None = None
_failures: dict[str, str] = {}  # compiler -> what it said: never asked twice


def load(*, again: bool = False) -> Library:
    """The library, compiled now if it is not there and a compiler is.

    Args:
        again: Also ask a compiler again that has failed before.

    Raises:
        BuildError: It is not to be had; the message says why, and what would mend it.
    """
    global _loaded
    if _loaded is None:
        with _lock:
            if _loaded is None:
                _loaded = _find_or_build(again)
    return _loaded


def _find_or_build(again):
    name, unusable = build.library_name(), ""
    for path in (build.HERE / name, cache_folder() / name):
        if path.is_file():
            try:
                return Library(path)
            except OSError as error:
                unusable = f" ({error})"
    if os.environ.get("ELSEDU_NATIVE_BUILD") == "0":
        raise build.BuildError("it is not there, and ELSEDU_NATIVE_BUILD=0 forbids to compile it" + unusable)
    try:
        found = build.compilers()
    except build.BuildError as error:
        raise build.BuildError(f"{error}{unusable}; {MEND}") from None
    for compiler in found:
        key = f"{name} {compiler.identity()}"
        note = cache_folder() / f"failed-{hashlib.sha256(key.encode()).hexdigest()[:12]}.txt"
        if again:
            _failures.pop(key, None)
        elif key not in _failures:
            with contextlib.suppress(OSError):
                if abs(time.time() - note.stat().st_mtime) < NOTE_SECONDS:
                    _failures[key] = note.read_text(encoding="utf-8")
        if key in _failures:
            continue
        try:
            return _build(name, compiler)
        except build.BuildError as error:
            _failures[key] = str(error)
            with contextlib.suppress(OSError):
                note.parent.mkdir(parents=True, exist_ok=True)
                note.write_text(_failures[key], encoding="utf-8")
    said = [_failures[f"{name} {compiler.identity()}"] for compiler in found]
    mend = "" if any(compiler.is_zig for compiler in found) else f"; {MEND}"
    raise build.BuildError("; ".join(said) + mend)


def cache_folder() -> Path:
    """The folder for engines in the user's cache."""
    chosen = os.environ.get("ELSEDU_CACHE")
    if chosen:
        return Path(chosen).expanduser() / "engine"
    import pooch

    return Path(pooch.os_cache("elsedu")) / "engine"


def _build(name, compiler):
    """Compile into the first folder that can be written, one process at a time."""
    folders, problem = [build.HERE, cache_folder()], None
    if not (build.HERE.parents[2] / "pyproject.toml").is_file():
        folders.reverse()  # an installation, which stays as pip made it if possible
    for folder in folders:
        try:
            with _one_builder(folder):
                if not _loads(folder / name):  # another process may have built it meanwhile
                    if os.environ.get("ELSEDU_PROGRESS") != "0":
                        print(f"elsedu: compiling its C++ engine with {compiler.name}, once ...", file=sys.stderr,
                              flush=True)
                    build.compile_library(folder / name, compiler)
                    _remove_outdated(folder, name)
            return Library(folder / name)
        except OSError as error:
            problem = error
    raise build.BuildError(f"no folder to keep it in ({problem}); set ELSEDU_CACHE to one that can be written")


@contextlib.contextmanager
def _one_builder(folder):
    """`one_writer`, waiting for the process that is compiling; OSError if the folder cannot be written."""
    end = time.monotonic() + build.SECONDS
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(one_writer(folder, "engine"))
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        yield


def _loads(path):
    try:
        return bool(Library(path))
    except OSError:
        return False


def _remove_outdated(folder, name):
    """A checkout keeps one library; the user's cache may serve several versions of elsedu."""
    if folder == build.HERE:
        for other in folder.glob("engine-*"):
            if other.name != name:
                with contextlib.suppress(OSError):
                    other.unlink()
