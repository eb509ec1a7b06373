"""Schedules, windows, noise and metrics of the page are those of Python."""

import numpy as np
import pytest
import torch

import elsedu
from elsedu.live.random import normal_noise

pytestmark = pytest.mark.browser
TIMES = [0, 0.0004, 0.05, 0.31, 0.5, 0.7777, 0.999, 1]


@pytest.mark.parametrize("name", ["cosine", "linear_vp", "flow_matching"])
def test_schedules(page, name):
    schedule = elsedu.schedule.by_name(name)
    found = page.evaluate(
        """([name, times]) => {
        const schedule = live.byName(name);
        return times.map((t) => [schedule.alpha(t), schedule.sigma(t), schedule.timeOfRatio(2 * t)]);
    }""",
        [name, TIMES],
    )
    expected = [
        [float(schedule.alpha(t)), float(schedule.sigma(t)), float(schedule.time_of_ratio(2 * t))] for t in TIMES
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_windows_over_time(page):
    windows = [3, 3, 5, 7, 7, 9, 13]
    times = [k / 40 for k in range(1, 41)]
    found = page.evaluate(
        """([windows, times]) => {
        const scales = new live.ScaleSchedule(windows);
        return times.map((t) => [scales.at(t), scales.at(t, live.flowMatching())]);
    }""",
        [windows, times],
    )
    scales = elsedu.ScaleSchedule(windows)
    assert found == [[*scales.at(t), *scales.at(t, elsedu.schedule.flow_matching())] for t in times]


def test_noise_from_a_seed(page):
    for seed in (0, 1, 2**32 - 1, -5, 123456789):
        found = page.evaluate("(seed) => [...live.normalNoise(seed, 1001)]", seed)
        np.testing.assert_allclose(found, normal_noise(seed, 1001), rtol=1e-6, atol=1e-9)
    noise = normal_noise(3, 40_000)
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.02


def test_metrics(page):
    a, b = normal_noise(1, 64), normal_noise(2, 64)
    images = torch.from_numpy(normal_noise(3, 640).reshape(10, 64))
    r, error, nearest = page.evaluate(
        """([a, b, images]) => [live.pearson(a, b), live.meanSquaredError(a, b),
        live.nearest(Float32Array.from(a), Float32Array.from(images))]""",
        [a.tolist(), b.tolist(), images.flatten().tolist()],
    )
    assert r == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)
    assert error == pytest.approx(((a - b) ** 2).mean(), rel=1e-5)
    distances = ((images - torch.from_numpy(a)) ** 2).mean(1).sqrt()
    assert nearest["image"] == int(distances.argmin())
    assert nearest["distance"] == pytest.approx(float(distances.min()), rel=1e-5)
