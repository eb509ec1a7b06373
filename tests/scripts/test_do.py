"""Setting up on a stranger's machine: what is missing is said in one line, and half an environment is made whole."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def do(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import do

    return do


def test_a_python_that_is_too_old(do, monkeypatch):
    monkeypatch.setattr(do.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(do.shutil, "which", lambda name: name if name == "python3.12" else None)
    with pytest.raises(SystemExit, match=r"3.11 or newer is needed, and this is 3.9; .*: make PYTHON=python3.12$"):
        do.check_python()
    monkeypatch.setattr(do.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"install a newer one and name it: make PYTHON=python3.12"):
        do.check_python()


def test_old_pythons_can_read_it():
    """Nothing newer than the grammar of Python 3.6, or they would answer with a SyntaxError."""
    import ast

    ast.parse((SCRIPTS / "do.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_without_the_venv_package(do, monkeypatch, tmp_path):
    monkeypatch.setattr(do.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=rf"cannot make environments: apt install python3.{sys.version_info[1]}-venv"):
        do.make_environment(tmp_path / "env")
    assert not (tmp_path / "env").exists()


def test_a_folder_of_something_else_is_left_alone(do, tmp_path):
    (tmp_path / "letters").write_text("mine")
    with pytest.raises(SystemExit, match="is no virtual environment; move it away"):
        do.make_environment(tmp_path)
    assert (tmp_path / "letters").read_text() == "mine"


def test_an_environment_that_cannot_be_made_leaves_nothing_behind(do, tmp_path, monkeypatch):
    """Half of one would look whole to the next call."""

    def failing(command, **options):
        Path(command[-1]).mkdir()
        return subprocess.CompletedProcess(command, 1, stdout="first\nError: no space\n")

    monkeypatch.setattr(do.subprocess, "run", failing)
    with pytest.raises(SystemExit, match="no virtual environment could be made: Error: no space"):
        do.make_environment(tmp_path / "env")
    assert not (tmp_path / "env").exists()


@pytest.mark.slow
def test_half_an_environment_is_made_anew(do, tmp_path, capfd):
    """What `python -m venv` leaves where ensurepip is missing: a Python without pip."""
    folder = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    do.make_environment(folder)
    assert "only half made" in capfd.readouterr().out
    subprocess.run([str(do.executable("python", folder)), "-m", "pip", "--version"], check=True)
    before = (folder / "pyvenv.cfg").stat().st_mtime_ns
    do.make_environment(folder)
    assert (folder / "pyvenv.cfg").stat().st_mtime_ns == before


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_make_without_python(tmp_path):
    done = subprocess.run(["make", "-f", str(SCRIPTS.parent / "Makefile"), "PYTHON=python3.99", "setup"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode and "there is no python3.99; another Python: make PYTHON=python3.12" in done.stderr


def test_every_target_of_make_is_a_command(do):
    lines = (SCRIPTS.parent / "Makefile").read_text(encoding="utf-8").splitlines()
    targets = next(line for line in lines if line.startswith(".PHONY:")).split()[1:]
    assert sorted(targets) == sorted(do.COMMANDS)


def test_lower_bounds(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import lowest

    pinned = lowest.lower_bounds((SCRIPTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert len(pinned) > 10 and all("==" in line for line in pinned)
    assert {line.split("==")[0] for line in pinned} >= {"torch", "numpy", "typer", "diffusers"}
    with pytest.raises(ValueError, match=r"'torch' in pyproject.toml has no lower"):
        lowest.lower_bounds('[project]\ndependencies=["torch"]\n[project.optional-dependencies]\ncli=[]\npretrained=[]')
