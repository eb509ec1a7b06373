"""`elsedu doctor`: it finds a backend that computes wrongly, says what is missing, and needs no typer."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from pretended_gpu import pretended_gpu

import elsedu
from elsedu.cli import doctor
from elsedu.posterior.backends import native
from elsedu.posterior.native import build, library

ROOT = Path(__file__).parents[2]
TORCH = metadata.version("torch")  # torch.__version__ of a CUDA build has a suffix that the package lacks


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(doctor, "seconds_of", lambda *_: 0.1)


def test_it_says_what_is_there(capsys):
    doctor.doctor()
    said = capsys.readouterr().out
    for words in (f"elsedu {elsedu.__version__}", f"torch {TORCH}", "definition cpu", "torch      cpu",
                  "here: digits, mnist5k", "ELSEDU_DATA", "in words"):
        assert words in said, words
    assert "WRONG" not in said
    assert str(Path.home()) not in said or len(str(Path.home())) < 3


@pytest.mark.parametrize("backend", ["definition", "torch", "native"])
def test_every_backend_agrees(backend):
    if not elsedu.posterior.backends()[backend][0]:
        pytest.skip("not here")
    assert doctor.error_of(backend)[0] < (1e-12 if backend == "definition" else 1e-5)


def test_a_backend_that_computes_wrongly_is_named(monkeypatch, capsys):
    """The sums of one kind of machine are off by a thousandth."""
    right = doctor.error_of
    monkeypatch.setattr(doctor, "error_of", lambda name, device: (1e-3, 2) if name == "torch" else right(name, device))
    with pytest.raises(SystemExit) as stopped:
        doctor.doctor()
    assert stopped.value.code == 1
    said = capsys.readouterr().out
    assert "1e-03 WRONG (ELS, zeros beyond the border)" in said
    assert "The backend torch computes wrongly on cpu" in said and "open an issue" in said


def test_the_error_sees_a_defect(monkeypatch):
    from elsedu.posterior.backends import attention_torch

    right = attention_torch.partial_posterior

    def wrong(*arguments, **options):
        states = right(*arguments, **options)
        for state in states.values():
            state.v = state.v * 1.001
        return states

    monkeypatch.setattr(attention_torch, "partial_posterior", wrong)
    assert doctor.error_of("torch")[0] > doctor.TOLERANCE
    monkeypatch.setattr(attention_torch, "partial_posterior", lambda *a, **o: {
        w: setattr(s, "v", s.v * float("nan")) or s for w, s in right(*a, **o).items()})
    assert doctor.error_of("torch")[0] == float("inf")


def test_without_the_engine_it_says_how_to_get_it(monkeypatch, capsys):
    def missing(again=False):
        raise build.BuildError(f"no C++ compiler was found; {library.MEND}")

    monkeypatch.setattr(library, "load", missing)
    doctor.doctor()
    said = capsys.readouterr().out
    assert "native          no: the C++ engine is missing: no C++ compiler was found; `" in said
    assert "several times slower" in said and "-m pip install ziglang` brings a compiler" in said
    assert not native.available()[0]


def test_old_and_missing_packages(monkeypatch, capsys):
    wanted = ["torch>=99", "no-such-package>=1", "no-such-extra>=1; extra == 'gpu'"]
    monkeypatch.setattr(doctor, "requirements", lambda: wanted)
    doctor.doctor()
    said = capsys.readouterr().out
    assert f"torch {TORCH} (older than 99)" in said and 'pip install "torch>=99"' in said
    assert "no-such-package: not installed\n" in said and "pip install no-such-package" in said
    assert "no-such-extra: not installed (optional)" in said and "pip install no-such-extra" not in said


def test_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pretended_gpu(monkeypatch):
        doctor.doctor()
    said = capsys.readouterr().out
    assert "GPU 0: pretended GPU, capability 7.0, 1.0 of 2.0 GiB free" in said
    assert "torch      cuda" in said and "WRONG" not in said
    assert "pretended GPU is older than compute capability 8.0" in said


def test_without_typer_only_the_doctor_works():
    blocked = "import sys; sys.modules['typer'] = None\nfrom elsedu.cli import main\nmain({})"
    said = {}
    for arguments in (["doctor"], ["--help"], [], ["sample"]):
        done = subprocess.run([sys.executable, "-c", blocked.format(arguments)], capture_output=True, text=True,
                              check=False, cwd=ROOT, timeout=300)
        said[" ".join(arguments)] = done.returncode, done.stdout, done.stderr
    assert said["doctor"][0] == 0 and "in words" in said["doctor"][1]
    for asked in ("--help", ""):
        assert said[asked][0] == 0 and said[asked][1].startswith("the command line needs typer: python -m pip install")
    assert said["sample"][0] == 2 and said["sample"][2].startswith("error: the command line needs typer")
