"""The C++ engine under sanitizers: random requests, every instruction set, several threads (`make sanitize`).

Address and undefined-behaviour sanitizers by default; `python scripts/do.py sanitize --threads` is the thread
sanitizer. The program is C++ alone (tests/posterior/fuzz.cpp), so that nothing of Python's is reported.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "elsedu/posterior/native"))

import build  # noqa: E402

CHECKS = {False: "address,undefined", True: "thread"}


def main():
    """Compile, run, say how many requests were tried; exit status 1 at the first finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", action="store_true", help="the thread sanitizer instead")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    compiler = build.compilers()[0]
    checks = CHECKS[args.threads]
    flags = [*(flag for flag in build.COMMON if flag != "-O3"), "-O1", "-g", f"-fsanitize={checks}",
             "-fno-sanitize-recover=all", f"-I{build.HERE}"]
    variants = {"base": ()} | (build.X86 if build.machine() == "x86_64" else {})
    with tempfile.TemporaryDirectory() as folder:
        jobs = {f"{isa}.o": [build.HERE / "shift.cpp", *extra, f"-DELSEDU_ISA={isa}"]
                for isa, extra in variants.items()}
        jobs["fuzz.o"] = [ROOT / "tests/posterior/fuzz.cpp", *(f"-DELSEDU_HAS_{isa.upper()}" for isa in variants)]

        def compiled(name):
            command = [*compiler.command, *flags, "-c", *jobs[name], "-o", f"{folder}/{name}"]
            return subprocess.run(command, check=True)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compiled, jobs))
        objects = [f"{folder}/{name}" for name in jobs]
        linked = [*compiler.command, f"-fsanitize={checks}", *objects, "-o", f"{folder}/fuzz", "-pthread"]
        subprocess.run(linked, check=True)
        done = subprocess.run([f"{folder}/fuzz", str(args.requests), str(args.seed)], check=False)
    print(f"{checks}: {'nothing found' if done.returncode == 0 else 'see above'}")
    return int(done.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
