"""Local consistency and provenance: the theorem on mosaics, checked on machines small enough to solve by hand."""

import pytest
import torch
from support import random_images, rng

import elsedu
from elsedu import mosaic


@pytest.fixture(scope="module")
def toy():
    """The paper's toy: one black and one white image, 3 x 3 windows on a torus."""
    return elsedu.EquivariantLocalScore(elsedu.load("two-images", size=8), 3, border="circular", backend="torch")


def majority(image):
    shifted = [torch.roll(image, (i, j), (-2, -1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return torch.sign(sum(shifted))


def test_the_toy_is_the_majority_rule(toy):
    """Consistent exactly where every pixel is the majority of its 3 x 3 neighbourhood."""
    for seed in range(5):
        image = torch.sign(torch.randn(1, 8, 8, generator=rng(seed)))
        consistent = mosaic.is_locally_consistent(toy, image)
        assert torch.equal(consistent, (majority(image) == image)[0])
    stripes = torch.ones(1, 8, 8)
    stripes[:, :, :4] = -1
    assert bool(mosaic.is_locally_consistent(toy, stripes).all())
    stripes[0, 3, 1] = 1
    broken = ~mosaic.is_locally_consistent(toy, stripes)
    assert broken.nonzero().tolist() == [[3, 1]]


def test_samples_of_the_toy_are_mosaics(toy):
    noise = torch.randn(6, 1, 8, 8, generator=rng(0), dtype=torch.float64)
    fine, coarse = (torch.sign(elsedu.sample(toy, noise, steps)) for steps in (200, 4))
    share = [float(mosaic.is_locally_consistent(toy, image).double().mean()) for image in (fine, coarse)]
    assert share[0] > 0.98 and share[0] > share[1]  # steps that are too large break the consistency
    assert len({tuple(s.flatten().tolist()) for s in fine}) > 2  # more than the two training images


@pytest.mark.parametrize("border", ["zero", "circular"])
def test_training_images_are_consistent(border):
    images = random_images(5, 3, 6, 6)
    for m in (elsedu.EquivariantLocalScore(images, 3, border=border), elsedu.LocalScore(images, 3, border=border),
              elsedu.IdealScore(images)):
        assert bool(mosaic.is_locally_consistent(m, images[2]).all())
        source = mosaic.provenance(m, images[2])
        assert source.shape == (6, 6, 3)
        assert torch.equal(mosaic.patch_colours(m, source), images[2])


def test_noise_is_not_consistent():
    m = elsedu.EquivariantLocalScore(random_images(5, 1, 6, 6), 3)
    assert not bool(mosaic.is_locally_consistent(m, torch.randn(1, 6, 6, generator=rng(1))).any())


def test_the_nearest_patch_by_brute_force():
    images, radius = random_images(4, 1, 7, 7), 1
    m = elsedu.EquivariantLocalScore(images, 3)
    query = random_images(1, 1, 7, 7, seed=9)[0]
    source = mosaic.provenance(m, query)
    for i, j in ((3, 3), (1, 5)):  # inside pixels: all inside patches
        patches = images.unfold(2, 3, 1).unfold(3, 3, 1)[:, 0]                       # (N, 5, 5, 3, 3)
        window = query[0, i - radius:i + radius + 1, j - radius:j + radius + 1]
        n, row, column = torch.unravel_index((patches - window).square().sum((-1, -2)).argmin(), patches.shape[:3])
        assert source[i, j].tolist() == [int(n), int(row) + radius, int(column) + radius]


def test_batches_times_and_labels():
    data = elsedu.ImageSet(random_images(6, 1, 6, 6), torch.tensor([0, 0, 0, 1, 1, 1]))
    m = elsedu.EquivariantLocalScore(data, elsedu.ScaleSchedule([3, 5]), backend="torch")
    batch = data.images[:2]
    assert mosaic.provenance(m, batch).shape == (2, 6, 6, 3)
    assert mosaic.is_locally_consistent(m, batch).shape == (2, 6, 6)
    labelled = mosaic.provenance(m, batch, label=1)
    assert labelled[..., 0].min() >= 3
    at_time = mosaic.provenance(m, batch, t=0.5)
    assert torch.equal(at_time, m.posterior(batch, 0.5).source)


def test_ties_accept_the_mean_of_the_tied_centres():
    a = torch.zeros(1, 1, 5, 5)
    b = a.clone()
    b[..., 2, 2] = 1.0
    m = elsedu.LocalScore(torch.cat([a, b]), 1)
    halfway = a[0].clone()
    halfway[0, 2, 2] = 0.5  # as far from 0 as from 1
    assert bool(mosaic.is_locally_consistent(m, halfway).all())
    halfway[0, 2, 2] = 0.4
    assert not bool(mosaic.is_locally_consistent(m, halfway)[2, 2])


def test_bad_input():
    m = elsedu.EquivariantLocalScore(random_images(3, 1, 6, 6), 3)
    with pytest.raises(ValueError, match=r"\(C, H, W\) or \(B, C, H, W\)"):
        mosaic.provenance(m, torch.zeros(6, 6))
    with pytest.raises(ValueError, match="tol"):
        mosaic.is_locally_consistent(m, torch.zeros(1, 6, 6), tol=-1)
    with pytest.raises(ValueError, match="expected"):
        mosaic.is_locally_consistent(m, torch.zeros(1, 7, 6))
