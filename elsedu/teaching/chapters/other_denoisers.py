"""Checks of the exercises of chapter book/part6/other_denoisers."""

import math

import torch

from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise


@exercise("ex-dimmer", mistakes=[
    (lambda variance, alpha, sigma: alpha * variance / (alpha**2 * variance + sigma**2), "x / alpha"),
    (lambda variance, alpha, sigma: variance / (variance + sigma**2), "alpha"),
    (lambda variance, alpha, sigma: sigma**2 / (alpha**2 * variance + sigma**2), "takes away"),
    (lambda variance, alpha, sigma: alpha**2 * variance**2 / (alpha**2 * variance**2 + sigma**2), "variance"),
])
def dimmer(answer):
    """How much of a principal component the Wiener filter keeps."""
    variance, alpha, sigma = torch.tensor([0.0, 0.05, 0.4, 3.0]), 0.8, 0.6
    right = alpha**2 * variance / (alpha**2 * variance + sigma**2)
    got = answer(variance, alpha, sigma)
    problem = compare(got, right)
    if problem is None or got is None or got is Ellipsis:
        return problem
    hints = [
        (alpha * variance / (alpha**2 * variance + sigma**2),
         "this multiplies x itself; asked is the factor on x / alpha, which a noise-free image passes unchanged."),
        (variance / (variance + sigma**2), "the signal is shrunk by alpha before the noise comes."),
        (sigma**2 / (alpha**2 * variance + sigma**2), "this is the part that the filter takes away."),
        (alpha**2 * variance**2 / (alpha**2 * variance**2 + sigma**2),
         "variance is a square already; compare it with the square of the noise level."),
    ]
    return next((hint for wrong, hint in hints if compare(got, wrong) is None), problem)


def _phi(z):
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def _distance(x, y):
    return float(torch.linalg.vector_norm(x - y))


def _share(x, y1, y2, spread, scale=1.0):
    return _phi(scale * (_distance(x, y2)**2 - _distance(x, y1)**2) / (2 * _distance(y1, y2)) / spread)


@exercise("ex-smoothed-share", mistakes=[
    (lambda x, y1, y2, spread: 1 - _share(x, y1, y2, spread), "other image"),
    (lambda x, y1, y2, spread: _share(x, y1, y2, spread, 2.0), "half"),
    (lambda x, y1, y2, spread: _share(x, y1, y2, spread**2), "standard deviation"),
    (lambda x, y1, y2, spread: float(_distance(x, y1) < _distance(x, y2)), "no smoothing"),
    (lambda x, y1, y2, spread: math.erf((_distance(x, y2)**2 - _distance(x, y1)**2) / (2 * _distance(y1, y2)) / spread),
     "distribution function"),
])
def smoothed_share(answer):
    """The smoothed belief in the first of two images, without noise."""
    generator = torch.Generator().manual_seed(5)
    for spread in (0.4, 1.0, 2.5):
        x, y1, y2 = torch.randn(3, 1, 3, 3, generator=generator, dtype=torch.float64)
        right, got = _share(x, y1, y2, spread), answer(x, y1, y2, spread)
        problem = compare(got, right)
        if problem is None:
            continue
        if got is None or got is Ellipsis:
            return problem
        margin = (_distance(x, y2)**2 - _distance(x, y1)**2) / (2 * _distance(y1, y2))
        hints = [
            (1 - right, "this is the belief in the other image."),
            (_share(x, y1, y2, spread, 2.0), "the distance to the plane half-way between has a half in it."),
            (_share(x, y1, y2, spread**2) if spread != 1 else math.nan, "divide by the standard deviation itself."),
            (math.erf(margin / spread), "erf runs from -1 to 1; how is the normal distribution function made of it?"),
            (float(margin > 0), "this is the belief with no smoothing: the nearer image takes all."),
        ]
        return next((hint for wrong, hint in hints if compare(got, wrong) is None), problem)
    return None


def _cover(height, width, side):
    rows = torch.tensor([min(i + 1, height - i, side, height - side + 1) for i in range(height)])
    columns = torch.tensor([min(j + 1, width - j, side, width - side + 1) for j in range(width)])
    return rows[:, None] * columns


@exercise("ex-cover", mistakes=[
    (lambda height, width, side: torch.full((height, width), side**2), "border"),
    (lambda height, width, side: _cover(height, width, side) / _cover(height, width, side).sum(), "count"),
    (lambda height, width, side: torch.tensor([[min(i + 1, height - i, side) * min(j + 1, width - j, side)
                                                for j in range(width)] for i in range(height)]), "large"),
    (lambda height, width, side: torch.ones(height, width), "overlap"),
])
def cover(answer):
    """How many patches lie over each pixel."""
    for height, width, side in ((6, 7, 3), (4, 5, 1), (5, 8, 2), (8, 6, 5)):
        right = _cover(height, width, side)
        got = answer(height, width, side)
        problem = compare(got, right)
        if problem is None:
            continue
        if got is None or got is Ellipsis:
            return problem
        if compare(got, right / right.sum()) is None:
            return "asked is the count itself, not a share."
        if compare(got, torch.full((height, width), side**2)) is None:
            return "true in the middle of a large image; near the border fewer patches fit."
        if compare(got, torch.ones(height, width)) is None:
            return "patches overlap: they start at every pixel from which they still fit."
        where = f"for an image of {height} x {width} and patches of {side}"
        if 2 * side > min(height, width):
            return f"{where}: when the patch is large, few positions are left at all. {problem}"
        return f"{where}: {problem}"
    return None


def _edge(variances, count, factor=0.5):
    wanted, low, high = math.log(count), 1e-6, 1.0

    def information(t):
        ratio = math.tan(math.pi * t / 2.016)
        return factor * float(torch.log1p(variances / ratio**2).sum())

    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if information(middle) > wanted else (low, middle)
    return low


@exercise("ex-edge-time", mistakes=[
    (lambda variances, count: _edge(variances, count, 1.0), "half"),
    (lambda variances, count: _edge(variances.mean() * torch.ones_like(variances), count), "each"),
    (lambda variances, count: _edge(variances, count**2), "logarithm"),
    (lambda variances, count: _edge(variances[variances > 0.1], count), "components"),
])
def edge_time(answer):
    """The time at which the information in a noisy Gaussian image is the log of the number of images."""
    random = torch.rand(64, generator=torch.Generator().manual_seed(1))
    steep = torch.tensor([1.0] * 20 + [0.01] * 50)
    cases = [(torch.tensor([2.0, 0.5, 0.1, 0.05] * 8), 5000), (random, 300), (steep, 40)]
    for variances, count in cases:
        variances = variances.double()
        right, got = _edge(variances, count), answer(variances, count)
        problem = compare(got, right, rtol=2e-3)
        if problem is None:
            continue
        if got is None or got is Ellipsis:
            return problem
        hints = [
            (_edge(variances, count, 1.0), "a Gaussian channel carries half a logarithm for each component."),
            (_edge(variances.mean() * torch.ones_like(variances), count),
             "each component has its own variance; their mean is not enough."),
            (_edge(variances, count**2), "compare with the logarithm of the number of images, once."),
            (_edge(variances[variances > 0.1], count), "all components count, the small ones too."),
        ]
        return next((hint for wrong, hint in hints if compare(got, wrong, rtol=2e-3) is None), problem)
    return None
