"""A tier within a budget of minutes, and its pieces: what a lent GPU needs, in miniature."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from data_files import celeba_files, cifar_files, write_folder, write_idx
from tiny import miniature

import elsedu
from elsedu.experiments import catalogue, stages

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import full_scale

ROWS = ("mnist-resnet-zero", "cifar10-resnet-zero", "cifar10-unet-attention", "celeba-resnet-zero")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with tiny official files, and the paper's rows in miniature."""
    write_idx(tmp_path / "home/mnist", count=20)
    write_folder(tmp_path / "home/cifar10", cifar_files("py", count=6))
    write_folder(tmp_path / "home/celeba", celeba_files(14))
    monkeypatch.setenv("ELSEDU_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path / "cache"))
    for place in (stages, elsedu.experiments):
        monkeypatch.setattr(place, "experiment", lambda name, tier=None: miniature(name, tier or "full"))
    return tmp_path


def test_the_order_of_a_tier_has_every_row():
    assert set(catalogue.PRIORITY) == set(catalogue.PAPER)
    assert catalogue.PRIORITY.index("cifar10-resnet-zero") < catalogue.PRIORITY.index("cifar10-unet-attention")


def test_packed_sets_are_the_same_sets(home, monkeypatch):
    before = {name: miniature(f"{name}-resnet-zero").recipe.load_data() for name in ("mnist", "cifar10", "celeba")}
    monkeypatch.setattr(full_scale, "LIMIT", full_scale.HEADERS + 20_000)
    pieces = full_scale.pack(list(before), home / "pieces")
    assert len(pieces) > len(before) and all(path.stat().st_size <= full_scale.LIMIT for path in pieces)
    hashes = full_scale.unpack(home / "pieces", home / "there")
    monkeypatch.setenv("ELSEDU_DATA", str(home / "there"))
    for name, images in before.items():
        after = miniature(f"{name}-resnet-zero").recipe.load_data()
        assert hashes[name] == images.hash == after.hash
    next(path for path in pieces if path.name.startswith("cifar10.001")).unlink()
    with pytest.raises(ValueError, match="pieces 1 of"):
        full_scale.unpack(home / "pieces", home / "elsewhere")
    with pytest.raises(ValueError, match="no experiment of the tier full uses 'digits'"):
        full_scale.pack(["digits"], home / "pieces")


def measured(folder, name):
    return json.dumps(json.loads((folder / f"{name}.json").read_text())["measured"])


def test_a_tier_in_several_journeys(home, monkeypatch):
    """Minutes run out, the results travel in pieces, another machine goes on, and the numbers are the same."""
    said, options = [], {"only": ROWS, "progress": False}
    whole = stages.run_all("full", home / "whole", say=said.append, **options)
    assert list(whole) == list(ROWS) and all(whole.values())
    stamps = {path: path.stat().st_mtime_ns for path in (home / "whole").rglob("*.*")}
    assert stages.run_all("full", home / "whole", say=said.append, **options) == whole
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())

    assert stages.run_all("full", home / "first", minutes=0, say=said.append, **options) == {}
    clock = iter([0.0] * 30)  # the time is over after a few looks at the clock
    with monkeypatch.context() as patch:
        patch.setattr(stages.time, "monotonic", lambda: next(clock, 1e9))
        begun = stages.run_all("full", home / "first", minutes=60, say=said.append, **options)
    assert None in begun.values() or len(begun) < len(ROWS)
    monkeypatch.setattr(full_scale, "LIMIT", 2_000)
    pieces = full_scale.bundle(home / "first", home / "out")
    assert len(pieces) > 1 and all(path.stat().st_size <= 2_000 for path in pieces)
    full_scale.collect(home / "out", home / "second")
    assert all(stages.run_all("full", home / "second", minutes=60, say=said.append, **options).values())
    for name in ROWS:
        assert measured(home / "second", name) == measured(home / "whole", name)


def test_what_is_missing_or_damaged_is_named(home, monkeypatch, capsys):
    (home / "results").mkdir()
    np.save(home / "results" / "noise.npy", np.random.default_rng(0).bytes(9000))
    monkeypatch.setattr(full_scale, "LIMIT", 4000)
    pieces = full_scale.bundle(home / "results", home / "out")
    whole = pieces[1].read_bytes()
    pieces[1].write_bytes(whole[:100] + bytes(byte ^ 1 for byte in whole[100:200]) + whole[200:])
    assert full_scale.main(["collect", str(home / "out"), "--into", str(home / "back")]) == 2
    assert "damaged" in capsys.readouterr().err and not (home / "back").exists()
    pieces[1].unlink()
    assert full_scale.main(["collect", str(home / "out"), "--into", str(home / "back")]) == 2
    assert "pieces 2 of" in capsys.readouterr().err


def test_images_that_are_not_at_hand_are_named_and_the_others_go_on(home, monkeypatch):
    said = []
    for path in (home / "home" / "celeba").rglob("*.jpg"):
        path.unlink()
    found = stages.run_all("full", home / "out", only=("mnist-resnet-zero", "celeba-resnet-zero"), say=said.append,
                           progress=False)
    assert found["mnist-resnet-zero"] and found["celeba-resnet-zero"] is None
    assert any(line.startswith("celeba-resnet-zero: ") for line in said)
    with pytest.raises(ValueError, match="experiment of the tier full"):
        stages.run_all("full", home / "out", only=("mnist-gan",))
