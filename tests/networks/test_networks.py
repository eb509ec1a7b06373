"""Networks: architecture (receptive field, equivariance, gradients), the denoiser's interface, files."""

import json

import pytest
import torch

import elsedu
from elsedu import networks
from elsedu.data import SOURCES
from elsedu.networks import ResNet, UNet, cards

SMALL = {"kind": "resnet", "image_shape": [1, 8, 8], "width": 8, "blocks": 2, "embedding": 16}


def small(**changes):
    torch.manual_seed(0)
    return networks.build({**SMALL, **changes})


# -- architecture ------------------------------------------------------------------------------------------


def test_published_parameter_counts():
    """The paper's class-conditional colour networks have 4.02 and 2.03 million parameters."""
    assert sum(p.numel() for p in ResNet((3, 32, 32), classes=10).parameters()) == 4_021_251
    assert sum(p.numel() for p in UNet((3, 32, 32), classes=10).parameters()) == 2_032_326


@pytest.mark.parametrize("blocks", [0, 1, 3, 6])
@pytest.mark.parametrize("padding", ["zero", "circular"])
def test_receptive_field_of_resnet(blocks, padding):
    network = ResNet((1, 8, 8), width=8, blocks=blocks, padding=padding, embedding=8)
    assert networks.receptive_field(network, size=32) == 2 * (blocks + 2) + 1


def test_receptive_field_of_the_papers_networks():
    torch.manual_seed(0)
    assert networks.receptive_field(ResNet((1, 32, 32), width=16)) == 17
    unet = networks.receptive_field(UNet((1, 32, 32), width=8))
    assert 44 <= unet < 64
    attention = UNet((1, 32, 32), width=8, attention=True)
    torch.nn.init.normal_(attention.attention.out.weight)  # starts at zero: the identity
    assert networks.receptive_field(attention) == 64


def test_equivariance():
    torch.manual_seed(0)
    circular = ResNet((1, 8, 8), width=16, padding="circular", embedding=16)
    zero = ResNet((1, 8, 8), width=16, padding="zero", embedding=16)
    unet = UNet((1, 16, 16), width=8, padding="circular", embedding=16)
    assert networks.equivariance_error(circular) < 1e-12
    assert networks.is_equivariant(circular)
    assert not networks.is_equivariant(zero)
    assert networks.equivariance_error(unet) > 1e-4  # pooling, for a shift that is no multiple of 4
    assert not networks.is_equivariant(unet)
    assert networks.is_equivariant(unet, shifts=((4, 0), (0, 8), (12, 4)))


def test_equivariance_of_machines():
    data = elsedu.load("digits").take(range(20))
    assert networks.is_equivariant(elsedu.EquivariantLocalScore(data, window=3, border="circular"))
    assert not networks.is_equivariant(elsedu.LocalScore(data, window=3, border="circular"))


@pytest.mark.parametrize("config", [
    SMALL,
    {**SMALL, "classes": 3, "padding": "circular"},
    {"kind": "unet", "image_shape": [3, 8, 8], "width": 8, "embedding": 16, "classes": 3},
    {"kind": "unet", "image_shape": [1, 8, 8], "width": 8, "embedding": 16, "attention": True},
])
def test_gradients_reach_every_parameter(config):
    torch.manual_seed(1)
    network = networks.build(config)
    if config.get("attention"):
        torch.nn.init.normal_(network.attention.out.weight)
    x = torch.randn(6, *network.image_shape)
    label = torch.arange(6) % 3 if network.label_required else None
    network(x, torch.linspace(0, 0.999, 6), label).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_time_and_label_matter():
    network = small(classes=2)
    x = torch.randn(1, 1, 8, 8)
    assert not torch.allclose(network.noise(x, 0.2, 0), network.noise(x, 0.8, 0), atol=1e-4)
    assert not torch.allclose(network.noise(x, 0.2, 0), network.noise(x, 0.2, 1), atol=1e-4)


# -- a network is a denoiser -------------------------------------------------------------------------------


def test_the_three_answers_agree():
    network = small().double()
    x = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    t = torch.tensor([0.1, 0.5, 1.0])
    x0, eps = network.predict(x, t)
    alpha, sigma = (level(t).view(3, 1, 1, 1) for level in (network.schedule.alpha, network.schedule.sigma))
    torch.testing.assert_close(alpha * x0 + sigma * eps, x)
    torch.testing.assert_close(network.denoise(x, t), x0)
    torch.testing.assert_close(network.score(x, t), (alpha * x0 - x) / sigma**2)
    torch.testing.assert_close(network(x, t.double()), eps)


