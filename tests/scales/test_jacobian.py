"""Heat maps of what a denoiser looks at, against closed forms."""

import numpy as np
import pytest
import torch

import elsedu
from elsedu.scales.jacobian import covering_window, effective_width, heat_map, over_time


@pytest.fixture(scope="module")
def few():
    digits = elsedu.load("digits")
    return elsedu.ImageSet(digits.images[:30].double(), None, "thirty digits")


def test_linear_denoiser(few):
    """The Wiener filter's Jacobian is the matrix alpha S (alpha^2 S + sigma^2)^-1, whatever the image."""
    flat = few.images.flatten(1)
    covariance = (flat - flat.mean(0)).T @ (flat - flat.mean(0)) / len(flat)

    class Linear(elsedu.Denoiser):
        schedule, image_shape = elsedu.schedule.cosine(), (1, 8, 8)
        gain = 0.5 * covariance @ torch.linalg.inv(0.25 * covariance + 0.75 * torch.eye(64, dtype=torch.float64))

        def _denoise(self, x, t, label):
            return (x.flatten(1) @ self.gain.T).view(x.shape)

    heat = heat_map(Linear(), torch.zeros(2, 1, 8, 8, dtype=torch.float64), 0.5)
    assert torch.allclose(heat, Linear.gain.view(8, 8, 64)[4, 4].view(8, 8).abs(), atol=1e-12)


@pytest.mark.parametrize("window", [3, 5])
def test_a_local_machine_sees_its_window_only(few, window):
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    heat = heat_map(elsedu.LocalScore(few, window), x, 0.6)
    radius = window // 2
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[4 - radius:5 + radius, 4 - radius:5 + radius] = True
    assert (heat[~inside] == 0).all() and (heat[inside] > 0).all()
    assert covering_window(heat, 1.0) == window


def test_against_finite_differences(few):
    machine = elsedu.EquivariantLocalScore(few, 3)
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    heat = heat_map(machine, x, 0.5, pixel=(2, 3))
    for row, column in [(2, 3), (1, 4), (3, 2)]:
        step = torch.zeros_like(x)
        step[0, 0, row, column] = 1e-5
        slope = (machine.denoise(x + step, 0.5) - machine.denoise(x - step, 0.5))[0, 0, 2, 3] / 2e-5
        assert heat[row, column] == pytest.approx(abs(float(slope)), rel=1e-6)


def test_widths_of_known_maps():
    even = np.zeros((15, 15))
    even[4:11, 4:11] = 1                       # an even 7 x 7 window
    assert effective_width(even) == pytest.approx(7)
    assert covering_window(even, 1.0) == 7 and covering_window(even, 0.5) == 5 and covering_window(even, 1 / 49) == 1
    point = np.zeros((8, 8))
    point[4, 4] = 3
    assert effective_width(point) == 1 and covering_window(point) == 1


def test_the_machines_window_is_seen_over_time(few):
    times, maps = over_time(elsedu.LocalScore(few, elsedu.ScaleSchedule([3, 3, 7, 7])), samples=2, steps=4)
    assert times == [0.25, 0.5, 0.75, 1.0]
    assert [covering_window(m, 1.0) for m in maps] == [3, 3, 7, 7]


def test_bad_input(few):
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    with pytest.raises(ValueError, match="outside"):
        heat_map(elsedu.LocalScore(few, 3), x, 0.5, pixel=(8, 0))
    for heat in (np.zeros((3, 3)), np.ones(3), -np.ones((3, 3))):
        with pytest.raises(ValueError, match="non-negative"):
            effective_width(heat)
    with pytest.raises(ValueError, match="share"):
        covering_window(np.ones((3, 3)), 1.5)
    with pytest.raises(ValueError, match="no seeds"):
        over_time(elsedu.LocalScore(few, 3), samples=0)
