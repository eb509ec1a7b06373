"""Run the core tests with the oldest versions that pyproject.toml promises (`make lowest`).

A fresh environment in .venv-lowest gets exactly the lower bound of every dependency of the package and of its
command line; what those need in turn is as pip chooses it. Tools (pytest, hypothesis) are new ones.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from do import CORE, ROOT, executable, make_environment, run

FOLDER = ROOT / ".venv-lowest"
TOOLS = ("pytest>=8", "hypothesis>=6.90", "nbval>=0.11")
EXTRAS = ("cli", "pretrained")
# Of the time of the oldest versions: what later releases of packages that they need have broken.
ALONG = ("setuptools<81",)


def lower_bounds(text):
    """["torch==2.2", ...] for the package and the extras above.

    Raises:
        ValueError: A requirement has no lower bound.
    """
    project, pinned = tomllib.loads(text)["project"], []
    for requirement in project["dependencies"] + [r for e in EXTRAS for r in project["optional-dependencies"][e]]:
        found = re.match(r"([\w.-]+)\s*>=\s*([\w.]+)", requirement)
        if not found:
            raise ValueError(f"{requirement!r} in pyproject.toml has no lower bound (name>=version)")
        pinned.append(f"{found[1]}=={found[2]}")
    return pinned


def main():
    """Install, say what was installed, test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="use .venv-lowest as it is")
    parser.add_argument("--with", dest="instead", action="append", default=[], metavar="NAME==VERSION",
                        help="this version instead of the lower bound (to look for a new one)")
    args, tests = parser.parse_known_args()  # the rest goes to pytest; by default the core tests
    pinned = {line.split("==")[0]: line for line in lower_bounds((ROOT / "pyproject.toml").read_text(encoding="utf-8"))}
    pinned |= {line.split("==")[0]: line for line in args.instead}
    make_environment(FOLDER, fresh=not args.keep)
    python = executable("python", FOLDER)
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *pinned.values(), *ALONG, *TOOLS)
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "-e", ROOT)
    names = "|".join(map(re.escape, pinned))
    listed = subprocess.run([str(python), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
                            capture_output=True, text=True, check=True).stdout
    print("\n".join(re.findall(rf"(?mi)^(?:{names})==.*$", listed)), flush=True)
    run(python, "-m", "pytest", "-q", *(tests or CORE))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