def test_batches_and_dtypes():
    network = small()
    x = torch.randn(3, 1, 8, 8)
    together = network.noise(x, torch.tensor([0.1, 0.5, 0.9]))
    for one, t in zip(range(3), (0.1, 0.5, 0.9)):
        torch.testing.assert_close(network.noise(x[one : one + 1], t), together[one : one + 1], atol=1e-5, rtol=1e-5)
    assert network.noise(x.double(), 0.5).dtype == torch.float64
    assert network.noise(torch.randn(1, 1, 12, 10), 0.5).shape == (1, 1, 12, 10)


def test_sampling_a_network():
    network = small()
    noise = torch.randn(2, 1, 8, 8)
    before = noise.clone()
    images = elsedu.sample(network, noise, steps=4)
    assert images.shape == noise.shape and torch.isfinite(images).all() and torch.equal(noise, before)
    assert torch.equal(images, elsedu.sample(network, noise, steps=4))


def test_draws_at_any_size_it_accepts():
    """A convolutional network has no fixed size; a machine draws at the size of its images."""
    network = UNet((1, 8, 8), width=8, embedding=16)
    noise = torch.randn(1, 1, 12, 16)
    assert elsedu.sample(network, noise, steps=2).shape == noise.shape
    with pytest.raises(ValueError, match=r"multiples of 4, got noise of shape \(1, 1, 10, 8\)"):
        elsedu.sample(network, noise[..., :10, :8], steps=2)
    with pytest.raises(ValueError, match=r"noise .*\(1, 12, 16\); expected \(1, 8, 8\)"):
        elsedu.sample(elsedu.EquivariantLocalScore(elsedu.load("digits"), 3), noise, steps=2)


def test_bad_queries():
    x = torch.randn(2, 1, 8, 8)
    plain, conditional = small(), small(classes=3)
    with pytest.raises(ValueError, match="class-conditional"):
        conditional.noise(x, 0.5)
    with pytest.raises(ValueError, match="label 3"):
        conditional.denoise(x, 0.5, 3)
    with pytest.raises(ValueError, match="no labels"):
        plain.noise(x, 0.5, 1)
    with pytest.raises(ValueError, match=r"1 channels.*\(2, 3, 8, 8\)"):
        plain.noise(torch.randn(2, 3, 8, 8), 0.5)
    with pytest.raises(ValueError, match=r"multiples of 4, got x of shape \(1, 1, 10, 8\)"):
        UNet((1, 8, 8), width=8, embedding=16).noise(torch.randn(1, 1, 10, 8), 0.5)
    for t in (-0.1, 1.5, float("nan"), torch.tensor([0.1, 0.2, 0.3])):
        with pytest.raises(ValueError, match="t "):
            plain.noise(x, t)
    assert conditional.noise(x, 0.5, 1).shape == x.shape
    assert conditional.noise(x, 0.5, torch.tensor([0, 2])).shape == x.shape


@pytest.mark.parametrize("config, message", [
    ({"kind": "transformer"}, "unknown kind of network 'transformer'; known: resnet, unet"),
    ({**SMALL, "colour": 1}, "colour"),
    ({**SMALL, "padding": "reflect"}, "padding must be one of"),
    ({**SMALL, "width": 0}, "width"),
    ({**SMALL, "classes": -1}, "classes"),
    ({**SMALL, "embedding": 5}, "embedding"),
    ({**SMALL, "image_shape": [1, 8]}, "image_shape"),
    ({**SMALL, "schedule": "sigmoid"}, "sigmoid"),
    ({"kind": "unet", "image_shape": [1, 6, 8]}, "multiples of 4"),
    ({"kind": "unet", "image_shape": [1, 8, 8], "width": 8, "attention": True, "heads": 5}, "heads must divide"),
])
def test_bad_configurations(config, message):
    with pytest.raises(ValueError, match=message):
        networks.build(config)


# -- files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [
    {**SMALL, "classes": 3, "padding": "circular", "schedule": "flow_matching", "time_scale": 10.0},
    {"kind": "unet", "image_shape": [1, 8, 8], "width": 8, "embedding": 16, "attention": True},
])
def test_round_trip(tmp_path, config):
    torch.manual_seed(2)
    network = networks.build(config)
    network.name = "mine"
    path = networks.save(network, tmp_path / "new" / "net.safetensors", {"data": {"hash": "abc"}})
    again = networks.load(path)
    assert again.config == network.config and again.name == "mine" and again.provenance == {"data": {"hash": "abc"}}
    assert again.schedule == network.schedule and not again.training
    for (name, ours), (_, theirs) in zip(network.state_dict().items(), again.state_dict().items()):
        assert torch.equal(ours, theirs), name
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.safetensors"]


