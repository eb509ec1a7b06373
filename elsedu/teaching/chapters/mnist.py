"""Checks of the exercises of chapter book/part5/mnist."""

import numpy as np
import torch

import elsedu
from elsedu.analysis.metrics import pearson_r
from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

NOTHING = "not answered yet: your function returns nothing."


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _median(values):
    return float(np.median(np.asarray(values)))


@exercise("ex-chance", mistakes=[
    (lambda table: _median(table.diagonal()) - _median(table), "diagonal"),
    (lambda table: _median(table.diagonal()), "subtract"),
    (lambda table: table.diagonal().mean() - table[~torch.eye(len(table), dtype=torch.bool)].mean(), "medians"),
    (lambda table: _median(table[~torch.eye(len(table), dtype=torch.bool)]) - _median(table.diagonal()), "sign"),
    (lambda table: table.diagonal().median() - table[~torch.eye(len(table), dtype=torch.bool)].median(),
     "np.median"),
])
def chance(answer):
    """Median of the diagonal minus median of the rest."""
    for size, seed in ((4, 1), (7, 2)):
        table = torch.rand(size, size, generator=torch.Generator().manual_seed(seed)) ** 3
        table += 0.5 * torch.eye(size) * torch.rand(size, generator=torch.Generator().manual_seed(seed + 9))
        off = ~torch.eye(size, dtype=torch.bool)
        got, right = answer(table), _median(table.diagonal()) - _median(table[off])
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        if compare(got, _median(table.diagonal()) - _median(table)) is None:
            return "pairs of different seeds only: the diagonal must be taken out of the second median."
        if compare(got, _median(table.diagonal())) is None:
            return "this is the agreement itself; the chance level remains to be subtracted."
        if compare(got, table.diagonal().mean() - table[off].mean()) is None:
            return "asked for are medians; these are means."
        if compare(got, table.diagonal().median() - table[off].median()) is None:
            return "torch.median takes the lower of two values in the middle; np.median takes their mean, as asked."
        return compare(got, right)
    return None


def _slope(counts, distances):
    return np.polyfit(np.log(counts), np.log(distances), 1)[0]


@exercise("ex-dimension", mistakes=[
    (lambda counts, distances: _slope(counts, distances), "slope"),
    (lambda counts, distances: 1 / _slope(counts, distances), "sign"),
    (lambda counts, distances: -1 / np.polyfit(counts, distances, 1)[0], "logarithms"),
    (lambda counts, distances: -_slope(distances, counts), "the other way"),
])
def dimension(answer):
    """Minus one over the slope of the logarithms."""
    rng = np.random.default_rng(3)
    for d in (2.0, 6.5):
        counts = np.array([100.0, 400.0, 900.0, 5000.0, 20000.0])
        distances = 3.0 * counts ** (-1 / d) * np.exp(0.15 * rng.standard_normal(5))
        got, right = answer(counts, distances), -1 / _slope(counts, distances)
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        if compare(got, _slope(counts, distances)) is None:
            return "this is the slope; how does the dimension follow from it?"
        if compare(got, -1 / np.polyfit(counts, distances, 1)[0]) is None:
            return "a power law is a straight line only in the logarithms of both."
        if compare(got, -_slope(distances, counts)) is None:
            return "the line was fitted the other way round: log distance is to be predicted from log count."
        return compare(got, right)
    return None


def _setting(count):
    return elsedu.load("digits").take(torch.arange(count)), _random(5, 1, 8, 8, seed=7)


def _halves(make, data, noise, steps=10, second=None):
    n = len(data) // 2
    start = n if second is None else second(n)
    one, two = (elsedu.sample(make(data.take(torch.arange(a, a + n))), noise, steps=steps) for a in (0, start))
    return pearson_r(one, two).median().item()


@exercise("ex-halves", mistakes=[
    (lambda make, data, noise: _halves(make, data, noise, steps=20), "10 steps"),
    (lambda make, data, noise: _halves(make, data, noise, second=lambda n: 0), "the same half"),
    (lambda make, data, noise: pearson_r(
        elsedu.sample(make(data.take(torch.arange(len(data) // 2))), noise, steps=10),
        elsedu.sample(make(data.take(torch.arange(len(data) // 2, 2 * (len(data) // 2)))), torch.flip(noise, (0,)),
                      steps=10)).median().item(), "same noise"),
])
def halves(answer):
    """Agreement of machines made of two halves."""
    for count, make in ((24, elsedu.IdealScore), (31, lambda d: elsedu.EquivariantLocalScore(d, window=5))):
        data, noise = _setting(count)
        got, right = answer(make, data, noise), _halves(make, data, noise)
        if got is None:
            return NOTHING
        if compare(got, right, rtol=1e-3) is None:
            continue
        if compare(got, _halves(make, data, noise, steps=20), rtol=1e-3) is None:
            return "the numbers of steps differ: draw with 10 steps."
        if compare(got, 1.0, rtol=1e-3) is None:
            return "the two machines draw the same: were both made of the same half?"
        return f"not right for {count} images: do both machines start from the same noise, image by image?"
    return None


def _union(alice, bob, n_a, n_b, x, t):
    a, b = alice.posterior(x, t), bob.posterior(x, t)
    share = torch.stack([a.log_evidence + np.log(n_a), b.log_evidence + np.log(n_b)]).softmax(0)[:, :, None]
    return share[0] * a.mean + share[1] * b.mean


@exercise("ex-union", mistakes=[
    (lambda alice, bob, n_a, n_b, x, t: (alice.denoise(x, t) + bob.denoise(x, t)) / 2, "half"),
    (lambda alice, bob, n_a, n_b, x, t: (n_a * alice.denoise(x, t) + n_b * bob.denoise(x, t)) / (n_a + n_b),
     "evidence"),
    (lambda alice, bob, n_a, n_b, x, t: _union(alice, bob, 1, 1, x, t), "how many images"),
    (lambda alice, bob, n_a, n_b, x, t: _union(alice, bob, n_a, n_b, x, t).mean((2, 3)), "shape"),
])
def union(answer):
    """The posterior mean over two sets from two posteriors."""
    data, x = _setting(40)
    n_a, n_b = 33, 7
    make = [elsedu.EquivariantLocalScore(part, window=3) for part in
            (data.take(torch.arange(n_a)), data.take(torch.arange(n_a, 40)))]
    right = elsedu.EquivariantLocalScore(data, window=3).denoise(x, 0.6)
    got = answer(*make, n_a, n_b, x, 0.6)
    if got is None:
        return NOTHING
    if compare(got, right, atol=1e-4) is None:
        return None
    a, b = make[0].denoise(x, 0.6), make[1].denoise(x, 0.6)
    if compare(got, (a + b) / 2, atol=1e-5) is None:
        return "half and half: but one of the two may know a patch that fits far better."
    if compare(got, (n_a * a + n_b * b) / (n_a + n_b), atol=1e-5) is None:
        return "the numbers of images alone do not say whose patches fit: the evidence does, pixel by pixel."
    if compare(got, _union(*make, 1, 1, x, 0.6), atol=1e-5) is None:
        return "how many images each one has counts too: evidence is a mean over a dictionary, not a sum."
    return compare(got, right, atol=1e-4)
