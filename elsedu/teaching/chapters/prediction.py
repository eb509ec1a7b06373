"""Checks of the exercises of chapter book/part4/prediction."""

import math

import numpy as np

from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

NOTHING = "not answered yet: your function returns nothing."


@exercise("ex-identity", mistakes=[
    (lambda r, contrast, offset: r**2 - (contrast - r)**2, "means differ"),
    (lambda r, contrast, offset: r**2 - (contrast - r)**2 - offset, "squared"),
    (lambda r, contrast, offset: r**2, "rescaled"),
    (lambda r, contrast, offset: 2 * r - 1 - offset**2, "contrast ratio is not 1"),
])
def identity(answer):
    """The determination from correlation, contrast ratio and offset."""
    for r, c, m in ((0.9, 1.0, 0.0), (0.9, 0.8, 0.0), (0.7, 1.2, 0.3), (-0.5, 0.4, 0.1), (0.95, 0.95, 0.2)):
        got, right = answer(r, c, m), r**2 - (c - r) ** 2 - m**2
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        if compare(got, r**2) is None:
            return "this is the determination of the best rescaled prediction, not of the one that was made."
        if m and compare(got, right + m**2) is None:
            return "right as long as the offset is 0. What if the means differ?"
        if m and compare(got, right + m**2 - m) is None:
            return "the offset enters squared, since it is a length and the error is a squared length."
        if compare(got, 2 * r - 1 - m**2) is None:
            return "right for images of equal contrast. Try one whose contrast ratio is not 1."
        return f"for r = {r}, contrast = {c}, offset = {m}: {compare(got, right)}"
    return None


def _needed(share, z):
    return max(1, math.ceil(z**2 * share / (1 - share)))


@exercise("ex-seeds", mistakes=[
    (lambda share, z=1.96: z**2 * share / (1 - share), "whole number"),
    (lambda share, z=1.96: max(1, math.floor(z**2 * share / (1 - share))), "too few"),
    (lambda share, z=1.96: math.ceil(1.96**2 * share / (1 - share)), "z = 1"),
    (lambda share, z=1.96: math.ceil(z**2 / (1 - share)), "smaller number"),
])
def needed(answer):
    """The number of seeds, all won, that lift Wilson's lower end to a share."""
    # no case in which the bound is reached exactly: there, rounding decides between two right answers
    for share, z in ((0.9, 1.96), (0.95, 1.96), (0.99, 1.96), (0.5, 1.96), (0.85, 1.0), (0.97, 2.576)):
        got, right = answer(share) if z == 1.96 else answer(share, z), _needed(share, z)
        if got is None:
            return NOTHING
        got = float(got)
        if got == right:
            continue
        if got != round(got):
            return f"for share = {share}: the number of seeds should be a whole number."
        if got == _needed(share, 1.96):
            return f"for z = {z:g} the answer should differ from that for z = 1.96: is z used?"
        lower = got / (got + z**2) if got > 0 else 0
        if lower < share:
            return f"for share = {share}, z = {z:g}: {got:.0f} seeds are too few, the lower end is {lower:.4f}."
        return f"for share = {share}, z = {z:g}: {got:.0f} seeds are enough, but so is a smaller number."
    return None


