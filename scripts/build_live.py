"""Builds what the living page needs, elsedu/live/dist: the WebAssembly module and the bundled scripts.

    python scripts/build_live.py            both, into elsedu/live/dist (committed: users need no compiler)
    python scripts/build_live.py wasm       the module alone, with ziglang's clang (a wheel; see constraints.txt)
    python scripts/build_live.py scripts    the scripts alone, with node and esbuild (`npm ci` in elsedu/live first)

tests/live/test_build.py builds them again and compares the bytes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIVE = ROOT / "elsedu" / "live"
# The version whose output is committed: another one may order instructions differently
ZIG = "0.17.1"
FLAGS = [
    "-target", "wasm32-wasi", "-mexec-model=reactor", "-mcpu=generic+simd128+bulk_memory",
    "-O3", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-s",
    # as in setup.py: additions may be reordered, errno and traps are nobody's
    "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast",
]  # fmt: skip


def wasm(path: Path) -> None:
    """Compile the kernel and its glue to `path`; wasi-libc, which zig brings, gives memory and exp2.

    Raises:
        RuntimeError: if another version of ziglang is installed than the one whose output is committed.
    """
    found = subprocess.run([sys.executable, "-m", "ziglang", "version"], capture_output=True, text=True)
    if found.stdout.strip() != ZIG:
        raise RuntimeError(f"ziglang {ZIG} is needed, got {found.stdout.strip() or found.stderr.strip()!r}")
    sources = ["elsedu/live/native/glue.cpp", "elsedu/live/native/whole.cpp", "elsedu/live/native/convolution.cpp",
               "elsedu/posterior/native/shift.cpp"]
    subprocess.run(
        [sys.executable, "-m", "ziglang", "c++", *FLAGS, "-DELSEDU_ISA=base", "-Ielsedu/posterior/native",
         "-o", str(path), *sources],
        cwd=ROOT, check=True,
    )  # fmt: skip
    path.chmod(0o644)


def tools() -> bool:
    """Whether node and the tools of elsedu/live/package.json are there."""
    return shutil.which("node") is not None and (LIVE / "node_modules" / "esbuild").is_dir()


def scripts(folder: Path) -> None:
    """Bundle the scripts into `folder`."""
    subprocess.run(["node", str(LIVE / "build.mjs"), str(folder)], check=True)


def check_types() -> None:
    """`tsc --checkJs` over all modules; raises CalledProcessError if it complains."""
    subprocess.run([str(LIVE / "node_modules" / ".bin" / "tsc"), "--project", str(LIVE / "src")], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("wasm", "scripts"))
    what = parser.parse_args().what
    if what != "scripts":
        wasm(LIVE / "dist" / "shift.wasm")
    if what != "wasm":
        check_types()
        scripts(LIVE / "dist")
