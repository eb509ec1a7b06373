"""Noise schedules and the changes of variables between image, noise, score and velocity."""

import math

import pytest
import torch

import elsedu
from elsedu.diffusion import schedule as schedules

ALL = [schedules.cosine(), schedules.linear_vp(), schedules.flow_matching()]


def by(schedule):
    return schedule.name


@pytest.mark.parametrize("schedule", ALL, ids=by)
def test_ends_and_monotony(schedule):
    assert float(schedule.alpha(0)) == 1 and float(schedule.sigma(0)) == 0
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    assert alpha.dtype == sigma.dtype == torch.float64
    assert bool((alpha.diff() < 0).all()) and bool((sigma.diff() > 0).all())
    if schedule.name != "flow_matching":  # variance preserving
        assert (alpha**2 + sigma**2 - 1).abs().max() < 1e-12


def test_values_of_the_paper():
    cosine = schedules.cosine()
    for t, beta in ((0.05, 0.00606), (0.95, 0.9919), (1.0, 0.99984)):
        assert abs(float(cosine.sigma(t)) ** 2 - beta) < 1e-4
    assert abs(float(cosine.alpha(1)) - math.cos(math.pi / 2.016)) < 1e-15


def test_linear_vp_is_ddpm():
    linear = schedules.linear_vp()
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha_bar = torch.cumprod(1 - beta, 0)
    t = torch.arange(1, 1001, dtype=torch.float64) / 1000
    assert (linear.alpha(t) ** 2 - alpha_bar).abs().max() < 1e-13
    between = linear.alpha(0.0105) ** 2
    assert abs(float(torch.log(between) - torch.log(alpha_bar[9] * alpha_bar[10]) / 2)) < 1e-12


@pytest.mark.parametrize("schedule", ALL, ids=by)
def test_derivatives(schedule):
    t = torch.tensor([0.0123, 0.2004, 0.5006, 0.9001], dtype=torch.float64)
    h = 1e-6
    for level, slope in ((schedule.alpha, schedule.alpha_derivative), (schedule.sigma, schedule.sigma_derivative)):
        assert ((level(t + h) - level(t - h)) / (2 * h) - slope(t)).abs().max() < 1e-6


@pytest.mark.parametrize("schedule", ALL, ids=by)
def test_time_of_ratio(schedule):
    t = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    assert (schedule.time_of_ratio(schedule.sigma(t) / schedule.alpha(t)) - t).abs().max() < 1e-9
    assert float(schedule.time_of_ratio(torch.inf)) == 1
    with pytest.raises(ValueError, match="negative"):
        schedule.time_of_ratio(-0.1)


@pytest.mark.parametrize("schedule", ALL, ids=by)
def test_round_trips(schedule):
    generator = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(3, 1, 4, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.tensor([0.1004, 0.5004, 0.9004], dtype=torch.float64)  # between the knots of linear_vp
    x = schedule.add_noise(x0, t, eps)
    assert torch.allclose(schedule.noise_from_x0(x, x0, t), eps, atol=1e-12)
    assert torch.allclose(schedule.x0_from_noise(x, eps, t), x0, atol=1e-9)
    assert torch.allclose(schedule.score_from_x0(x, x0, t), schedule.score_from_noise(eps, t), atol=1e-9)
    h = 1e-6
    moved = (schedule.add_noise(x0, t + h, eps) - schedule.add_noise(x0, t - h, eps)) / (2 * h)
    assert (schedule.velocity(x0, eps, t) - moved).abs().max() < 1e-4


def test_what_cannot_be_divided():
    x = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match=r"sigma.*0 at t = 0"):
        schedules.cosine().noise_from_x0(x, x, 0.0)
    with pytest.raises(ValueError, match=r"alpha.*0 at t = 1"):
        schedules.flow_matching().x0_from_noise(x, x, 1.0)


@pytest.mark.parametrize("t", [-0.1, 1.1, math.nan])
def test_times_out_of_range(t):
    x = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        schedules.cosine().add_noise(x, t, x)


def test_names():
    for schedule in ALL:
        assert schedules.by_name(schedule.name) == schedule
    assert schedules.cosine() != schedules.linear_vp()
    with pytest.raises(ValueError, match="cosine, linear_vp, flow_matching"):
        elsedu.schedule.by_name("sine")
