"""Networks trained elsewhere: a small diffusers model saved to disk, its schedule and its three kinds of answer."""

import pytest
import torch

import elsedu
from elsedu import networks
from elsedu.networks.diffusers import tabulated

diffusers = pytest.importorskip("diffusers")
from pretrained_files import saved, unet


def test_it_is_the_model(tmp_path):
    model = unet()
    network = networks.from_diffusers(saved(tmp_path, model), local_files_only=True)
    assert network.image_shape == (1, 8, 8) and network.stride == 2 and network.classes is None
    assert network.schedule == elsedu.schedule.linear_vp()
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(network.noise(x, 0.5), model(x, 499).sample)
        torch.testing.assert_close(network.noise(x, torch.tensor([1.0, 0.001])),
                                   model(x, torch.tensor([999, 0])).sample)
    with pytest.raises(ValueError, match="multiples of 2"):
        network.noise(torch.randn(1, 1, 9, 8), 0.5)
    assert networks.receptive_field(network, size=16, samples=1) == 16  # it has attention


def test_sampling_equals_diffusers_ddim(tmp_path):
    model = unet()
    network = networks.from_diffusers(saved(tmp_path, model))
    scheduler = diffusers.DDIMScheduler(timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=True)
    scheduler.set_timesteps(10)
    noise = x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        for k in scheduler.timesteps:
            x = scheduler.step(model(x, k).sample, k, x).prev_sample
    torch.testing.assert_close(elsedu.sample(network, noise, steps=10), x, atol=1e-4, rtol=1e-4)


def test_calibration_and_comparison(tmp_path):
    """The machines take the network's own noise schedule, and so do its calibrated windows."""
    network = networks.from_diffusers(saved(tmp_path, unet(), beta_schedule="squaredcos_cap_v2"))
    data = elsedu.load("digits", limit=40)
    scales = {kind: elsedu.calibrate(network, kind, data, windows=[3, 5], steps=4, samples=2) for kind in ("els", "ls")}
    assert all(found.schedule == network.schedule and found.info["border"] == "zero" for found in scales.values())
    with pytest.warns(UserWarning, match="does not say on which data"):
        found = elsedu.compare(network, data, scales, seeds=3, steps=4, network_steps=(4, 6))
    machine = elsedu.EquivariantLocalScore(data, scales["els"], schedule=network.schedule)
    noise = elsedu.seeds.noise("test", range(3), data.shape)
    r = elsedu.metrics.pearson_r(elsedu.sample(machine, noise, 4), elsedu.sample(network, noise, 6))
    assert found.measured["agreement"]["6"]["els"]["pearson_r"]["median"] == pytest.approx(float(r.median()), abs=1e-3)
    with pytest.raises(ValueError, match="schedule"):
        elsedu.compare(network, data, elsedu.scales.published("cifar10-unet-attention"), seeds=1)


def test_model_with_its_scheduler_beside(tmp_path):
    unet().save_pretrained(tmp_path)
    diffusers.DDPMScheduler().save_pretrained(tmp_path)
    assert networks.from_diffusers(tmp_path).schedule == elsedu.schedule.linear_vp()


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_kinds_of_answer(tmp_path, prediction):
    """A denoised image made by diffusers' own scheduler from the model's answer is ours."""
    model = unet(num_class_embeds=3)
    options = {"prediction_type": prediction, "beta_schedule": "squaredcos_cap_v2", "clip_sample": False}
    network = networks.from_diffusers(saved(tmp_path, model, **options))
    assert network.classes == [0, 1, 2] and network.schedule.name.startswith("alpha_bar-")
    scheduler = diffusers.DDIMScheduler(**options)
    scheduler.set_timesteps(1000)
    x, label = torch.randn(2, 1, 8, 8), torch.tensor([2, 0])
    with torch.no_grad():
        answer = model(x, 699, class_labels=label).sample
        expected = scheduler.step(answer, 699, x).pred_original_sample
        torch.testing.assert_close(network.denoise(x, 0.7, label), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="class-conditional"):
        network.noise(x, 0.5)


def test_tabulated_schedule():
    scheduler = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    table = scheduler.alphas_cumprod.double()
    schedule = tabulated(table)
    t = torch.arange(1, 1001, dtype=torch.float64) / 1000
    torch.testing.assert_close(schedule.alpha(t).square(), table, atol=0, rtol=1e-9)
    torch.testing.assert_close(schedule.alpha(t).square() + schedule.sigma(t).square(), torch.ones(1000).double())
    ratio = schedule.sigma(0.4321) / schedule.alpha(0.4321)
    assert float(schedule.time_of_ratio(ratio)) == pytest.approx(0.4321, abs=1e-6)
    assert schedule == tabulated(table) and schedule != elsedu.schedule.linear_vp()
    assert float(schedule.sigma(0.0)) == 0


