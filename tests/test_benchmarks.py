"""benchmarks/gpu.py, rehearsed at tiny sizes on the CPU: every part of it runs and what it writes is whole."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import machine, random_images

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def gpu():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import gpu

    yield gpu
    sys.path.remove(str(ROOT / "benchmarks"))


def test_the_rehearsal_runs_everything(tmp_path):
    file = tmp_path / "gpu.json"
    done = subprocess.run([sys.executable, "benchmarks/gpu.py", "--rehearse", "--json", str(file)], cwd=ROOT,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(file.read_text())
    backends = {"torch", "triton"} if importlib.util.find_spec("triton") else {"torch"}
    assert record["rehearsal"] and record["machine"]["versions"]["torch"] == torch.__version__
    assert all(value > 0 for value in record["limits"].values())
    assert {row["backend"] for row in record["evaluations"]} == backends
    assert len(record["evaluations"]) == 4 * len(backends)
    for row in record["evaluations"]:
        assert row["least"] <= row["median"] <= row["largest"], row
        assert row["pairs_per_second"] > 0 and all(share > 0 for share in row["share"].values()), row
    assert all("median" in times for row in record.get("tiles", []) for times in row["sizes"].values())
    assert ("tiles" in record) == ("triton" in backends)
    for aim in record["aims"].values():
        assert aim["samples"] == 2 and aim["seconds"] > 0 and aim["met"] == (aim["seconds"] <= aim["aim"])


def test_without_a_gpu_it_says_how_to_rehearse():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = subprocess.run([sys.executable, "benchmarks/gpu.py"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "--rehearse" in done.stderr


def test_pairs_are_counted_as_the_dictionaries_are(gpu):
    """Every pixel meets each patch of its dictionary once."""
    for shape, window in (((5, 5), 3), ((6, 7), 5), ((4, 4), 9), ((6, 4), 5), ((3, 3), 1)):
        posterior = machine("els-zero", random_images(2, 1, *shape), window, "definition")
        x = torch.zeros(3, 1, *shape, dtype=torch.float64)
        ones = torch.ones(3, dtype=torch.float64)
        state = posterior._sums(x, ones, ones, None, [window], ("mean",), "definition")[window]
        assert gpu.pairs(2, 3, *shape, window) == 3 * state.n.sum(), (shape, window)


def test_a_run_that_fails_does_not_stop_the_others(gpu):
    def fails():
        raise torch.OutOfMemoryError("no room")

    took = gpu.in_turns({"bad": fails, "good": lambda: None}, 3, torch.device("cpu"))
    assert took["bad"]["error"] == "OutOfMemoryError: no room"
    assert 0 <= took["good"]["least"] <= took["good"]["median"]