@exercise("ex-paired", mistakes=[
    (lambda a, b, index: (np.median(a) - np.median(b),
                          *np.quantile(np.median((a - b)[index], 1), [0.025, 0.975])), "difference of the medians"),
    (lambda a, b, index: (np.median(a - b),
                          *np.quantile(np.median(a[index], 1) - np.median(b[index], 1), [0.025, 0.975])),
     "each seed first"),
    (lambda a, b, index: (np.median(a - b), *np.quantile((a - b)[index], [0.025, 0.975])), "over each row"),
    (lambda a, b, index: (np.median(a - b), *np.quantile(np.median((a - b)[index], 1), [0.05, 0.95])), "2.5"),
    (lambda a, b, index: (np.median(b - a), *np.quantile(np.median((b - a)[index], 1), [0.025, 0.975])), "sign"),
    (lambda a, b, index: np.median(a - b), "three numbers"),
])
def paired(answer):
    """Median difference of paired values with its bootstrap interval."""
    g = np.random.default_rng(5)
    base = g.uniform(0.3, 1, 41)
    a, b = base + 0.02 * g.standard_normal(41) + 0.01, base - 0.1 * g.uniform(0, 1, 41) ** 3
    index = g.integers(41, size=(500, 41))
    d = a - b
    middles = np.median(d[index], 1)
    right = np.array([np.median(d), *np.quantile(middles, [0.025, 0.975])])
    got = answer(a, b, index)
    if got is None:
        return NOTHING
    if np.size(got) != 3:
        return "return three numbers: the median, the lower end and the upper end."
    got = np.asarray([float(x) for x in got])
    if np.allclose(got, right, rtol=1e-6, atol=1e-9):
        return None
    if np.allclose(got[0], np.median(a) - np.median(b)):
        return "this is the difference of the medians; asked is the median of the differences."
    if np.allclose(got, -right) or np.allclose(got, -right[[0, 2, 1]]):
        return "the sign is the other way round: a minus b."
    if not np.isclose(got[0], right[0]):
        return f"the median of the differences is not right: {compare(float(got[0]), float(right[0]))}"
    apart = np.median(a[index], 1) - np.median(b[index], 1)
    if np.allclose(got[1:], np.quantile(apart, [0.025, 0.975])):
        return "these are the ends for a difference of two medians: take the difference of each seed first."
    if np.allclose(got[1:], np.quantile(d[index], [0.025, 0.975])):
        return "these are quantiles of single differences: first take the median over each row of draws."
    if np.allclose(got[1:], np.quantile(middles, [0.05, 0.95])):
        return "the middle 95 % leaves 2.5 % on either side."
    return "the median is right, the ends of the interval are not."


@exercise("ex-triangle", mistakes=[
    (lambda u, v: u * v, "orthogonal"),
    (lambda u, v: u * v + math.sqrt((1 - u**2) * (1 - v**2)), "at most"),
    (lambda u, v: 1 - (math.sqrt(1 - u) + math.sqrt(1 - v)) ** 2, "holds, but"),    # the inequality of the chords
    (lambda u, v: u + v - 1, "the bound fails"),
    (lambda u, v: max(0.0, u * v - math.sqrt((1 - u**2) * (1 - v**2))), "negative"),
    (lambda u, v: u**2 * v**2 - (1 - u**2) * (1 - v**2), "square root"),
])
def triangle(answer):
    """The least correlation of two images that both correlate with a third."""
    for u, v in ((0.95, 0.98), (0.6, 0.8), (1.0, 0.7), (0.5, 0.5), (0.3, -0.2)):
        got = answer(u, v)
        if got is None:
            return NOTHING
        got, rest = float(got), math.sqrt((1 - u**2) * (1 - v**2))
        right = u * v - rest
        if math.isclose(got, right, rel_tol=1e-5, abs_tol=1e-7):
            continue
        if rest and math.isclose(got, u * v, rel_tol=1e-6):
            return "right if the parts orthogonal to A's image were orthogonal to each other. Can it be worse?"
        if rest and math.isclose(got, u * v + rest, rel_tol=1e-6):
            return "this is what it is at most."
        if got == 0 and right < 0:
            return f"for u = {u}, v = {v}: the least possible correlation is negative."
        if math.isclose(got, u**2 * v**2 - rest**2, rel_tol=1e-6):
            return "close: the lengths of the orthogonal parts enter through a square root."
        if got < right and 0 < u < 1 and 0 < v < 1:
            return f"for u = {u}, v = {v}: your bound holds, but a larger one does too: it cannot be reached."
        return f"for u = {u}, v = {v}: two images with a correlation below {got:.4f} can be found; the bound fails."
    return None
