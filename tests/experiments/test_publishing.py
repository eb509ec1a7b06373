"""Publishing: result, windows and weights of one network arrive together, or not at all."""

import dataclasses
import json
import shutil

import pytest
import torch

import elsedu
from elsedu import networks, scales
from elsedu._common import records
from elsedu.experiments import Recipe, publishing, recipe
from elsedu.experiments import catalogue as experiments
from elsedu.experiments import stages as reproduce
from elsedu.experiments.catalogue import Experiment
from elsedu.networks import storage as files
from elsedu.training import Settings

STEM = "digits-tiny-zero.laptop"


def tiny():
    made = Recipe(STEM, "digits", {"kind": "resnet", "width": 8, "blocks": 1, "embedding": 16},
                  Settings(steps=4, batch=8, lr=1e-3), {"limit": 60})
    return Experiment("digits-tiny-zero", "laptop", made, None, {"samples": 2, "windows": [3, 5]}, seeds=3, steps=3,
                      network_steps=(3,), batch=2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("reproduced")
    result = reproduce.run(tiny(), output=output, progress=False, say=lambda line: None)
    assert result == output / f"{STEM}.json"
    return output


@pytest.fixture
def publish(finished, monkeypatch):
    def go(into, output=finished, entry=None, **options):
        monkeypatch.setattr(publishing, "experiment", lambda name, tier: entry or tiny())
        return publishing.publish("digits-tiny-zero", "laptop", output, into=into, **options)
    return go


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_everything_arrives_and_is_found_by_its_name(publish, finished, tmp_path, monkeypatch):
    written = publish(tmp_path)
    assert names(tmp_path) == sorted(str(path.relative_to(tmp_path)) for path in written) == [
        f"results/{STEM}.json", f"results/{STEM}.npz", f"scales/{STEM}.els.json", f"scales/{STEM}.ls.json",
        f"weights/{STEM}.md", f"weights/{STEM}.safetensors"]
    monkeypatch.setattr(files, "FOLDER", tmp_path / "weights")
    monkeypatch.setattr(scales.shipped, "FOLDER", tmp_path / "scales")
    assert networks.available() == [STEM] and scales.calibrated_names("els") == (STEM,)
    network = elsedu.network(STEM)
    assert network.name == STEM and network.provenance["steps"] == 4
    known = json.loads((tmp_path / "results" / f"{STEM}.json").read_text())["provenance"]
    assert records.weights_hash(network) == known["network"]["weights_hash"]
    assert list(scales.calibrated(STEM, "ls").windows) == known["scales"]["ls"]
    # with its name alone the network is compared with its own windows
    found = elsedu.compare(STEM, tiny().recipe.load_data(), seeds=1, steps=3, network_steps=(3,), progress=False)
    assert found.provenance["scales"] == known["scales"]
    assert (tmp_path / "weights" / f"{STEM}.md").read_text() == networks.cards.card(network)
    assert f"elsedu train {STEM}" in networks.cards.card(network)
    assert publish(tmp_path) == written  # again, over itself


def test_no_weights_where_the_images_are_not_shared(publish, finished, tmp_path):
    faces = dataclasses.replace(tiny(), recipe=dataclasses.replace(tiny().recipe, data="celeba"))
    publish(tmp_path, entry=faces)
    assert not (tmp_path / "weights").exists() and (tmp_path / "scales" / f"{STEM}.els.json").exists()


def test_weights_that_are_too_large(publish, tmp_path, monkeypatch):
    size = len((publish(tmp_path / "a")[-2]).read_bytes())
    monkeypatch.setattr(publishing, "LIMIT", 1000)
    with pytest.raises(ValueError, match=r"weights take 0\.\d MB, in half precision .*at most .* --no-weights"):
        publish(tmp_path / "b")
    assert not (tmp_path / "b").exists()
    publish(tmp_path / "b", weights=False)
    assert names(tmp_path / "b")[-1] == f"scales/{STEM}.ls.json"
    # a little too large: half precision, and the file says so
    monkeypatch.setattr(publishing, "LIMIT", size - 1)
    path = next(path for path in publish(tmp_path / "c") if path.suffix == ".safetensors")
    whole, half = networks.load(tmp_path / "a" / "weights" / path.name), networks.load(path)
    assert path.stat().st_size < size and half.dtype == torch.float32
    assert half.provenance["stored"] == {"precision": "float16", "weights_hash": records.weights_hash(whole)}
    assert "float16" in path.with_suffix(".md").read_text()
    assert path.with_suffix(".md").read_text() == networks.cards.card(half)
    # but only if the network draws the same images with them
    monkeypatch.setattr(files, "half_precision_agreement", lambda *_: 0.99)
    with pytest.raises(ValueError, match="draws other images"):
        publish(tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_half_precision_agreement():
    torch.manual_seed(0)
    network = networks.build({"kind": "resnet", "image_shape": [1, 8, 8], "width": 8, "embedding": 16, "classes": 3})
    rounded = files.in_half_precision(network)
    assert 0.9999 < files.half_precision_agreement(network, rounded) < 1
    with torch.no_grad():
        rounded.up.weight.mul_(1.5)
    assert files.half_precision_agreement(network, rounded) < 0.9999


@pytest.mark.parametrize("what", ["weights", "windows", "result"])
def test_what_does_not_belong_together_is_refused(publish, finished, tmp_path, what):
    output, into = tmp_path / "copy", tmp_path / "package"
    shutil.copytree(finished, output)
    if what == "weights":
        path = output / STEM / "weights" / f"{STEM}.safetensors"
        network = networks.load(path)
        torch.nn.init.zeros_(network.up.weight)
        networks.save(network, path)
    elif what == "windows":
        path = output / STEM / f"{STEM}.ls.json"
        path.write_text(path.read_text().replace("[\n  3,", "[\n  7,").replace("[\n  5,", "[\n  7,"))
    else:
        path = output / f"{STEM}.json"
        path.write_text(path.read_text()[:200])
    with pytest.raises(ValueError, match=path.name):
        publish(into, output)
    assert not into.exists()


def test_a_full_disk_leaves_whole_files(publish, tmp_path, monkeypatch):
    publish(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        publish(tmp_path)
    monkeypatch.undo()
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_every_row_has_a_recipe_and_a_stem():
    for name in experiments.PAPER:
        for tier in ("laptop", "full"):
            entry = experiments.experiment(name, tier)
            for one in (entry, entry.changed(width=96), entry.changed(epochs=10, limit_images=1280)):
                assert one.recipe.name == one.stem
                assert experiments.from_stem(one.stem) == one
                assert recipe(one.stem) == one.recipe
    assert recipe("digits-resnet-zero") == experiments.from_stem("digits-resnet-zero").recipe
    with pytest.raises(ValueError, match=r"no recipe for 'mnist-resnet-zero\.laptop-x3'; known: digits"):
        recipe("mnist-resnet-zero.laptop-x3")
    with pytest.raises(ValueError, match="unknown experiment"):
        experiments.from_stem("imagenet-gan-zero.full-w3")
