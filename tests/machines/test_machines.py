"""What the machines accept, refuse and return (their numbers are tested in test_laws and test_golden)."""

import math

import pytest
import torch
from support import MACHINES, machine, random_images, rng

import elsedu
from elsedu import EquivariantLocalScore, IdealScore, LocalScore


@pytest.fixture(scope="module")
def labelled():
    images = random_images(8, 1, 6, 6, dtype=torch.float32)
    return elsedu.ImageSet(images, torch.tensor([0, 1, 0, 1, 3, 3, 0, 1]), "labelled")


@pytest.fixture
def x():
    return torch.randn(2, 1, 6, 6, generator=rng(0))


@pytest.mark.parametrize("name", MACHINES)
def test_shapes_types_and_conversions(name, labelled, x):
    for dtype in (torch.float32, torch.float64):
        m, query = machine(name, labelled), x.to(dtype)
        x0, eps, score = m.denoise(query, 0.3), m.noise(query, 0.3), m.score(query, 0.3)
        assert x0.shape == eps.shape == score.shape == x.shape
        assert x0.dtype == eps.dtype == score.dtype == dtype
        alpha, sigma = m.schedule.alpha(0.3).to(dtype), m.schedule.sigma(0.3).to(dtype)
        assert torch.allclose(alpha * x0 + sigma * eps, query, atol=1e-5)
        assert torch.allclose(score, (alpha * x0 - query) / sigma**2, atol=1e-4)
        post = m.posterior(query, 0.3)
        assert post.log_evidence.shape == post.effective_patches.shape == post.tied.shape == (2, 6, 6)
        assert post.source.shape == (2, 6, 6, 3) and post.source.dtype == torch.int64
        assert post.variance.shape == x.shape
        partial = m.posterior(query, 0.3, fields=("variance",))
        assert partial.mean is None and torch.equal(partial.variance, post.variance)


@pytest.mark.parametrize("name", MACHINES)
def test_labels_restrict_the_dictionary(name, labelled, x):
    m = machine(name, labelled)
    only = machine(name, labelled.images[labelled.labels == 3])
    assert torch.allclose(m.denoise(x, 0.4, label=3), only.denoise(x, 0.4), atol=1e-6)
    mixed = m.posterior(x, 0.4, label=torch.tensor([3, 0]))
    assert torch.allclose(mixed.mean[:1], only.denoise(x[:1], 0.4), atol=1e-6)
    # sources count in the whole set
    assert set(labelled.labels[mixed.source[0, ..., 0]].flatten().tolist()) == {3}
    assert set(labelled.labels[mixed.source[1, ..., 0]].flatten().tolist()) == {0}


def test_each_image_has_its_own_time_and_window(labelled, x):
    scales = elsedu.ScaleSchedule([1, 3, 5, 11])
    m = EquivariantLocalScore(labelled, scales)
    t = torch.tensor([0.25, 0.9])
    both = m.posterior(x, t)
    for b, window in ((0, 1), (1, 11)):
        one = EquivariantLocalScore(labelled, window).posterior(x[b:b + 1], t[b])
        assert torch.allclose(both.mean[b:b + 1], one.mean, atol=1e-6)
        assert torch.allclose(both.log_evidence[b:b + 1], one.log_evidence, rtol=1e-5)


def test_the_source_of_whole_image_machines(labelled):
    clean = labelled.images[5:6]
    x = clean + 1e-3
    ideal = IdealScore(labelled).posterior(x, 0.05).source[0]
    assert bool((ideal[..., 0] == 5).all())
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij")
    assert torch.equal(ideal[..., 1], rows) and torch.equal(ideal[..., 2], columns)
    moved = elsedu.EquivariantScore(labelled).posterior(torch.roll(x, (2, 1), (2, 3)), 0.05).source[0]
    assert bool((moved[..., 0] == 5).all())
    assert torch.equal(moved[..., 1], (rows - 2) % 6) and torch.equal(moved[..., 2], (columns - 1) % 6)


@pytest.mark.parametrize("window,error,words", [
    (4, ValueError, "odd positive integer, got 4"), (0, ValueError, "got 0"), (-3, ValueError, "got -3"),
    (3.0, TypeError, "got 3.0"), (True, TypeError, "got True"), ("3", TypeError, "got '3'"), (None, TypeError, "None"),
])
def test_bad_windows(labelled, window, error, words):
    for cls in (LocalScore, EquivariantLocalScore):
        with pytest.raises(error, match=words):
            cls(labelled, window)
    m = LocalScore(labelled, 3)
    with pytest.raises(error, match=words):
        m.posterior(torch.zeros(1, 1, 6, 6), 0.5, windows=[3, window])


