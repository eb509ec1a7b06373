"""Queries at the edge of what numbers can tell: windows beyond the image, little noise, half precision, huge pixels."""

import pytest
import torch
from confined import FORK, confined
from support import MACHINES, machine, needs, random_images, rng

import elsedu
from elsedu.posterior import FIELDS

LOCAL = ["ls-zero", "els-zero"]


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("backend", ["torch", "native", "definition"])
def test_a_window_beyond_the_image_is_the_whole_image(name, backend):
    needs(backend)
    images = random_images(6, 1, 5, 7, dtype=torch.float32)
    x = torch.randn(2, 1, 5, 7, generator=rng(1))
    small, large = (machine(name, images, window=w, backend=backend) for w in (13, 2**31 + 1))
    first, second = small.posterior(x, 0.4), large.posterior(x, 0.4)
    several = small.posterior(x, 0.4, windows=[13, 3, 1001, 2**80 + 1])
    for field in FIELDS:
        assert torch.equal(getattr(first, field), getattr(second, field))
        assert torch.allclose(getattr(first, field), getattr(several[2**80 + 1], field), rtol=1e-5, atol=1e-6)
    assert list(several) == [13, 3, 1001, 2**80 + 1]
    scales = elsedu.ScaleSchedule([3, 20001])
    assert torch.equal(machine(name, images, window=scales, backend=backend).denoise(x, 0.9), small.denoise(x, 0.9))


@FORK
@pytest.mark.parametrize("backend", ["torch", "native", "definition"])
def test_a_huge_window_takes_no_more_memory_or_time(backend):
    needs(backend)
    images = random_images(20, 1, 8, 8, dtype=torch.float32)
    query = torch.zeros(1, 1, 8, 8)
    outcome = confined(lambda: machine("els-zero", images, window=20001, backend=backend).denoise(query, 0.5).shape)
    assert outcome.kind == "returned" and outcome.grown < 100e6, outcome


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("backend", ["torch", "native"])
@pytest.mark.parametrize("t", [9e-4, 1e-4, 1e-5, 1e-6])
def test_little_noise_is_computed_as_the_definition_does(name, backend, t):
    needs(backend)
    images = random_images(8, 1, 6, 6, dtype=torch.float32)
    m, exact = (machine(name, images, backend=b) for b in (backend, "definition"))
    noise = torch.randn(3, 1, 6, 6, generator=rng(2))
    x = m.schedule.add_noise(images[:3], t, noise)
    got, wanted = m.posterior(x, t), exact.posterior(x.double(), t)
    assert got.mean.dtype == torch.float32
    assert (got.mean - wanted.mean).abs().max() < 1e-5
    assert torch.equal(got.source[~wanted.tied], wanted.source[~wanted.tied])
    assert ((got.log_evidence - wanted.log_evidence).abs() < 1e-5 * wanted.log_evidence.abs() + 1e-3).all()
    assert (got.effective_patches - wanted.effective_patches).abs().max() < 1e-3 * wanted.effective_patches.max()


def test_times_that_rounding_hides_are_refused():
    m = machine("els-zero", random_images(4, 1, 6, 6))
    x = torch.zeros(2, 1, 6, 6, dtype=torch.float64)
    for t in (5e-324, 1e-7, torch.tensor([0.5, 1e-9])):
        with pytest.raises(ValueError, match=r"t = \S+ leaves noise of standard deviation \S+, which rounding hides"):
            m.denoise(x, t)


def test_batches_of_fine_and_coarse_times_agree_with_single_queries():
    images = random_images(8, 1, 6, 6, dtype=torch.float32)
    m = machine("els-zero", images)
    x = torch.randn(3, 1, 6, 6, generator=rng(3))
    t = torch.tensor([0.5, 1e-4, 0.7], dtype=torch.float64)
    together = m.posterior(x, t)
    for k in range(3):
        one = m.posterior(x[k : k + 1], t[k : k + 1])
        assert torch.allclose(together.mean[k], one.mean[0], atol=1e-6) and together.mean.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", MACHINES)
def test_half_precision_is_finite_at_all_times(name, dtype):
    images = random_images(8, 3, 6, 6, dtype=torch.float32)
    m = machine(name, images)
    x = torch.randn(2, 3, 6, 6, generator=rng(4)).to(dtype)
    for t in (1.0, 0.3, 0.011, 1e-3, 1e-5):
        post, wanted = m.posterior(x, t), m.posterior(x.float(), t)
        assert post.mean.dtype == dtype and torch.equal(post.mean, wanted.mean.to(dtype))
        assert all(bool(torch.isfinite(getattr(post, field)).all()) for field in FIELDS)
        assert torch.equal(post.effective_patches, wanted.effective_patches)


@pytest.mark.parametrize("value", [1e20, 3e38, -1e7])
def test_pixels_whose_squares_overflow_are_refused(value):
    images = random_images(4, 1, 6, 6, dtype=torch.float32)
    with pytest.raises(ValueError, match=r"x holds the value \S+; pixels lie in"):
        machine("els-zero", images).denoise(torch.full((1, 1, 6, 6), value), 0.5)
    with pytest.raises(ValueError, match=r"images have pixels in .*expected \[-1, 1\]"):
        elsedu.ImageSet(images + value)
