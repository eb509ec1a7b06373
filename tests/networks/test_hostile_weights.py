"""Weights files that were damaged, or made to take memory or time: an error that names the file, and nothing else."""

import json
import os

import pytest
import torch
from confined import FORK, confined
from safetensors import safe_open
from safetensors.torch import save

from elsedu import networks
from elsedu._common.records import weights_hash
from elsedu.networks.storage import FOLDER

pytestmark = FORK
CONFIG = {"kind": "resnet", "image_shape": [1, 8, 8], "width": 8, "blocks": 1, "embedding": 16}


def stored(path):
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}


@pytest.fixture
def parts(tmp_path):
    """(path, metadata without hash, tensors) of a small network."""
    path = networks.save(networks.build(CONFIG), tmp_path / "net.safetensors")
    metadata, tensors = stored(path)
    assert metadata.pop("sha256")
    return path, metadata, tensors


def refused(path, *words):
    outcome = confined(networks.load, path, seconds=20)
    assert outcome.kind == "ValueError" and all(w in outcome.words for w in (str(path), *words)), outcome
    assert outcome.grown < 150e6, outcome


def test_every_flipped_bit_is_noticed(parts):
    path = parts[0]
    whole = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(len(whole), (40,), generator=generator).tolist()
    for place in places + list(range(8, 900, 9)):  # and in the header
        for bit in (1, 128):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            with pytest.raises(ValueError, match=r"net\.safetensors"):
                networks.load(path)
    path.write_bytes(whole)
    networks.load(path)


def test_files_without_a_hash_still_load(parts):
    path, metadata, tensors = parts
    before = weights_hash(networks.load(path))
    path.write_bytes(save(tensors, metadata))
    assert weights_hash(networks.load(path)) == before


def test_shipped_files_carry_a_hash():
    for name in networks.available():
        assert "sha256" in stored(FOLDER / f"{name}.safetensors")[0], name


@pytest.mark.parametrize("change,word", [
    (lambda v: torch.full_like(v, torch.nan), "NaN"), (lambda v: torch.full_like(v, torch.inf), "infinite"),
    (lambda v: v.to(torch.int8), "int8"), (lambda v: v.bool(), "bool"), (lambda v: v.to(torch.complex64), "complex64"),
])  # fmt: skip
def test_weights_that_are_no_finite_numbers(parts, change, word):
    path, metadata, tensors = parts
    path.write_bytes(save({**tensors, "down.bias": change(tensors["down.bias"])}, metadata))
    refused(path, "down.bias", word)


@pytest.mark.parametrize("change", [
    {"width": 1_000_000}, {"width": 4000}, {"blocks": 10_000_000}, {"blocks": 3000}, {"embedding": 10**9},
    {"classes": 10**9}, {"image_shape": [10**9, 8, 8]}, {"image_shape": [1, 10**12, 10**12]}, {"width": 2**80},
    {"width": -1}, {"width": "x"}, {"time_scale": 1e300}, {"kind": "unet"}, {"kind": "unet", "heads": 0},
    {"kind": "unet", "heads": 0, "attention": True}, {"schedule": []}, {"kind": {}}, {"padding": []},
])  # fmt: skip
def test_configurations_that_do_not_fit_the_weights(parts, change):
    path, metadata, tensors = parts
    config = json.loads(metadata["config"]) | change
    if config["kind"] == "unet":
        config.pop("blocks")
    path.write_bytes(save(tensors, {**metadata, "config": json.dumps(config)}))
    refused(path)


@pytest.mark.parametrize("change", [
    {"config": None}, {"config": "null"}, {"config": "[]"}, {"config": "{"}, {"config": "[" * 100_000},
    {"config": '{"width": NaN}'}, {"provenance": "[]"}, {"provenance": "{" * 100_000}, {"provenance": '{"data": 1}'},
    {"name": "../../elsewhere"}, {"name": "a\nb"}, {"name": ""}, {"name": "n" * 300}, {"format": "x"}, {"format": None},
])  # fmt: skip
def test_headers_that_are_none(parts, change):
    path, metadata, tensors = parts
    changed = {key: value for key, value in {**metadata, **change}.items() if value is not None}
    path.write_bytes(save(tensors, changed))
    refused(path)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "net.safetensors"
    for content in (b"", b"x", b"\xff" * 8, (2**63).to_bytes(8, "little") + b"{}", b"PK\x03\x04" * 100):
        path.write_bytes(content)
        refused(path)
    path.unlink()
    os.mkfifo(path)
    outcome = confined(networks.load, path, seconds=10)
    assert outcome.kind == "FileNotFoundError", outcome