def test_circular_windows_must_fit(labelled):
    with pytest.raises(ValueError, match=r"window 7 is larger than the image \(6 x 6\)"):
        LocalScore(labelled, 7, border="circular")
    with pytest.raises(ValueError, match="window 7 is larger"):
        EquivariantLocalScore(labelled, elsedu.ScaleSchedule([3, 7]), border="circular")
    LocalScore(labelled, 7)  # a zero border clips windows


@pytest.mark.parametrize("t,error", [
    (0, ValueError), (0.0, ValueError), (-0.1, ValueError), (1.01, ValueError), (math.nan, ValueError),
    (torch.tensor([0.1, 0.2, 0.3]), ValueError), ([0.1, 2.0], ValueError), ("0.5", TypeError), (None, TypeError),
    (torch.zeros(2, 2), ValueError),
])
def test_bad_times(labelled, x, t, error):
    for call in (IdealScore(labelled).denoise, EquivariantLocalScore(labelled, 3).posterior):
        with pytest.raises(error, match="t "):
            call(x, t)


@pytest.mark.parametrize("bad,words", [
    (torch.zeros(1, 3, 6, 6), r"\(3, 6, 6\); expected \(1, 6, 6\)"), (torch.zeros(1, 1, 6, 7), "expected"),
    (torch.zeros(1, 6, 6), "four axes"), (torch.full((1, 1, 6, 6), math.nan), "36 NaN or infinite"),
    (torch.full((1, 1, 6, 6), math.inf), "infinite"), (torch.zeros(0, 1, 6, 6), "empty batch"),
])
def test_bad_queries(labelled, bad, words):
    with pytest.raises(ValueError, match=words):
        IdealScore(labelled).denoise(bad, 0.5)


def test_queries_of_the_wrong_type(labelled):
    with pytest.raises(TypeError, match="floating-point"):
        IdealScore(labelled).denoise(torch.zeros(1, 1, 6, 6, dtype=torch.int64), 0.5)
    with pytest.raises(TypeError, match=r"torch\.Tensor"):
        IdealScore(labelled).denoise([[0.0]], 0.5)


@pytest.mark.parametrize("label,error,words", [
    (2, ValueError, "label 2 does not exist; known: 0, 1, 3"), (torch.tensor([0, 7]), ValueError, "label 7"),
    (1.0, TypeError, "integer"), (torch.tensor([0, 1, 3]), ValueError, r"shape \(3,\)"),
])
def test_bad_labels(labelled, x, label, error, words):
    with pytest.raises(error, match=words):
        IdealScore(labelled).denoise(x, 0.5, label=label)


def test_a_label_without_labels(x):
    with pytest.raises(ValueError, match="no labels"):
        IdealScore(random_images(3, 1, 6, 6, dtype=torch.float32)).denoise(x, 0.5, label=1)


def test_unknown_names(labelled, x):
    with pytest.raises(ValueError, match="unknown backend 'cuda'; known: 'auto', 'definition'"):
        IdealScore(labelled, backend="cuda")
    with pytest.raises(ValueError, match="unknown border 'reflect'; known: 'zero', 'circular'"):
        LocalScore(labelled, 3, border="reflect")
    with pytest.raises(ValueError, match="unknown dictionary 'edge'"):
        EquivariantLocalScore(labelled, 3, border="circular", dictionary="edge")
    with pytest.raises(ValueError, match="needs border='circular'"):
        EquivariantLocalScore(labelled, 3, dictionary="interior")
    with pytest.raises(ValueError, match="unknown posterior field 'median'"):
        IdealScore(labelled).posterior(x, 0.5, fields=("median",))
    with pytest.raises(TypeError, match="Schedule, got str"):
        IdealScore(labelled, schedule="cosine")
    with pytest.raises(ValueError, match="whole images"):
        IdealScore(labelled).posterior(x, 0.5, windows=[3])
    with pytest.raises(ValueError, match="windows is empty"):
        LocalScore(labelled, 3).posterior(x, 0.5, windows=[])


def test_bad_data():
    with pytest.raises(ValueError, match="NaN"):
        IdealScore(torch.full((2, 1, 4, 4), math.nan))
    with pytest.raises(ValueError):
        IdealScore(torch.zeros(0, 1, 4, 4))
    with pytest.warns(UserWarning, match="255"):
        IdealScore(torch.full((2, 1, 4, 4), 255.0))


def test_backends_that_cannot_serve(labelled, x):
    report = elsedu.posterior.backends()
    assert set(report) == {"definition", "torch", "native", "triton"}
    assert all(isinstance(why, str) and why for _, why in report.values())
    for name in ("native", "triton"):
        if report[name][0]:
            with pytest.raises(ValueError, match="no gradients"):
                IdealScore(labelled, backend=name).denoise(x.clone().requires_grad_(), 0.5)
            with pytest.raises(ValueError, match="float32"):
                IdealScore(labelled, backend=name).denoise(x.double(), 0.5)
        else:
            with pytest.raises(ValueError, match="cannot be used here"):
                IdealScore(labelled, backend=name).denoise(x, 0.5)


