"""On a GPU, every tensor on the right device: machines, networks, training, rows, tried on a pretended one."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from data_files import celeba_files, cifar_files, write_folder, write_idx
from pretended_gpu import OnGPU, inner, pretended_gpu
from support import MACHINES, machine, random_images, rng
from tiny import miniature, tiny
from tiny import run as reproduce_run

import elsedu
from elsedu import networks
from elsedu.analysis import mosaic
from elsedu.machines import others as other_denoisers
from elsedu.scales import jacobian
from elsedu.training import train

ROOT = Path(__file__).parents[1]


@pytest.fixture
def gpu(monkeypatch):
    return pretended_gpu(monkeypatch)


def test_the_pretended_gpu_is_as_strict_as_a_true_one(gpu):
    with gpu:
        there, here = torch.arange(3.0, device="cuda"), torch.arange(3)
        assert there.device.type == "cuda" and there.is_cuda and (there + 1).device == there.device
        assert (there + torch.tensor(2.0)).tolist() == [2.0, 3.0, 4.0]  # a number may come from anywhere
        assert there[here].tolist() == [0.0, 1.0, 2.0] and type(there.cpu()) is torch.Tensor
        there[1] = 5
        assert there.add_(1) is there and there.tolist() == [1.0, 6.0, 3.0]
        for mixed in (lambda: there + here, lambda: torch.stack([there, here]), lambda: here[there.long()],
                      lambda: torch.rand(3, device="cuda", generator=torch.Generator()),
                      lambda: torch.rand(3, generator=torch.Generator("cuda"))):
            with pytest.raises(RuntimeError, match="device"):
                mixed()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()


TIMES = {"number": 0.4, "a number as a tensor": torch.tensor(0.4), "a time each": torch.tensor([0.2, 0.4, 0.9])}


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("name", [*MACHINES, "wiener", "stationary"])
def test_machines(name, times, gpu):
    """Images of the CPU, noisy images of the GPU: the answer is on the GPU and the same."""
    images, labels = random_images(8, 3, 6, 6, dtype=torch.float32), torch.tensor([0, 1] * 4)
    data = elsedu.ImageSet(images, labels)
    x, t, wanted = torch.randn(3, 3, 6, 6, generator=rng(0)), TIMES[times], torch.tensor([0, 1, 1])
    linear = {"wiener": elsedu.WienerScore, "stationary": elsedu.StationaryWienerScore}
    m = linear[name](data) if name in linear else machine(name, data)
    expected = [m.denoise(x, t), m.score(x, t, 1), m.noise(x, t, wanted)]
    with gpu:
        there = x.to("cuda")
        for moved in ("cpu", "cuda"):  # times and labels may be on either
            time = t if isinstance(t, float) else t.to(moved)
            got = [m.denoise(there, time), m.score(there, time, 1), m.noise(there, time, wanted.to(moved))]
            for a, b in zip(got, expected):
                assert isinstance(a, OnGPU)
                torch.testing.assert_close(inner(a), b, atol=1e-5, rtol=1e-4)  # torch 2.14 rounds otherwise than 2.13


def test_provenance_and_samples(gpu):
    scales = elsedu.ScaleSchedule([3, 5, 5])
    m = elsedu.EquivariantLocalScore(elsedu.load("digits", limit=60), scales, backend="torch")
    noise = torch.randn(2, 1, 8, 8, generator=rng(0))
    drawn = elsedu.sample(m, noise, steps=4)
    before, tied = mosaic.provenance(m, drawn[0], return_tied=True)
    posterior = m.posterior(noise, 0.3)
    assert tied.float().mean() < 0.5
    with gpu:
        there = elsedu.sample(m, noise.to("cuda"), steps=4)
        torch.testing.assert_close(inner(there), drawn, atol=1e-5, rtol=1e-5)
        found = mosaic.provenance(m, drawn[0].to("cuda")).cpu()
        assert torch.equal(found[~tied], before[~tied])
        assert torch.equal(m.posterior(noise.to("cuda"), 0.3).source.cpu(), posterior.source)
        assert not mosaic.is_locally_consistent(m, noise[0].to("cuda")).any()


@pytest.mark.parametrize("build", [
    lambda data: other_denoisers.SmoothedScore(data, 0.2), lambda data: other_denoisers.PatchPosterior(data, 3),
    lambda data: other_denoisers.CovarianceMasks(data, 0.1), lambda data: other_denoisers.EdgeScore(data, 12),
], ids=["smoothed", "patches", "masks", "edge"])
def test_other_denoisers(build, gpu):
    denoiser, x = build(elsedu.load("digits", limit=60)), torch.randn(2, 1, 8, 8, generator=rng(0))
    expected = denoiser.denoise(x, 0.4)
    with gpu:
        torch.testing.assert_close(inner(denoiser.denoise(x.to("cuda"), 0.4)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", [
    {"kind": "resnet", "width": 8, "blocks": 1, "padding": "zero", "classes": 3},
    {"kind": "resnet", "width": 8, "blocks": 1, "padding": "circular"},
    {"kind": "unet", "width": 8, "padding": "zero", "attention": True},
], ids=["labels", "circular", "attention"])
def test_training_and_the_trained(config, gpu, tmp_path):
    """The same losses and weights as on the CPU, also when training is stopped in between."""
    data = elsedu.load("digits", limit=60)
    data = elsedu.ImageSet(data.images, data.labels % 3)
    options = {"steps": 6, "batch": 4, "lr": 1e-3, "ema": 0.9, "precision": "float32", "progress": False}

    def build():
        torch.manual_seed(0)
        return networks.build({**config, "image_shape": [1, 8, 8], "embedding": 16})

    plain, there = build(), build()
    for _ in train(plain, data, **options):
        pass
    noise, label = torch.randn(2, 1, 8, 8, generator=rng(0)), None if plain.classes is None else 1
    with gpu:
        for step, _ in train(there, data, checkpoint=tmp_path, device="cuda", **options):
            if step == 3:
                break
        there = build()
        for _ in train(there, data, checkpoint=tmp_path, device="cuda", **options):
            pass
        assert there.training_record["losses"] == pytest.approx(plain.training_record["losses"], rel=1e-5)
        drawn = elsedu.sample(there, noise.to("cuda"), steps=3, label=label)
        seen = jacobian.heat_map(there, noise.to("cuda"), 0.5, label=label)
    torch.testing.assert_close(inner(drawn), elsedu.sample(plain, noise, steps=3, label=label), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(inner(seen), jacobian.heat_map(plain, noise, 0.5, label=label), atol=1e-4, rtol=1e-4)


def test_a_network_trained_elsewhere(gpu, tmp_path):
    pytest.importorskip("diffusers")
    from pretrained_files import saved, unet

    network = networks.from_diffusers(saved(tmp_path, unet(), beta_schedule="squaredcos_cap_v2"))
    noise = torch.randn(2, 1, 8, 8, generator=rng(0))
    expected = elsedu.sample(network, noise, steps=3)
    with gpu:
        drawn = elsedu.sample(network.to("cuda"), noise.to("cuda"), steps=3)
        torch.testing.assert_close(inner(drawn), expected, atol=1e-4, rtol=1e-4)
        elsedu.calibrate(network, "els", elsedu.load("digits", limit=40), windows=[3, 5], steps=3, samples=2)


def test_an_experiment(gpu, tmp_path):
    """All stages: the same numbers from the pretended GPU as from the CPU, and networks that load on the CPU."""
    here, there, entry = tmp_path / "here", tmp_path / "there", tiny()
    exact = dataclasses.replace(entry.recipe.settings, precision="float32")  # on a GPU the default is bfloat16
    entry = dataclasses.replace(entry, recipe=dataclasses.replace(entry.recipe, settings=exact), second=None)
    reproduce_run(here, entry, backend="torch")
    with gpu:
        reproduce_run(there, entry, backend="torch", device="cuda")
    a, b = (json.loads((folder / "tiny.json").read_text())["measured"] for folder in (here, there))
    for steps in ("3", "20"):
        for name, entry in a["agreement"][steps].items():
            for metric in ("pearson_r", "determination"):
                assert b["agreement"][steps][name][metric]["median"] == pytest.approx(entry[metric]["median"], abs=1e-3)
    assert networks.load(there / "tiny" / "weights" / "tiny.safetensors").name == "tiny"


@pytest.mark.parametrize("row", ["mnist-resnet-circular", "fashion_mnist-unet-zero", "cifar10-resnet-zero",
                                 "cifar10-unet-attention", "celeba-resnet-zero"])
def test_rows_at_full_scale_in_miniature(row, gpu, tmp_path, monkeypatch):
    """What `elsedu reproduce --tier full` does on a GPU machine, from training to the figures."""
    write_idx(tmp_path / "data/mnist", count=20)
    write_idx(tmp_path / "data/fashion_mnist", count=20, seed=1)
    write_folder(tmp_path / "data/cifar10", cifar_files("py", count=6))
    write_folder(tmp_path / "data/celeba", celeba_files(14))
    monkeypatch.setenv("ELSEDU_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path / "cache"))
    with gpu:
        for needed in (["cifar10-resnet-zero"] if row == "cifar10-unet-attention" else []) + [row]:
            path = reproduce_run(tmp_path / "rows", miniature(needed), backend="torch", device="cuda")
    assert json.loads(path.read_text())["provenance"]["device"] == "pretended GPU"


NOTEBOOKS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "book").rglob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebooks(notebook):
    """Readers in Colab often have a GPU: no cell may fail there."""
    command = [sys.executable, str(ROOT / "tests" / "on_pretended_gpu.py"), str(ROOT / notebook)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
