"""What can go wrong in a reproduction: a kill, a full disk, missing data, half a file. It is said, nothing is lost."""

import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from elsedu.experiments import stages as reproduce
from elsedu.experiments.catalogue import Experiment
from elsedu.training import Settings
from elsedu.training.recipe import Recipe

ROOT = Path(__file__).parent.parent
MADE = {"train": ["weights/*"], "calibrate": ["*.ls.json"], "sample": ["pieces/els.*", "pieces/forced.*"]}


def tiny():
    recipe = Recipe("tiny", "digits", {"kind": "resnet", "width": 8, "blocks": 1, "embedding": 16},
                    Settings(steps=6, batch=8, lr=1e-3), {"limit": 60})
    return Experiment("tiny", "embedded", recipe, None, {"samples": 1, "windows": [3, 5]}, seeds=4, steps=2,
                      network_steps=(2,), batch=2)


def run(output, entry=None, stage=("train", "calibrate", "sample", "compare"), **options):
    return reproduce.run(entry or tiny(), stage=stage, output=output, progress=False, say=lambda line: None, **options)


def measured(output):
    return json.dumps(json.loads((output / "tiny.json").read_text())["measured"])


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("finished")
    run(output)
    return output


@pytest.fixture
def copy(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def without(output, *patterns):
    for pattern in patterns:
        for path in list((output / "tiny").glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (output / "tiny.json").unlink()


# -- killed ------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
import test_faults
from elsedu.training import loop

begin, advance = loop._Run.__init__, loop._Run._advance

def often(self, *arguments):
    begin(self, *arguments)
    self.every = -1.0                       # a checkpoint after every step

def step(self):
    if self.step == 4 or {early}:
        os.kill(os.getpid(), signal.SIGKILL)
    advance(self)

loop._Run.__init__, loop._Run._advance = often, step
test_faults.run({output!r})
"""


@pytest.mark.parametrize("early", [True, False])
def test_kill_in_training_and_go_on(finished, tmp_path, early):
    """The `measured` block after a kill -9 and a second start is byte for byte that of an undisturbed run."""
    script = KILLED.format(tests=str(Path(__file__).parent), output=str(tmp_path), early=early)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ELSEDU_PROGRESS": "0"}
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, text=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    from elsedu.training import checkpoint

    kept = checkpoint.load(tmp_path / "tiny" / "weights" / "tiny.checkpoint")
    assert kept.header["step"] == (0 if early else 4) and not (tmp_path / "tiny.json").exists()
    run(tmp_path)
    assert measured(tmp_path) == measured(finished)


# -- a full disk -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["fsync", "replace"])
@pytest.mark.parametrize("stage", ["train", "calibrate", "sample", "compare"])
def test_full_disk(finished, copy, monkeypatch, stage, place):
    """The error names the file; everything that was there is as it was; with room again the run ends as ever."""
    without(copy, *MADE.get(stage, []))
    before = contents(copy)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"os.{place}", full)
    with pytest.raises(OSError, match=r"No space left on device") as failure:
        run(copy, stage=stage)
    assert str(copy) in str(failure.value)
    monkeypatch.undo()
    assert contents(copy) == before
    run(copy)
    assert measured(copy) == measured(finished)


def test_full_disk_on_the_command_line(tmp_path):
    """A real limit, set by the system: one line and exit status 2."""
    pytest.importorskip("typer")
    command = [sys.executable, "-m", "elsedu", "reproduce", "digits-resnet-zero", "--epochs", "1", "--width", "8",
               "--limit-images", "64", "--seeds", "1", "--output", str(tmp_path)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False,
                           env={**os.environ, "ELSEDU_PROGRESS": "0"},
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)))
    assert child.returncode == 2 and "Traceback" not in child.stderr, child.stderr
    assert "cannot write" in child.stderr and "checkpoint.safetensors" in child.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# -- missing data ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_missing_data(tmp_path, monkeypatch, there):
    """The message says where was looked for what; a run that had begun is as it was, and goes on when they are back."""
    from data_files import write_idx

    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "data"
    monkeypatch.setenv("ELSEDU_DATA", str(place))
    write_idx(place / "mnist", count=20)
    recipe = dataclasses.replace(tiny().recipe, data="mnist", data_options={"size": 8})
    entry = dataclasses.replace(tiny(), recipe=recipe)
    run(tmp_path / "out", entry, stage=("train", "calibrate"))
    before = contents(tmp_path / "out")
    place.rename(tmp_path / "away")
    if there:
        place.mkdir()
    message = r"looked in .*train-images-idx3-ubyte" if there else r"ELSEDU_DATA=.*does not exist"
    with pytest.raises(FileNotFoundError, match=message):
        run(tmp_path / "out", entry)
    assert contents(tmp_path / "out") == before
    if there:
        place.rmdir()
    (tmp_path / "away").rename(place)
    assert run(tmp_path / "out", entry).exists()


# -- half a file -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern, stage", [
    ("weights/tiny.safetensors", "calibrate"), ("weights/tiny.checkpoint/checkpoint.safetensors", "train"),
    ("tiny.els.json", "calibrate"), ("pieces/settings.json", "sample"), ("pieces/ls.*", "sample"),
    ("pieces/forced.*", "compare"), ("pieces/jacobian.*", "compare"),
])
def test_half_a_stage_file(finished, copy, pattern, stage):
    """It is named, and left for whoever wants to look at it; without it the run ends as ever."""
    if stage == "train":
        without(copy, "weights/tiny.safetensors")
    path = next((copy / "tiny").glob(pattern))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = contents(copy)
    with pytest.raises(ValueError, match=path.name.replace(".", r"\.")):
        run(copy, stage=stage)
    assert contents(copy) == before
    path.unlink()
    run(copy)
    assert measured(copy) == measured(finished)


def test_half_a_result(finished, copy):
    """Whoever reads it is told; `compare` writes it again from the pieces."""
    result = copy / "tiny.json"
    result.write_text(result.read_text()[:300])
    for attempt in (lambda: run(copy, stage="figures"), lambda: reproduce.table(copy)):
        with pytest.raises(ValueError, match=r"tiny\.json is damaged or no JSON"):
            attempt()
    run(copy, stage="compare")
    assert measured(copy) == measured(finished)


# -- two at once, and a clock that jumps ----------------------------------------------------------------

HELD = """
import sys
from elsedu._common.lock import one_writer
with one_writer(*sys.argv[1:]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("stage", ["train", "sample", "compare"])
def test_a_second_process_is_told_to_wait(copy, stage):
    before = contents(copy)
    place = (copy / "tiny" / "weights", "tiny") if stage == "train" else (copy / "tiny",)
    child = subprocess.Popen([sys.executable, "-c", HELD, *map(str, place)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        assert child.stdout.readline()
        if stage == "train":
            from elsedu.training.run import run as train

            with pytest.raises(BlockingIOError, match=rf"another process \({child.pid}\) is writing to .*tiny"):
                train(tiny().recipe, copy / "tiny" / "weights", progress=False)
        else:
            with pytest.raises(BlockingIOError, match=rf"another process \({child.pid}\) is writing to .*tiny"):
                run(copy, stage=stage)
    finally:
        child.kill()
        child.communicate()
    run(copy, stage=stage)  # the lock died with its process
    assert {path: content for path, content in contents(copy).items() if not path.name.endswith(".lock")} == before


def test_a_clock_that_jumps_changes_nothing(finished, tmp_path, monkeypatch):
    import random
    import time

    generator = random.Random(0)
    monkeypatch.setattr(time, "time", lambda: generator.uniform(0, 4e9))
    run(tmp_path, stage="train")
    for path in (tmp_path / "tiny").rglob("*"):
        os.utime(path, (0, generator.randrange(4 * 10**9)))
    run(tmp_path)
    assert measured(tmp_path) == measured(finished)