def test_auto_serves_gradients(labelled, x):
    query = x.clone().requires_grad_()
    EquivariantLocalScore(labelled, 3).denoise(query, 0.5).sum().backward()
    assert query.grad.abs().sum() > 0


def test_the_input_is_not_changed(labelled, x):
    before = x.clone()
    for name in MACHINES:
        machine(name, labelled, backend="auto").posterior(x, 0.4)
    assert torch.equal(x, before)


def test_wiener_is_the_gaussian_posterior():
    """Against the textbook formula with an explicit inverse; and it is exact for Gaussian data."""
    images = random_images(40, 1, 3, 3)
    m, t = elsedu.WienerScore(images), 0.4
    x = torch.randn(3, 1, 3, 3, generator=rng(1), dtype=torch.float64)
    flat = images.flatten(1)
    mu = flat.mean(0)
    covariance = (flat - mu).T @ (flat - mu) / 40
    alpha, sigma = float(m.schedule.alpha(t)), float(m.schedule.sigma(t))
    noisy_covariance = alpha**2 * covariance + sigma**2 * torch.eye(9, dtype=torch.float64)
    expected = mu + (x.flatten(1) - alpha * mu) @ torch.linalg.solve(noisy_covariance, alpha * covariance)
    post = m.posterior(x, t)
    assert torch.allclose(post.mean.flatten(1), expected, atol=1e-10)
    assert torch.allclose(m.denoise(x, t), post.mean, atol=1e-12)
    gaussian = torch.distributions.MultivariateNormal(alpha * mu, noisy_covariance)
    assert torch.allclose(post.log_evidence[:, 0, 0], gaussian.log_prob(x.flatten(1)), atol=1e-9)
    assert post.source is None


def test_wiener_labels(labelled, x):
    m = elsedu.WienerScore(labelled)
    only = elsedu.WienerScore(labelled.images[labelled.labels == 1])
    both = m.denoise(x, torch.tensor([0.2, 0.7]), label=torch.tensor([1, 0]))
    assert torch.allclose(both[:1], only.denoise(x[:1], 0.2), atol=1e-5)
    with pytest.raises(ValueError, match="label 2"):
        m.denoise(x, 0.5, label=2)


def orbit(images):
    """All cyclic shifts of the images, (N H W, C, H, W)."""
    height, width = images.shape[2:]
    return torch.cat([images.roll((i, j), (2, 3)) for i in range(height) for j in range(width)])


def test_stationary_wiener_is_wiener_of_all_shifts():
    """Rectangular colour images; the reference is built from the orbit itself, without an FFT."""
    images = random_images(5, 3, 3, 4)
    fast, slow = elsedu.StationaryWienerScore(images), elsedu.WienerScore(orbit(images))
    x = torch.randn(2, 3, 3, 4, generator=rng(1), dtype=torch.float64)
    for t in (0.1, 0.5, 0.95):
        ours, theirs = fast.posterior(x, t), slow.posterior(x, t)
        assert torch.allclose(ours.mean, theirs.mean, atol=1e-10)
        assert torch.allclose(ours.log_evidence, theirs.log_evidence, atol=1e-8)
        assert torch.allclose(fast.denoise(x, t), ours.mean, atol=1e-12)
    moved = fast.denoise(x.roll((1, 2), (2, 3)), 0.3)
    assert torch.allclose(moved, fast.denoise(x, 0.3).roll((1, 2), (2, 3)), atol=1e-12)


def test_stationary_wiener_labels(labelled, x):
    m = elsedu.StationaryWienerScore(labelled)
    only = elsedu.StationaryWienerScore(labelled.images[labelled.labels == 1])
    both = m.denoise(x, torch.tensor([0.2, 0.7]), label=torch.tensor([1, 0]))
    assert torch.allclose(both[:1], only.denoise(x[:1], 0.2), atol=1e-5)


def test_repr_says_what_it_is(labelled):
    assert repr(EquivariantLocalScore(labelled, 3)) == (
        "EquivariantLocalScore(labelled, 8 images 1x6x6, window=3, border='zero', backend='auto')")


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (5, 6), (7, 7)])
def test_windows_wider_than_an_odd_side(shape):
    images = torch.randn(3, 1, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).clamp(-1, 1)
    noisy = torch.randn(2, 1, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for window in (5, 7, 9, 11):
        one, other = (elsedu.EquivariantLocalScore(images, window, backend=b).denoise(noisy, 0.4)
                      for b in ("definition", "torch"))
        assert torch.allclose(one, other, atol=1e-10), window