def test_errors(tmp_path):
    with pytest.raises(OSError, match="no UNet2DModel in"):
        networks.from_diffusers(tmp_path / "nothing")
    unet().save_pretrained(tmp_path / "bare" / "unet")
    with pytest.raises(OSError, match="no DDPMScheduler in"):
        networks.from_diffusers(tmp_path / "bare")
    with pytest.raises(ValueError, match="500 steps is not served"):
        networks.from_diffusers(saved(tmp_path / "short", unet(), num_train_timesteps=500))
    with pytest.raises(ValueError, match="1 channels to 2"):
        networks.from_diffusers(saved(tmp_path / "variance", unet(out_channels=2)))
    for table in ([0.5, 0.4], torch.full((1000,), 0.5), torch.linspace(1.0, 0.1, 1000)):
        with pytest.raises(ValueError, match="alpha_bar must be 1000 falling numbers"):
            tabulated(table)


def test_it_cannot_be_saved_as_ours(tmp_path):
    network = networks.from_diffusers(saved(tmp_path, unet()))
    with pytest.raises(ValueError, match="diffusers"):
        networks.save(network, tmp_path / "mine.safetensors")
    assert not (tmp_path / "mine.safetensors").exists()


CONFIGURATIONS = {
    "no attention": {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2},
    "attention everywhere": {"down_block_types": ("AttnDownBlock2D",) * 2, "up_block_types": ("AttnUpBlock2D",) * 2},
    "three scales in colour": {"in_channels": 3, "out_channels": 3, "block_out_channels": (8, 8, 16),
                               "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
                               "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D")},
    "Fourier times": {"time_embedding_type": "positional", "flip_sin_to_cos": False, "freq_shift": 1},
    "not square": {"sample_size": (8, 12)},
}  # fmt: skip
SCHEDULES = {
    "linear": {}, "squaredcos": {"beta_schedule": "squaredcos_cap_v2"},
    "scaled": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "other linear": {"beta_start": 0.001, "beta_end": 0.01},
}  # fmt: skip


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("pipeline", ["DDPM", "DDIM"])
def test_saved_pipelines(tmp_path, pipeline, schedule, prediction):
    """DDPM and DDIM pipelines as diffusers writes them: x0 is what diffusers' own scheduler makes of the answer."""
    options = {**SCHEDULES[schedule], "prediction_type": prediction, "clip_sample": False}
    scheduler = getattr(diffusers, f"{pipeline}Scheduler")(**options)
    model = unet()
    getattr(diffusers, f"{pipeline}Pipeline")(unet=model, scheduler=scheduler).save_pretrained(tmp_path)
    network = networks.from_diffusers(tmp_path, local_files_only=True)
    reference = diffusers.DDIMScheduler(**options)
    reference.set_timesteps(1000)
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    for step in (99, 499, 899):
        with torch.no_grad():
            expected = reference.step(model(x, step).sample, step, x).pred_original_sample
            found = network.denoise(x, (step + 1) / 1000)
        torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configurations_of_the_model(tmp_path, name):
    model = unet(**CONFIGURATIONS[name])
    network = networks.from_diffusers(saved(tmp_path, model))
    x = torch.randn(2, *network.image_shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network.noise(x, 0.3), model(x, 299).sample)
    assert torch.isfinite(elsedu.sample(network, x, steps=3)).all()


def test_latents_texts_and_other_noise_are_refused(tmp_path):
    folder = saved(tmp_path, unet())
    index = folder / "model_index.json"
    for content, words in (
        ('{"_class_name": "LDMPipeline", "vqvae": [], "unet": ["diffusers", "UNet2DModel"]}', "LDMPipeline.*latents"),
        ('{"_class_name": "StableDiffusionPipeline", "vae": [], "text_encoder": []}', "StableDiff.*latents"),
        ('{"unet": ["diffusers", "UNet2DConditionModel"]}', "UNet2DConditionModel, expected a UNet2DModel"),
        ("{", "model_index.json is damaged"), ("[" * 100_000, "nested too deeply"),
    ):  # fmt: skip
        index.write_text(content)
        with pytest.raises(ValueError, match=words):
            networks.from_diffusers(folder)
    index.unlink()
    diffusers.FlowMatchEulerDiscreteScheduler().save_pretrained(folder / "scheduler")
    with pytest.raises(ValueError, match="FlowMatchEulerDiscreteScheduler is not served"):
        networks.from_diffusers(folder)
    saved(tmp_path, unet(), rescale_betas_zero_snr=True)
    with pytest.raises(ValueError, match="no signal at t = 1"):
        networks.from_diffusers(folder)
