"""Run every notebook as Colab would: its versions, elsedu from a wheel, no checkout (`make colab`).

Uses the newest of python3.13, python3.12 and this Python for which torch can be installed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv-colab"
VERSIONS = ROOT / "scripts/colab.txt"


def run(*command, **options):
    """Run a command; stop with its code if it fails."""
    print("+", *command, flush=True)
    done = subprocess.run([str(part) for part in command], check=False, **options)
    if done.returncode:
        sys.exit(done.returncode)


def torch_pin():
    """The version of torch that was tested."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="such as python3.13, with enough disk for its torch")
    parser.add_argument("notebooks", nargs="*", help="by default all")
    args = parser.parse_args()
    python = VENV / "bin/python"
    if not python.exists():
        run(args.python, "-m", "venv", VENV)
    tools = ["nbval>=0.11", "pytest>=8", "jupyter_client<9"]
    run(python, "-m", "pip", "install", "-q", "-r", VERSIONS, torch_pin(), *tools)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder / "wheel", ROOT)
        wheel = next((folder / "wheel").glob("elsedu-*.whl"))
        run(python, "-m", "pip", "install", "-q", "--force-reinstall", "--no-deps", wheel)
        run(python, "-m", "pip", "install", "-q", "-c", VERSIONS, wheel)
        shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("_*", "conftest.py"))
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --nbval-cell-timeout=300 --nbval-current-env\n")
        environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "ELSEDU_BOOK"}}
        environment["ELSEDU_PROGRESS"] = "0"
        chosen = args.notebooks or sorted(str(p.relative_to(folder)) for p in folder.rglob("*.ipynb"))
        sanitize = ROOT / "tests/nbval_sanitize.cfg"
        run(python, "-m", "pytest", "--nbval", f"--nbval-sanitize-with={sanitize}", "--durations=10", *chosen,
            cwd=folder, env=environment)  # fmt: skip


if __name__ == "__main__":
    main()
