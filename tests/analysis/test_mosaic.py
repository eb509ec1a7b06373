"""Local consistency and provenance: the theorem on mosaics, checked on machines small enough to solve by hand."""

from itertools import pairwise

import matplotlib.pyplot as plt
import pytest
import torch
from support import random_images, rng

import elsedu
from elsedu import figures
from elsedu.analysis import mosaic


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
    post = m.posterior(batch, 0.5)
    assert torch.equal(at_time, post.source)
    source, tied = mosaic.provenance(m, batch, t=0.5, return_tied=True)
    assert torch.equal(source, post.source) and torch.equal(tied, post.tied)


def test_ties_with_one_centre_are_consistent():
    """Many equal patches, as on black ground: the source is one of many, the centre is not in doubt."""
    image = random_images(1, 1, 6, 6)
    twice = torch.cat([image, image])
    for m in (elsedu.LocalScore(twice, 3), elsedu.EquivariantLocalScore(twice, 3)):
        source, tied = mosaic.provenance(m, image[0], return_tied=True)
        assert bool(tied.all()) and torch.equal(mosaic.patch_colours(m, source), image[0])
        assert bool(mosaic.is_locally_consistent(m, image[0]).all())


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_ties_between_different_centres_are_not_consistent(value):
    """Neither one of the tied centres nor their mean: the theorem asks that all nearest patches agree."""
    a, b = torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 5, 5)
    a[..., 2, 2], b[..., 2, 1] = 1.0, 1.0           # two patches at (2, 2): centre 1, or left neighbour 1
    m = elsedu.LocalScore(torch.cat([a, b]), 3)
    image = torch.zeros(1, 5, 5)
    image[0, 2, 1] = image[0, 2, 2] = value          # as far from the one as from the other
    source, tied = mosaic.provenance(m, image, return_tied=True)
    assert bool(tied[2, 2]) and source[2, 2].tolist() == [0, 2, 2]
    assert not bool(mosaic.is_locally_consistent(m, image)[2, 2])


def test_a_tie_is_found_among_many():
    """One patch of a thousand has another centre."""
    many = torch.full((1000, 1, 1, 1), -1.0)
    many[500] = 0.5
    m = elsedu.LocalScore(many, 1)
    middle = torch.full((1, 1, 1), -0.25)            # as far from -1 as from .5
    assert bool(mosaic.provenance(m, middle, return_tied=True)[1])
    assert not bool(mosaic.is_locally_consistent(m, middle, tol=1))
    assert bool(mosaic.is_locally_consistent(m, torch.full((1, 1, 1), -1.0)))


def test_gray_is_as_far_from_black_as_from_white(toy):
    """The mean of the two training images stays where it is under the flow, but no noise near it does."""
    gray = torch.zeros(1, 8, 8)
    assert not bool(mosaic.is_locally_consistent(toy, gray).any())
    pushed = gray.double() + 1e-3
    assert torch.allclose(elsedu.sample(toy, pushed[None], 50), torch.ones(1, 1, 8, 8, dtype=torch.float64))


def test_bad_input():
    m = elsedu.EquivariantLocalScore(random_images(3, 1, 6, 6), 3)
    with pytest.raises(ValueError, match=r"\(C, H, W\) or \(B, C, H, W\)"):
        mosaic.provenance(m, torch.zeros(6, 6))
    with pytest.raises(ValueError, match="tol"):
        mosaic.is_locally_consistent(m, torch.zeros(1, 6, 6), tol=-1)
    with pytest.raises(ValueError, match="expected"):
        mosaic.is_locally_consistent(m, torch.zeros(1, 7, 6))


def test_tied_pixels_are_gray_and_belong_to_no_piece():
    """Two training images, black on the left: there the source is a toss-up, on the right it is not."""
    images = random_images(2, 1, 4, 6)
    images[..., :3] = -1.0
    m = elsedu.LocalScore(images, 1)
    source, tied = mosaic.provenance(m, images[1], return_tied=True)
    assert bool(tied[:, :3].all()) and not bool(tied[:, 3:].any())
    assert bool((source[:, :3, 0] == 0).all()) and bool((source[:, 3:, 0] == 1).all())  # 0 is only the first of two
    assert figures.count_pieces(source) == 2 and figures.count_pieces(source, tied) == 1
    assert figures.count_pieces(source, torch.ones(4, 6, dtype=torch.bool)) == 0
    fig = figures.provenance(images[1], source, images, top=2, tied=tied)
    pieces, *sources = fig.axes[1:]
    picture = pieces.images[0].get_array()
    assert (abs(picture[:, :3] - picture[0, 0]) < 1e-9).all()
    assert [ax.get_title() for ax in sources] == ["100 % of the pixels"]
    assert "equally" in pieces.get_xlabel()
    assert "its 1 piece" in [pieces.get_title(loc=side) for side in ("left", "center")]  # the book's style: left
    assert len(pieces.collections[0].get_segments()) == 4  # only between the gray part and the piece
    plain = figures.provenance(images[1], source, images, top=2)
    assert plain.axes[1].get_xlabel() == ""
    with pytest.raises(ValueError, match="tied as bool"):
        figures.count_pieces(source, tied[:2])
    plt.close("all")


def test_images_with_ties_are_drawn_although_the_definition_leaves_them_out():
    """Remark rem-mosaic-caveats: windows of 6 and 4 pixels at a zero border can tie, and such images come out."""
    toy = elsedu.EquivariantLocalScore(elsedu.load("two-images", size=8), window=3)
    x = torch.randn(30, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    schedule = toy.schedule

    def window_sum(image):
        return torch.nn.functional.conv2d(image, torch.ones(1, 1, 3, 3, dtype=image.dtype), padding=1)

    def belief(image, t):  # proposition prop-two-images; the machine itself refuses times this small
        return torch.tanh(schedule.alpha(t) * window_sum(image) / schedule.sigma(t) ** 2)

    assert torch.allclose(belief(x, 0.2), toy.denoise(x, 0.2), atol=1e-9)
    times = [1 - k / 20 for k in range(20)] + [0.05 * 0.5**k for k in range(1, 40)]
    for t, s in pairwise(times):
        clean = belief(x, t)
        noise = (x - schedule.alpha(t) * clean) / schedule.sigma(t)
        x = schedule.alpha(s) * clean + schedule.sigma(s) * noise
    settled, sums = ((x.abs() - 1).abs() < 1e-6).flatten(1).all(1), window_sum(x.sign())
    against, tied = (x.sign() * sums < 0).flatten(1).any(1), (sums == 0).flatten(1).any(1)
    assert settled.float().mean() > 0.9
    assert not against[settled].any()  # every pixel agrees with its window, or its window ties
    assert tied[settled].float().mean() > 0.15
    inconsistent = ~mosaic.is_locally_consistent(toy, x.sign())
    assert torch.equal(inconsistent[settled], (sums == 0)[settled][:, 0])
