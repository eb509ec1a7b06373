"""The C++ sources compiled to one shared library with a C interface.

shift.cpp is compiled once for each instruction set and the library chooses at run time, so what was built on
one machine runs on another. No Python headers are needed, and one library serves every Python. Only the standard
library is used here, and nothing of elsedu: setup.py loads this file by its path, before elsedu is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SOURCES = ("interface.cpp", "shift.cpp", "shift.hpp", "simd.hpp")
COMMON = ("-O3", "-std=c++17", "-fvisibility=hidden", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
          "-Wno-psabi")
X86 = {
    "avx512": ("-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"),
    "avx2": ("-mavx2", "-mfma"),
}
MACOS = "11.0"  # the oldest system that a library built on macOS runs on
SECONDS = 1200  # a compiler that takes longer hangs; ziglang compiles its own libraries first, for minutes


class BuildError(RuntimeError):
    """The library cannot be built here; the message says why in one line."""


class Compiler(NamedTuple):
    """A C++ compiler: the command that starts it, and a name for people."""

    command: tuple[str, ...]
    name: str

    @property
    def is_zig(self) -> bool:
        """Whether it is the one from the package index (ziglang)."""
        return self.command[1:2] == ("-m",)

    def identity(self) -> str:
        """What changes when another compiler takes this one's place."""
        try:
            state = os.stat(self.command[0])  # noqa: PTH116
        except OSError:
            return repr(self.command)
        return f"{self.command} {state.st_size} {state.st_mtime_ns}"


def machine() -> str:
    """The processor family to build for, such as x86_64 or arm64; on macOS a single one in ARCHFLAGS decides."""
    if sys.platform == "darwin":  # a universal2 Python says nothing of the processor it runs on
        asked = re.findall(r"-arch\s+(\w+)", os.environ.get("ARCHFLAGS", ""))
        if len(set(asked)) == 1:
            return asked[0]
    return {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())


def library_name() -> str:
    """The library's file name. It changes with the sources and the flags, so that an outdated one is never loaded."""
    digest = hashlib.sha256()
    for name in (*SOURCES, Path(__file__).name):
        digest.update(name.encode() + b"\0" + (HERE / name).read_bytes())
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    return f"engine-{digest.hexdigest()[:12]}-{sys.platform}-{machine()}{suffix}"


def compilers() -> list[Compiler]:
    """What can be tried, in this order: only what CXX names if it is set; c++, g++, clang++, ziglang if not.

    Raises:
        BuildError: There is none.
    """
    wanted = shlex.split(os.environ.get("CXX", ""))
    if wanted:
        path = shutil.which(wanted[0])
        if path is None:
            raise BuildError(f"there is no compiler {wanted[0]!r}, which the environment variable CXX names")
        return [Compiler((path, *wanted[1:]), Path(wanted[0]).name)]
    found = {}
    for name in ("c++", "g++", "clang++"):
        path = shutil.which(name)
        if path and not _is_a_stub(path):
            found.setdefault(Path(path).resolve(), Compiler((path,), name))
    if importlib.util.find_spec("ziglang"):  # a compiler from the package index
        found["ziglang"] = Compiler((sys.executable, "-m", "ziglang", "c++"), "ziglang")
    if found:
        return list(found.values())
    if shutil.which("cl"):
        raise BuildError("Microsoft's compiler cannot compile it (no vector types), and there is no other")
    raise BuildError("no C++ compiler was found")


def _is_a_stub(path):
    """Apple's /usr/bin/c++ without its developer tools: it would open a window that offers to install them."""
    if sys.platform != "darwin" or not path.startswith("/usr/bin/"):
        return False
    return subprocess.run(["xcode-select", "-p"], capture_output=True, check=False).returncode != 0


def compile_library(target: Path, compiler: Compiler, extra: tuple[str, ...] = ()) -> list[str]:
    """Build the library as the file `target`, whole or not at all.

    Args:
        target: Where it goes; its folder must be there.
        compiler: One of `compilers()`.
        extra: More flags, for compiling and linking (sanitizers).

    Returns:
        The instruction sets that are in it.

    Raises:
        BuildError: The compiler fails.
        OSError: The target's folder cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="elsedu-engine-") as folder:
        folder = Path(folder)
        common = [*COMMON, *_for_platform(compiler), *extra]
        common = _accepted(compiler, common, folder)
        variants = {"base": []}
        for isa, flags in X86.items() if machine() == "x86_64" else ():
            known = _accepted(compiler, list(flags), folder)
            if all(flag in known for flag in flags if not flag.startswith("-mprefer")):
                variants[isa] = known
        jobs = [("shift.cpp", f"shift-{isa}.o", [*common, *flags, f"-DELSEDU_ISA={isa}"])
                for isa, flags in variants.items()]
        jobs.append(("interface.cpp", "interface.o", [*common, *(f"-DELSEDU_HAS_{isa.upper()}" for isa in variants)]))
        with ThreadPoolExecutor(min(len(jobs), os.cpu_count() or 1)) as pool:
            list(pool.map(lambda job: _run(compiler, [*job[2], "-c", HERE / job[0], "-o", folder / job[1]]), jobs))
        objects = [folder / made for _, made, _ in jobs]
        linking = ["-static"] if sys.platform == "win32" else ["-pthread"]
        built = folder / target.name
        _run(compiler, ["-shared", *objects, "-o", built, *linking, *_for_linker(compiler), *extra])
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            shutil.copyfile(built, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    return list(variants)


def _for_platform(compiler):
    flags = [] if sys.platform == "win32" else ["-fPIC"]
    if compiler.is_zig:
        flags.append("-mcpu=baseline")  # it would build for this very processor
    if sys.platform == "darwin":
        flags += ["-arch", machine(), f"-mmacosx-version-min={MACOS}"]
    return flags


def _for_linker(compiler):
    return [flag for flag in _for_platform(compiler) if flag != "-fPIC"]


def _accepted(compiler, flags, folder):
    """Those of the flags that the compiler knows, found out on an empty file."""
    empty = folder / "empty.cpp"
    empty.touch()

    def works(some):
        return _start(compiler, [*some, "-Werror", "-c", empty, "-o", folder / "empty.o"]).returncode == 0

    if works(flags):
        return flags
    together = ["-arch", machine()] if "-arch" in flags else []  # a flag of two words
    return together + [flag for flag in flags if flag not in together and works([*together, flag])]


def _run(compiler, arguments):
    done = _start(compiler, arguments)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        first = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no message")
        raise BuildError(f"{compiler.name} failed: {first[:300]}")


def _start(compiler, arguments):
    try:
        return subprocess.run([*compiler.command, *map(str, arguments)], capture_output=True, text=True, check=False,
                              errors="replace", timeout=SECONDS, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{compiler.name} could not be run: {error}") from None