def test_half_precision_files(tmp_path):
    network = small()
    whole = networks.save(network, tmp_path / "whole.safetensors")
    half = networks.save(network, tmp_path / "half.safetensors", dtype=torch.float16)
    assert half.stat().st_size < 0.75 * whole.stat().st_size
    again = networks.load(half)
    assert again.dtype == torch.float32
    x = torch.randn(1, 1, 8, 8)
    torch.testing.assert_close(again.noise(x, 0.5), network.noise(x, 0.5), atol=5e-3, rtol=0)


def test_damaged_files(tmp_path):
    path = networks.save(small(), tmp_path / "net.safetensors")
    content = path.read_bytes()
    for length in (0, 5, 100, len(content) // 2, len(content) - 1):
        broken = tmp_path / "broken.safetensors"
        broken.write_bytes(content[:length])
        with pytest.raises(ValueError, match="truncated or not a safetensors file"):
            networks.load(broken)
    with pytest.raises(FileNotFoundError, match="nothing"):
        networks.load(tmp_path / "nothing.safetensors")


def test_wrong_architecture_changes_nothing(tmp_path):
    path = networks.save(small(), tmp_path / "net.safetensors")
    other = small(width=16)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(ValueError, match="another architecture: width is 8 in the file, 16 here"):
        networks.load(path, into=other)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
    same = small(width=8)
    torch.nn.init.zeros_(same.up.weight)
    networks.load(path, into=same)
    assert same.up.weight.abs().max() > 0


def test_weights_that_do_not_fit_their_configuration(tmp_path):
    from safetensors.torch import save_file

    network = small()
    tensors = dict(network.state_dict())
    tensors["up.bias"] = torch.zeros(3)
    metadata = {"format": "elsedu-network-1", "config": json.dumps(network.config)}
    save_file(tensors, tmp_path / "net.safetensors", metadata)
    with pytest.raises(ValueError, match=r"do not fit its configuration: up\.bias"):
        networks.load(tmp_path / "net.safetensors")
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"not written by elsedu\.networks\.save"):
        networks.load(tmp_path / "other.safetensors")


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = networks.save(small(), tmp_path / "net.safetensors")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        networks.save(small(width=16), path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_unknown_name():
    with pytest.raises(ValueError, match="no shipped network is called 'digits-gan'; known: "):
        elsedu.network("digits-gan")


@pytest.mark.parametrize("name", networks.available())
def test_shipped_networks(name):
    """Each is small, complete, trained on the data at hand, described by a card, and a recipe makes it.

    Of the sets that are not embedded only what the file says is looked at, and other images are denoised.
    """
    network = elsedu.network(name)
    path = networks.FOLDER / f"{name}.safetensors"
    assert path.stat().st_size <= 5 * 2**20
    assert network.name == name and not network.training
    recipe = elsedu.experiments.recipe(name)
    assert {key: network.config[key] for key in recipe.network} == recipe.network
    assert network.provenance["settings"] == recipe.settings.as_dict()
    assert network.provenance["steps"] == recipe.settings.steps
    assert path.with_suffix(".md").read_text() == cards.card(network)
    assert recipe.data != "celeba"  # for non-commercial research only
    if SOURCES[recipe.data].embedded:
        data, limit = recipe.load_data(), 0.3
        assert networks.check_data(network, data)
    else:
        assert network.provenance["data"]["name"] == recipe.data and network.provenance["data"]["hash"]
        colour, limit = network.image_shape[0] == 3, 0.5
        data = elsedu.load("photos32" if colour else "mnist5k", size=network.image_shape[1])
    # it denoises: far better than the blank answer 0, whose error is 1
    x0 = data.images[:: max(1, len(data) // 32)][:32]
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    label = 0 if network.label_required else None
    with torch.no_grad():
        error = (network.noise(network.schedule.add_noise(x0, 0.5, eps), 0.5, label) - eps).square().mean()
    assert error < limit


def test_check_data_warns():
    data = elsedu.load("digits").take(range(10))
    network = small()
    with pytest.warns(UserWarning, match="does not say on which data"):
        assert not networks.check_data(network, data)
    network.provenance = {"data": {"hash": "0123456789abcdef"}}
    with pytest.warns(UserWarning, match=f"0123456789abcdef.*{data.hash}"):
        assert not networks.check_data(network, data)
    network.provenance = {"data": {"hash": data.hash}}
    assert networks.check_data(network, data)


def test_sparkline():
    assert cards.sparkline([1.0, 10.0, 100.0]) == "▁▅█"
    assert cards.sparkline([2.0, 2.0]) == "▁▁"
