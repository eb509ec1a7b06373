"""Laws that the machines must obey, whatever the backend (not shapes: truths)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import MACHINES, machine, needs, random_images, rng

import elsedu
from elsedu.posterior import Constraints, Dictionary, merge, partial_posterior, to_posterior
from elsedu.posterior.backends.definition import window_offsets

FIELDS = elsedu.posterior.FIELDS


def noisy(images, count, t, seed=1):
    """Training images and free noise, at noise level t."""
    clean = images[torch.randperm(len(images), generator=rng(seed)).repeat(count)[:count]]
    eps = torch.randn(clean.shape, generator=rng(seed + 1), dtype=torch.float64).to(clean.dtype)
    return elsedu.schedule.cosine().add_noise(clean, t, eps)


def assert_close(post, oracle, tolerance, oracle_machine, x, t):
    for name in ("mean", "variance", "log_evidence", "effective_patches"):
        got, expected = getattr(post, name).double(), getattr(oracle, name).double()
        scale = 1 + expected.abs()
        assert ((got - expected).abs() / scale).max() < tolerance, name
    # the source must be a patch whose logit is within rounding of the largest
    heavy = log_weight_of(oracle_machine, x, t, post.source)
    best = log_weight_of(oracle_machine, x, t, oracle.source)
    assert (best - heavy).max() < 30 * tolerance
    assert (heavy - best).max() < 1e-9


def log_weight_of(m, x, t, source):
    """Logit of the patch that `source` names, by the definition, (B, H, W)."""
    images, alpha, sigma = m.data.images.double(), float(m.schedule.alpha(t)), float(m.schedule.sigma(t))
    x = x.double()
    batch, _, height, width = x.shape
    out = torch.empty(batch, height, width, dtype=torch.float64)
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                n, row, column = source[b, i, j].tolist()
                if m.kind.whole:
                    shifted = torch.roll(images[n], (i - row, j - column), (1, 2))
                    difference = x[b] - alpha * shifted
                else:
                    offsets = window_offsets(i, j, height, width, m.window, m.kind.border)
                    difference = torch.stack([
                        x[b, :, (i + di) % height, (j + dj) % width]
                        - alpha * images[n, :, (row + di) % height, (column + dj) % width]
                        for di, dj in offsets
                    ])
                out[b, i, j] = -difference.square().sum() / (2 * sigma**2)
    return out


# -- law 1: every backend computes what the definition says -----------------------------------------------

SHAPES = [(5, 1, 6, 5, 3), (1, 3, 5, 7, 5), (7, 3, 4, 4, 1), (3, 1, 5, 6, 9), (4, 1, 6, 6, 5)]


@pytest.mark.parametrize("backend,dtype,tolerance", [
    ("torch", torch.float64, 1e-9), ("torch", torch.float32, 2e-4), ("native", torch.float32, 2e-4),
    ("torch, differentiable", torch.float64, 1e-9), ("torch, differentiable", torch.float32, 2e-4),
])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", MACHINES)
def test_backends_agree_with_the_definition(name, shape, backend, dtype, tolerance):
    backend, _, gradients = backend.partition(", ")
    needs(backend)
    count, channels, height, width, window = shape
    if window > min(height, width) and ("circular" in name or "interior" in name):
        pytest.skip("a circular window must fit into the image: refused, see test_machines")
    images = random_images(count, channels, height, width, dtype=dtype)
    oracle_machine = machine(name, images, window, "definition")
    tested = machine(name, images, window, backend)
    for t, batch in ((0.1, 1), (0.6, 5)):
        x = noisy(images, batch, t)
        oracle = oracle_machine.posterior(x.double(), t)
        x.requires_grad_(bool(gradients))  # torch on a CPU goes another way then
        assert_close(tested.posterior(x, t), oracle, tolerance, oracle_machine, x, t)
        mean_only = tested.denoise(x, t).double()
        assert (mean_only - oracle.mean).abs().max() < tolerance


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_random_inputs(data):
    height, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    name = data.draw(st.sampled_from(MACHINES))
    limit = min(height, width) if ("circular" in name or "interior" in name) else 9
    window = data.draw(st.sampled_from([w for w in (1, 3, 5, 7, 9) if w <= limit]))
    count, channels = data.draw(st.integers(1, 6)), data.draw(st.sampled_from([1, 3]))
    t = data.draw(st.floats(0.02, 1.0))
    images = random_images(count, channels, height, width, seed=data.draw(st.integers(0, 99)), dtype=torch.float32)
    x = noisy(images, data.draw(st.integers(1, 3)), t)
    expected = machine(name, images, window, "definition").posterior(x, t)
    for backend in ("torch", "native"):
        if not elsedu.posterior.backends()[backend][0]:
            continue
        got = machine(name, images, window, backend).posterior(x, t)
        assert (got.mean - expected.mean).abs().max() < 1e-3
        assert ((got.log_evidence - expected.log_evidence).abs() / (1 + expected.log_evidence.abs())).max() < 1e-4


# -- law 3: what the answer must not depend on --------------------------------------------------------------


@pytest.mark.parametrize("name", MACHINES)
def test_order_and_batching_do_not_matter(name):
    images = random_images(9, 1, 6, 6)
    x = noisy(images, 3, 0.4)
    whole = machine(name, images).posterior(x, 0.4)
    order = torch.randperm(9, generator=rng(3))
    shuffled = machine(name, images[order]).posterior(x, 0.4)
    one_by_one = [machine(name, images).posterior(x[b:b + 1], 0.4) for b in range(3)]
    for field in ("mean", "variance", "log_evidence", "effective_patches"):
        expected = getattr(whole, field)
        assert torch.allclose(getattr(shuffled, field), expected, atol=1e-10)
        assert torch.allclose(torch.cat([getattr(p, field) for p in one_by_one]), expected, atol=1e-10)
    assert torch.equal(order[shuffled.source[..., 0]], whole.source[..., 0])


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("chunk", [1, 7, 100])
@pytest.mark.parametrize("gradients", [False, True])
def test_chunks_do_not_matter(name, chunk, gradients):
    from elsedu.posterior.backends import attention_torch

    images = random_images(5, 3, 5, 6)
    x = noisy(images, 2, 0.3).requires_grad_(gradients)
    kind = machine(name, images).kind
    level = [torch.tensor([v, v], dtype=torch.float64) for v in (0.9, 0.45)]
    window = 0 if kind.whole else 3
    posts = []
    for size in (chunk, 10**7):
        state = attention_torch.partial_posterior(Dictionary(images), x, *level, kind, [window], FIELDS, chunk=size)
        posts.append(to_posterior(state[window], kind, window, level[1], FIELDS))
    for field in FIELDS:
        assert torch.allclose(getattr(posts[0], field).double(), getattr(posts[1], field).double(), atol=1e-10), field


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("backend", ["definition", "torch", "torch, differentiable"])
def test_shards_merge_to_the_whole(name, backend):
    """Three shards, merged in two orders, equal one pass: the state is a commutative monoid."""
    images = random_images(8, 1, 5, 5)
    backend, _, gradients = backend.partition(", ")
    x = noisy(images, 2, 0.5).requires_grad_(bool(gradients))
    kind = machine(name, images).kind
    window = 0 if kind.whole else 3
    alpha, sigma = (torch.tensor([v, v], dtype=torch.float64) for v in (0.7, 0.6))

    def states(part):
        return partial_posterior(Dictionary(part), x, alpha, sigma, kind, [window], FIELDS, backend)[window]

    a, b, c = states(images[:1]), states(images[1:4]), states(images[4:])
    whole = to_posterior(states(images), kind, window, sigma, FIELDS)
    for merged in (merge(merge(a, b), c), merge(c, merge(b, a))):
        post = to_posterior(merged, kind, window, sigma, FIELDS)
        for field in ("mean", "variance", "log_evidence", "effective_patches"):
            assert torch.allclose(getattr(post, field), getattr(whole, field), atol=1e-10), field


@pytest.mark.parametrize("backend,dtype", [("torch", torch.float64), ("native", torch.float32)])
@pytest.mark.parametrize("name", ["ls-zero", "ls-circular", "els-zero", "els-circular", "els-interior"])
def test_windows_in_one_pass_equal_separate_calls(name, backend, dtype):
    needs(backend)
    images = random_images(19, 3, 7, 8, dtype=dtype)
    x = noisy(images, 2, 0.4)
    for fields in (FIELDS, ("mean",)):
        together = machine(name, images, 1, backend).posterior(x, 0.4, windows=[3, 1, 7], fields=fields)
        assert list(together) == [3, 1, 7]
        for window, post in together.items():
            alone = machine(name, images, window, backend).posterior(x, 0.4, fields=fields)
            for field in set(fields) - {"source"}:
                got, expected = getattr(post, field), getattr(alone, field)
                assert torch.allclose(got, expected, rtol=1e-4, atol=2e-5), (window, field)


# -- law 4: equivariance ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["es", "els-circular", "els-interior"])
@pytest.mark.parametrize("dtype,tolerance", [(torch.float64, 1e-12), (torch.float32, 5e-5)])
def test_circular_machines_commute_with_translations(name, dtype, tolerance):
    images = random_images(6, 1, 7, 6, dtype=dtype)
    m, x = machine(name, images), noisy(images, 2, 0.3)
    for shift in ((1, 0), (0, 2), (3, 5)):
        moved = m.denoise(torch.roll(x, shift, (2, 3)), 0.3)
        assert (moved - torch.roll(m.denoise(x, 0.3), shift, (2, 3))).abs().max() < tolerance


def test_local_machines_do_not_commute():
    images = random_images(6, 1, 7, 6)
    for name in ("is", "ls-circular", "ls-zero"):
        m, x = machine(name, images), noisy(images, 2, 0.3)
        moved = m.denoise(torch.roll(x, (1, 2), (2, 3)), 0.3)
        assert (moved - torch.roll(m.denoise(x, 0.3), (1, 2), (2, 3))).abs().max() > 1e-2


def test_zero_border_is_equivariant_exactly_inside():
    images, window, shift = random_images(6, 1, 9, 9), 3, 2
    m, x = machine("els-zero", images, window), noisy(images, 1, 0.3)
    before, after = m.denoise(x, 0.3), m.denoise(torch.roll(x, (shift, shift), (2, 3)), 0.3)
    error = (torch.roll(before, (shift, shift), (2, 3)) - after).abs()[0, 0]
    inside = slice(1 + shift, 8)  # the window was interior before, and is after the shift
    assert error[inside, inside].max() < 1e-12
    assert error[0].max() > 1e-3


# -- law 5: limits ------------------------------------------------------------------------------------------------


def test_a_huge_window_makes_local_machines_global():
    images = random_images(6, 3, 5, 4)
    x = noisy(images, 2, 0.8)  # noise enough that the posterior is spread over several images
    ideal = machine("is", images).denoise(x, 0.8)
    for window in (9, 11):  # 2 max(H, W) - 1 = 9
        assert (machine("ls-zero", images, window).denoise(x, 0.8) - ideal).abs().max() < 1e-12
        assert (machine("els-zero", images, window).denoise(x, 0.8) - ideal).abs().max() < 1e-12
    assert (machine("ls-zero", images, 7).denoise(x, 0.8) - ideal).abs().max() > 1e-6


def test_a_window_as_large_as_the_torus():
    images = random_images(6, 1, 5, 5)
    x = noisy(images, 2, 0.3)
    for local, whole in (("ls-circular", "is"), ("els-circular", "es")):
        difference = machine(local, images, 5).denoise(x, 0.3) - machine(whole, images).denoise(x, 0.3)
        assert difference.abs().max() < 1e-12


@pytest.mark.parametrize("name", MACHINES)
def test_small_noise_gives_the_nearest_patch(name):
    images = random_images(6, 1, 6, 6)
    x = noisy(images, 2, 0.3)
    m = machine(name, images)
    post = m.posterior(x, 1e-4)
    nearest = elsedu.mosaic.patch_colours(m, post.source)
    assert (post.mean - nearest).abs().max() < 1e-9
    assert (post.effective_patches - 1).abs().max() < 1e-9
    assert post.variance.max() < 1e-9


@pytest.mark.parametrize("name", MACHINES)
def test_no_signal_gives_the_mean(name):
    """At alpha = 0 (flow matching, t = 1) every patch weighs the same."""
    images = random_images(6, 1, 6, 5)
    m = machine(name, images, schedule=elsedu.schedule.flow_matching())
    x = torch.randn(2, 1, 6, 5, generator=rng(0), dtype=torch.float64)
    post = m.posterior(x, 1.0)
    if name in ("is", "ls-zero", "ls-circular"):
        expected = images.mean(0).expand(2, -1, -1, -1)
    elif name in ("es", "els-circular"):
        expected = images.mean().expand(2, 1, 6, 5)
    elif name == "els-interior":
        expected = images[:, :, 1:-1, 1:-1].mean().expand(2, 1, 6, 5)
    else:  # inside all inside patches, at an edge those of the edge, in a corner its own place
        mean = images.mean(0)[0]
        rows = torch.cat([mean[:1], mean[1:-1].mean(0, keepdim=True).expand(4, -1), mean[-1:]])
        expected = torch.cat([rows[:, :1], rows[:, 1:-1].mean(1, keepdim=True).expand(-1, 3), rows[:, -1:]], 1)
    assert (post.mean - expected).abs().max() < 1e-12
    counts = elsedu.posterior.patch_counts(m.kind, 3, 6, 6, 5)
    assert ((post.effective_patches - counts).abs() / counts).max() < 1e-12
    eps = m.noise(x, 1.0)
    assert torch.allclose(eps, x)  # sigma = 1 and alpha = 0: all of x is noise


@pytest.mark.parametrize("name", MACHINES)
def test_the_convex_hull(name):
    images = random_images(5, 3, 6, 6)
    x = 30 * torch.randn(3, 3, 6, 6, generator=rng(5), dtype=torch.float64)
    for t in (0.01, 0.5, 1.0):
        out = machine(name, images).denoise(x, t)
        low, high = images.amin((0, 2, 3)).view(1, 3, 1, 1), images.amax((0, 2, 3)).view(1, 3, 1, 1)
        assert bool(((out >= low - 1e-9) & (out <= high + 1e-9)).all())


# -- law 6: the score is a gradient ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["is", "es"])
def test_whole_image_score_is_the_gradient_of_the_log_evidence(name):
    images = random_images(5, 3, 4, 5)
    m, x = machine(name, images), noisy(images, 2, 0.4).requires_grad_()
    evidence = m.posterior(x, 0.4).log_evidence[:, 0, 0].sum()
    gradient, = torch.autograd.grad(evidence, x)
    assert (gradient - m.score(x, 0.4)).abs().max() < 1e-9


@pytest.mark.parametrize("name", ["ls-zero", "ls-circular", "els-zero", "els-circular", "els-interior"])
def test_local_score_is_the_derivative_by_the_centre_pixel(name):
    images = random_images(4, 1, 5, 5)
    m, x = machine(name, images), noisy(images, 1, 0.4).requires_grad_()
    evidence, score = m.posterior(x, 0.4).log_evidence, m.score(x, 0.4)
    for i, j in ((0, 0), (0, 2), (2, 3), (4, 4)):
        gradient, = torch.autograd.grad(evidence[0, i, j], x, retain_graph=True)
        assert abs(float((gradient - score)[0, 0, i, j].detach())) < 1e-9


def test_evidence_is_a_normalised_density():
    """A dictionary of one pixel value: the evidence of a 1 x 1 window is a Gaussian, and integrates to 1."""
    images = torch.tensor([-0.5, 0.5], dtype=torch.float64).view(2, 1, 1, 1)
    m = machine("ls-zero", images, 1)
    grid = torch.linspace(-6, 6, 2001, dtype=torch.float64)
    density = m.posterior(grid.view(-1, 1, 1, 1), 0.5).log_evidence.exp().flatten()
    assert abs(float(torch.trapezoid(density, grid)) - 1) < 1e-9


# -- the posterior is the minimum mean squared error estimate -------------------------------------------------


@pytest.mark.parametrize("name", ["ls-circular", "els-circular"])
def test_monte_carlo_regression(name):
    """Draw (clean, noisy) pairs; the machine is the best function of the window: its error is uncorrelated with
    features of the window, and its stated variance is its mean squared error."""
    images = random_images(3, 1, 3, 3)
    m, t = machine(name, images, 3), 0.5
    pick = torch.randint(3, (15_000,), generator=rng(7))
    clean = images[pick]
    if name == "els-circular":  # the orbit: the exactly equivariant problem has images at random shifts
        rows, columns = (torch.randint(3, (15_000,), generator=rng(s)) for s in (8, 9))
        clean = torch.stack([torch.roll(c, (int(r), int(k)), (1, 2)) for c, r, k in zip(clean, rows, columns)])
    x = m.schedule.add_noise(clean, t, torch.randn(clean.shape, generator=rng(10), dtype=torch.float64))
    post = m.posterior(x, t)
    error = clean - post.mean
    centre = error[:, 0, 1, 1]
    for feature in (torch.ones_like(centre), x[:, 0, 1, 1], x[:, 0, 0, 2], x.square().mean((1, 2, 3))):
        product = centre * feature
        assert abs(float(product.mean())) < 4.5 * float(product.std()) / math.sqrt(len(product))
    surprise = centre.square() - post.variance[:, 0, 1, 1]
    assert abs(float(surprise.mean())) < 4.5 * float(surprise.std()) / math.sqrt(len(surprise))


def test_ties_go_to_the_smallest_index():
    images = torch.cat([random_images(1, 1, 4, 4)] * 3)
    post = machine("els-circular", images, 3, "definition").posterior(images[:1], 0.2)
    assert bool(post.tied.all())
    assert bool((post.source[..., 0] == 0).all())
    alone = machine("els-circular", images[:1], 3, "definition").posterior(images[:1], 0.2)
    assert not bool(alone.tied.any())
    assert torch.equal(alone.source[..., 1], torch.arange(4).view(1, 4, 1).expand(1, 4, 4))
    fast = machine("els-circular", images, 3, "torch").posterior(images[:1], 0.2)
    assert torch.equal(fast.tied, post.tied)


def test_kind_is_hashable():
    assert Constraints(True, False) == Constraints(True, False)
    assert len({Constraints(False, True, "zero"), Constraints(False, True, "circular")}) == 2
