"""Set up, build and test with Python alone (make calls this too): `python scripts/do.py book`.

Every command but clean first sees that .venv is there and holds what requirements.txt asks for.
"""
# Old Pythons must be able to read this file, or they could not say that they are too old.

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
READY = VENV / "ready"
REQUIREMENTS = ["requirements.txt", "constraints.txt", "pyproject.toml", "setup.py"]
WORDS = ["README.md", "CHANGELOG.md", "book", "elsedu", "studies", "tests", "scripts", "benchmarks"]
NO_WORDS = "*/node_modules/*,*.js,*.svg,*.woff*,*.ttf,*OFL.txt,*.safetensors,*.json,*.npz,*/golden/*"
LAWS = ["tests/test_laws.py", "tests/test_golden.py", "tests/machines"]
CORE = [*LAWS, "tests/posterior", "tests/diffusion", "tests/scales", "tests/data", "tests/networks", "tests/analysis",
        "tests/cli", "-m", "not slow and not browser and not network and not gpu"]


def stop(message):
    """End with one line."""
    sys.exit("elsedu: " + message)


def executable(name, folder=VENV):
    """A program of the environment."""
    return folder / ("Scripts" if os.name == "nt" else "bin") / (name + (".exe" if os.name == "nt" else ""))


def run(*command):
    """Run a command in the checkout; if it fails, stop with its exit status."""
    environment = dict(os.environ, ELSEDU_PROGRESS="0")
    try:
        done = subprocess.run([str(part) for part in command], cwd=str(ROOT), env=environment, check=False)
    except KeyboardInterrupt:
        sys.exit(130)
    if done.returncode:
        sys.exit(done.returncode)


def check_python():
    """The Python that runs this file must be able to make the environment."""
    if sys.version_info < (3, 11):  # noqa: UP036
        newer = [name for name in (f"python3.{minor}" for minor in range(20, 10, -1)) if shutil.which(name)]
        advice = f"there is a newer one: make PYTHON={newer[0]}" if newer else (
            "install a newer one and name it: make PYTHON=python3.12")
        stop(f"Python 3.11 or newer is needed, and this is {sys.version_info[0]}.{sys.version_info[1]}; {advice}")
    if importlib.util.find_spec("ensurepip") is None:  # Debian and Ubuntu have it in a package of its own
        stop(f"this Python cannot make environments: apt install python3.{sys.version_info[1]}-venv")


def make_environment(folder, fresh=False):
    """A virtual environment with a pip that works, anew if there is only half of one."""
    check_python()
    if folder.exists() and not fresh:
        python = executable("python", folder)
        if python.exists() and subprocess.run([str(python), "-m", "pip", "--version"], stdout=subprocess.DEVNULL,
                                              stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return
        print(f"elsedu: {folder.name} is only half made (or its Python is gone); it is made anew", flush=True)
    if folder.exists():
        if any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists() and not (folder / "bin").exists():
            stop(f"{folder} is no virtual environment; move it away")
        shutil.rmtree(str(folder))
    done = subprocess.run([sys.executable, "-m", "venv", str(folder)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, check=False)  # noqa: UP021 (old Pythons)
    if done.returncode:
        shutil.rmtree(str(folder), ignore_errors=True)
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        stop("no virtual environment could be made: " + (lines[-1] if lines else "venv failed without a word"))


def setup(say=True):
    """.venv with everything in it; nothing is done if it is up to date."""
    changed = max((ROOT / name).stat().st_mtime for name in REQUIREMENTS)
    if not (READY.exists() and READY.stat().st_mtime >= changed and executable("python").exists()):
        make_environment(VENV)
        run(executable("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c",
            "constraints.txt", "-r", "requirements.txt")
        READY.touch()
        say = True
    if say:
        run(executable("python"), "-m", "elsedu.posterior.native")


def book():
    """The book in _build/html, from an empty folder: what an interrupted build left behind must not disturb."""
    for name in ("html", ".doctrees"):
        shutil.rmtree(str(ROOT / "_build" / name), ignore_errors=True)
    run(executable("jupyter-book"), "build", ".", "-W", "--keep-going")
    print("The book is in _build/html/index.html")


def lint():
    """Rules, types (of the folders that pyproject.toml lists) and spelling."""
    run(executable("ruff"), "check", ".")
    run(executable("mypy"))
    run(executable("codespell"), "--skip", NO_WORDS, *[name for name in WORDS if (ROOT / name).exists()])


COMMANDS = {
    "setup": "make .venv, and say which engine computes",
    "book": "build the book into _build/html",
    "test": "check and test everything, every notebook too",
    "check": "rules, types, spelling and the laws: some minutes",
    "core": "the tests of the package, without notebooks and browser",
    "preview": "the book with the cache of executed notebooks: quick, but blind to changes in elsedu/",
    "links": "are the addresses that the book cites still there? Needs the internet",
    "colab": "every notebook with the versions that Colab has, elsedu from a wheel, away from this checkout",
    "lowest": "the core tests with the oldest versions that pyproject.toml promises, in .venv-lowest",
    "sanitize": "the C++ engine under address and undefined-behaviour sanitizers",
    "clean": "remove what was built; --all: also the environments",
}


def main():
    """Read the command and run it; what follows it goes to pytest, or to the script behind it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="\n".join(f"{name:9} {what}" for name, what in COMMANDS.items()))
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    args, more = parser.parse_known_args()
    if args.command == "clean":
        built = ["_build", "build", "*.egg-info", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis"]
        for pattern in built + ([".venv", ".venv-colab", ".venv-lowest"] if "--all" in more else []):
            for folder in ROOT.glob(pattern):
                shutil.rmtree(str(folder))
        for left in (ROOT / "elsedu/posterior/native").glob("*engine*"):
            left.unlink()
        return
    if args.command == "lowest":
        check_python()
        run(sys.executable, ROOT / "scripts/lowest.py", *more)
        return
    setup(say=args.command == "setup")
    python = executable("python")
    if args.command == "book":
        book()
    elif args.command == "test":
        lint()
        run(python, "-m", "pytest", "--nbval", *more)
    elif args.command == "check":
        lint()
        run(python, "-m", "pytest", "-q", *LAWS, *more)
    elif args.command == "core":
        run(python, "-m", "pytest", "-q", *CORE, *more)
    elif args.command != "setup":
        run(python, ROOT / "scripts" / (args.command + ".py"), *more)


if __name__ == "__main__":
    main()
