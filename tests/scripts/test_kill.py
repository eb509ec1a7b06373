"""The short form of scripts/kill.py: one stage killed at random, the same bytes at the end, nothing left over."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import kill


@pytest.mark.slow
def test_killed_training_ends_in_the_same_bytes(tmp_path):
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    assert kill.end(kill.start(calm, "train")) == 0
    hit = kill.trial(wild, "train", 2, random.Random(1), 1.0)
    assert hit and kill.contents(calm) == kill.contents(wild)
    assert any(name.endswith("tiny.safetensors") for name in kill.contents(calm)[0])
