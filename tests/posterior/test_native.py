"""The C++ engine: every instruction set, threads, and what it leaves out (its numbers: test_laws, test_golden)."""

import math

import pytest
import torch
from support import MACHINES, machine, needs, random_images, rng

import elsedu
from elsedu.posterior import Constraints, Dictionary, to_posterior
from elsedu.posterior.backends import native as shift_native
from elsedu.posterior.native import library

FIELDS = elsedu.posterior.FIELDS


@pytest.fixture(autouse=True)
def built():
    needs("native")


def usable_sets():
    usable, _ = shift_native.available()
    return [isa for isa in shift_native.INSTRUCTION_SETS if usable and library.load().supports(isa)]


def posteriors(images, x, name, window, alpha=0.8, sigma=0.6, fields=FIELDS):
    kind = machine(name, images, window).kind
    levels = [torch.full((len(x),), v, dtype=torch.float64) for v in (alpha, sigma)]
    state = shift_native.partial_posterior(Dictionary(images), x, *levels, kind, [window], fields)[window]
    return to_posterior(state, kind, window, levels[1], fields)


@pytest.mark.parametrize("isa", usable_sets())
@pytest.mark.parametrize("name", [n for n in MACHINES if "-" in n])
def test_every_instruction_set(isa, name, monkeypatch):
    """40 images fill no block of 8, 16 or 32 lanes evenly twice over; the last block has empty lanes."""
    monkeypatch.setenv("ELSEDU_NATIVE_ISA", isa)
    images = random_images(41, 3, 6, 7, dtype=torch.float32)
    x = torch.randn(2, 3, 6, 7, generator=rng(0))
    kind = machine(name, images).kind
    levels = [torch.full((2,), v, dtype=torch.float64) for v in (0.8, 0.6)]
    oracle = elsedu.posterior.partial_posterior(Dictionary(images.double()), x.double(), *levels, kind, [3], FIELDS,
                                                "definition")[3]
    expected = to_posterior(oracle, kind, 3, levels[1], FIELDS)
    got = posteriors(images, x, name, 3)
    for field in ("mean", "variance", "log_evidence", "effective_patches"):
        reference = getattr(expected, field)
        assert ((getattr(got, field) - reference).abs() / (1 + reference.abs())).max() < 1e-4, field


def test_an_unknown_instruction_set(monkeypatch):
    monkeypatch.setenv("ELSEDU_NATIVE_ISA", "mmx")
    with pytest.raises(ValueError, match=r"ELSEDU_NATIVE_ISA='mmx' is not to be had here; usable: .*base"):
        shift_native.instruction_set()


@pytest.mark.parametrize("name", ["ls-zero", "els-zero", "els-circular"])
def test_threads_order_and_batching(name):
    images = random_images(50, 1, 7, 7, dtype=torch.float32)
    x = torch.randn(3, 1, 7, 7, generator=rng(0))
    before = torch.get_num_threads()
    try:
        posts = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            posts.append(posteriors(images, x, name, 3))
    finally:
        torch.set_num_threads(before)
    posts.append(posteriors(images.flip(0), x, name, 3))
    one_by_one = [posteriors(images, x[b:b + 1], name, 3) for b in range(3)]
    for field in ("mean", "variance", "log_evidence", "effective_patches"):
        first = getattr(posts[0], field)
        others = [getattr(p, field) for p in posts[1:]] + [torch.cat([getattr(p, field) for p in one_by_one])]
        for other in others:
            assert torch.allclose(first, other, rtol=1e-4, atol=1e-5), field


@pytest.mark.parametrize("count", [1, 33])
def test_empty_lanes_weigh_nothing(count):
    """At alpha = 0 every image is as near as any other, an empty lane included if it were not excluded."""
    images = random_images(count, 1, 5, 5, dtype=torch.float32)
    x = torch.randn(1, 1, 5, 5, generator=rng(0))
    post = posteriors(images, x, "ls-zero", 3, alpha=0.0, sigma=1.0)
    assert torch.allclose(post.mean[0], images.mean(0), atol=1e-5)
    assert torch.allclose(post.effective_patches, torch.tensor(float(count)), rtol=1e-5)
    faint = posteriors(images, x, "ls-zero", 3, alpha=1e-6, sigma=1.0)
    assert torch.allclose(faint.mean[0], images.mean(0), atol=1e-4)


def test_many_far_patches_are_not_forgotten():
    """One near image against thousands that are 17 nats away each: together they weigh much.

    A fixed threshold of 17 nats would drop them all; the threshold here grows with the number of patches.
    """
    count, sigma = 20_000, 1.0
    far = math.sqrt(2 * 17.2)  # logit -17.2 for a 1 x 1 image and window
    images = torch.full((count + 1, 1, 1, 1), far / 40)
    images[0] = 0
    alpha = 40.0  # only the product alpha * pixel enters
    post = posteriors(images, torch.zeros(1, 1, 1, 1), "ls-zero", 1, alpha=alpha, sigma=sigma, fields=("mean",))
    share = count * math.exp(-17.2) / (1 + count * math.exp(-17.2))
    assert abs(float(post.mean) - share * far / 40) < 1e-3 * share * far / 40
    assert share > 5e-4


def test_sums_over_very_many_patches_keep_their_digits():
    """Float32 sums of a million equal weights would drift; blocks are joined in float64."""
    images = torch.cat([torch.full((60_000, 1, 4, 4), -0.3), torch.full((20_000, 1, 4, 4), 0.9)])
    post = posteriors(images, torch.zeros(1, 1, 4, 4), "els-circular", 1, alpha=0.0, sigma=1.0, fields=("mean",))
    assert (post.mean - 0.0).abs().max() < 1e-6


def test_whole_image_machines_are_served():
    images = random_images(5, 1, 4, 4, dtype=torch.float32)
    x = torch.randn(1, 1, 4, 4, generator=rng(0))
    for name in ("is", "es"):
        kind = machine(name, images).kind
        assert kind in (Constraints(True, False), Constraints(True, True))
        got = machine(name, images, backend="native").denoise(x, 0.4)
        assert torch.allclose(got, machine(name, images, backend="definition").denoise(x, 0.4), atol=1e-4)
