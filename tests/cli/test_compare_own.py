"""`elsedu compare --network MY.py:build --data FOLDER`: calibrates, compares, and writes a report."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import elsedu
from elsedu.data import to_bytes

pytest.importorskip("typer")
ROOT = Path(__file__).parents[2]
MINE = """
import elsedu
import helper

def build():
    return elsedu.networks.as_denoiser(helper.denoise, image_shape=(1, 8, 8))

def wrong():
    return 3
"""
HELPER = """
import elsedu
network = elsedu.network("digits-resnet-zero")

def denoise(x, t):
    return network(x, t, None)
"""


def run(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ELSEDU_PROGRESS": "0", "ELSEDU_CACHE": str(folder / "cache")}
    return subprocess.run([sys.executable, "-m", "elsedu", "compare", *arguments], cwd=folder, capture_output=True,
                          text=True, env=environment, check=False)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "MY.py").write_text(MINE)
    (tmp_path / "helper.py").write_text(HELPER)
    digits = elsedu.load("digits", limit=60)
    for k, (pixels, label) in enumerate(zip(to_bytes(digits.images)[:, 0], digits.labels.tolist())):
        place = tmp_path / "pictures" / str(label) / f"{k}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
    return tmp_path


def test_from_a_file_and_a_folder_to_a_report(folder):
    options = ("--network", "MY.py:build", "--data", "pictures", "--seeds", "2", "--steps", "3", "--samples", "1")
    first = run(folder, *options)
    assert first.returncode == 0, first.stderr
    made = {"MY.json", "MY.npz", "MY.html", "MY.els.json", "MY.ls.json"}
    assert made <= {path.name for path in folder.iterdir()} and "calibrating the windows of ELS" in first.stdout
    assert "MY on pictures" in (folder / "MY.html").read_text()
    found = elsedu.comparison.Comparison.load(folder / "MY.json")
    assert found.provenance["data"] == {"name": "pictures", "hash": elsedu.load(folder / "pictures").hash, "images": 60,
                                        "shape": [1, 8, 8]}  # fmt: skip
    again = run(folder, *options)  # the windows are there
    assert again.returncode == 0 and "calibrating" not in again.stdout
    other = run(folder, "--network", "MY.py:build", "--data", "digits", "--limit", "50", "--seeds", "1", "--steps", "3")
    assert other.returncode == 2 and "MY.els.json was calibrated under another data_hash" in other.stderr


@pytest.mark.parametrize("arguments,words", [
    (("--network", "NOT.py:build"), "there is no file NOT.py"), (("--network", "MY.py"), "as MY.py:build"),
    (("--network", "MY.py:other"), "MY.py has no function 'other'"),
    (("--network", "MY.py:wrong"), "MY.py:wrong returned a int"), ((), "give one network"),
    (("--network", "MY.py:build"), "give --data"), (("digits", "--network", "MY.py:build"), "give one network"),
])  # fmt: skip
def test_what_cannot_be_compared(folder, arguments, words):
    done = run(folder, *arguments)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
