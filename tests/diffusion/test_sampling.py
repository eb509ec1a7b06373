"""DDIM: against diffusers, against the exact solution, and what it refuses."""

import pytest
import torch
from support import machine, random_images, rng

import elsedu
from elsedu.diffusion import sampling


class Exact(elsedu.Denoiser):
    """The denoiser of one Gaussian N(m, s^2) a pixel: its probability-flow ODE has a closed-form solution."""

    def __init__(self, mean, spread, schedule):
        self.mean, self.spread, self.schedule = mean, spread, schedule

    def _denoise(self, x, t, label):
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        gain = alpha * self.spread**2 / (alpha**2 * self.spread**2 + sigma**2)
        return self.mean + gain.to(x.dtype) * (x - alpha.to(x.dtype) * self.mean)


@pytest.mark.parametrize("schedule", [elsedu.schedule.cosine(), elsedu.schedule.flow_matching()], ids=lambda s: s.name)
def test_converges_to_the_probability_flow(schedule):
    """x(0) = m + s (x(1) - alpha m)/sqrt(alpha^2 s^2 + sigma^2), to first order in the step."""
    denoiser = Exact(0.3, 0.5, schedule)
    noise = torch.randn(1, 1, 4, 4, generator=rng(0), dtype=torch.float64)
    alpha, sigma = float(schedule.alpha(1.0)), float(schedule.sigma(1.0))
    exact = 0.3 + 0.5 * (noise - alpha * 0.3) / (alpha**2 * 0.25 + sigma**2) ** 0.5
    errors = [float((elsedu.sample(denoiser, noise, steps) - exact).abs().max()) for steps in (20, 40, 80)]
    assert errors[2] < 0.03
    assert 1.7 < errors[0] / errors[1] < 2.3 and 1.7 < errors[1] / errors[2] < 2.3


def test_what_the_generator_yields():
    images = random_images(5, 1, 5, 5)
    m, noise = machine("els-zero", images), torch.randn(2, 1, 5, 5, generator=rng(0), dtype=torch.float64)
    kept = noise.clone()
    path = list(sampling.ddim(m, noise, steps=4))
    assert [t for t, _, _ in path] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert torch.equal(path[0][1], noise) and torch.equal(noise, kept)
    assert torch.equal(path[-1][1], path[-1][2])
    assert torch.equal(path[-1][1], elsedu.sample(m, noise, steps=4))
    # sigma(0) = 0: the last step returns the last denoised image
    assert torch.allclose(path[-1][1], path[-2][2])
    # one step by hand
    t, x, x0 = path[1]
    assert torch.allclose(x0, m.denoise(x, t))
    alpha, sigma = (float(f(0.5)) for f in (m.schedule.alpha, m.schedule.sigma))
    assert torch.allclose(path[2][1], alpha * x0 + sigma * m.noise(x, t))


def test_each_step_uses_the_window_of_its_own_time():
    """The published code starts at t = 1 - 1/n and reads the scale one step off; this one does not."""
    images = random_images(6, 1, 7, 7)
    scales = elsedu.ScaleSchedule([1, 3, 5, 7])
    noise = torch.randn(1, 1, 7, 7, generator=rng(0), dtype=torch.float64)
    scheduled = elsedu.EquivariantLocalScore(images, scales, backend="torch")
    for t, x, x0 in sampling.ddim(scheduled, noise, steps=4):
        if t > 0:
            fixed = elsedu.EquivariantLocalScore(images, scales.windows[round(4 * t) - 1], backend="torch")
            assert torch.equal(x0, fixed.denoise(x, t))


def test_labels_reach_the_machine():
    data = elsedu.ImageSet(random_images(6, 1, 5, 5), torch.tensor([0, 0, 0, 1, 1, 1]))
    m, noise = elsedu.IdealScore(data), torch.randn(2, 1, 5, 5, generator=rng(0), dtype=torch.float64)
    drawn = elsedu.sample(m, noise, steps=20, label=torch.tensor([0, 1]))
    index, _ = elsedu.metrics.nearest(data.images, drawn)
    assert data.labels[index].tolist() == [0, 1]


def test_flow_matching_starts_from_no_signal():
    images = random_images(4, 1, 5, 5)
    m = elsedu.LocalScore(images, 3, schedule=elsedu.schedule.flow_matching())
    drawn = elsedu.sample(m, torch.randn(1, 1, 5, 5, generator=rng(0), dtype=torch.float64), steps=20)
    assert bool(torch.isfinite(drawn).all())


@pytest.mark.parametrize("steps,error", [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_bad_steps(steps, error):
    m = machine("is", random_images(3, 1, 4, 4))
    with pytest.raises(error, match="steps must be"):
        elsedu.sample(m, torch.zeros(1, 1, 4, 4), steps=steps)
    with pytest.raises(error, match="steps must be"):
        sampling.ddim(m, torch.zeros(1, 1, 4, 4), steps=steps)  # at the call, not at the first image


def test_bad_noise():
    m = machine("is", random_images(3, 1, 4, 4))
    with pytest.raises(ValueError, match=r"noise has images of shape .*\(1, 5, 5\); expected \(1, 4, 4\)"):
        elsedu.sample(m, torch.zeros(1, 1, 5, 5))


@pytest.mark.parametrize("steps", [10, 20, 50])
def test_equals_diffusers(steps):
    """The same DDIM as Hugging Face's, on DDPM's schedule, for step counts that divide 1000."""
    diffusers = pytest.importorskip("diffusers", reason="optional dependency [pretrained]")
    scheduler = diffusers.DDIMScheduler(
        num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear",
        clip_sample=False, set_alpha_to_one=True, timestep_spacing="trailing",
    )
    scheduler.set_timesteps(steps)
    images = random_images(5, 1, 6, 6)
    m = elsedu.EquivariantLocalScore(images, 3, schedule=elsedu.schedule.linear_vp())
    noise = torch.randn(2, 1, 6, 6, generator=rng(0), dtype=torch.float64)
    theirs = noise.clone()
    for k in scheduler.timesteps.tolist():
        theirs = scheduler.step(m.noise(theirs, (k + 1) / 1000), k, theirs, eta=0.0).prev_sample
    ours = elsedu.sample(m, noise, steps)
    assert (ours - theirs).abs().max() < 1e-4
