"""benchmarks/live.py runs, and what it writes is whole (no speed is tested: the computer may be busy)."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from harness import chromium_path


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(chromium_path() is None, reason="no Chromium: install Debian's package chromium")
def test_the_benchmark_of_the_page(tmp_path):
    pytest.importorskip("playwright", reason="playwright is not installed")
    file = tmp_path / "live.json"
    command = [sys.executable, "benchmarks/live.py", "--quick", "--repeats", "1", "--steps", "2", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(file.read_text())
    (sample,), (network,) = record["samples"], record["networks"]
    assert sample["kind"] == "wasm" and 0 < sample["least"] <= sample["median"] <= sample["largest"]
    assert 0 < sample["memory_MB"] < 200
    assert network["case"] == "digits-resnet-zero" and network["median"] > 0
