"""Checks of the exercises of chapter book/part5/computing_fast."""

import itertools
import math

import torch

from elsedu.posterior.backends.boxsum_torch import box_sum as right_box_sum
from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

NOTHING = "not answered yet: your function returns nothing."


def _count(height, width, window):
    def along(length):
        inside = max(0, length - window + 1)
        return inside**2 + length - inside

    return along(height) * along(width)


def _cut(length, window):
    return max(0, length - window + 1)


@exercise("ex-rectangle", mistakes=[
    (lambda H, W, P: (H - P + 1) ** 2 * (W - P + 1) ** 2, "edges and corners"),
    (lambda H, W, P: ((H - P + 1) ** 2 + P - 1) * ((W - P + 1) ** 2 + P - 1), "larger than the image"),
    (lambda H, W, P: H**2 * W**2, "torus"),
    (lambda H, W, P: _count(H, H, P), "height and width"),
    (lambda H, W, P: _cut(H, P) ** 2 * _cut(W, P) ** 2 + (H - _cut(H, P)) * (W - _cut(W, P)), "inside"),
])
def rectangle(answer):
    """Pairs of pixel and patch with a zero border."""
    for case in ((8, 8, 3), (5, 9, 3), (7, 6, 5), (4, 4, 1), (3, 9, 5), (4, 5, 9)):
        got, right = answer(*case), _count(*case)
        height, width, window = case
        if got is None:
            return NOTHING
        if compare(got, right, rtol=0) is None:
            continue
        where = f"H = {height}, W = {width}, P = {window}"
        if compare(got, _cut(height, window) ** 2 * _cut(width, window) ** 2, rtol=0) is None:
            return "these are the pairs of inside pixels only; edges and corners count as well."
        if compare(got, (height * width) ** 2, rtol=0) is None:
            return "this is the torus, where every place goes with every place."
        if compare(got, _count(height, height, window), rtol=0) is None:
            return "height and width need not be equal."
        if window > min(height, width):
            return f"for {where}: the window is larger than the image, so no row (or column) is inside."
        if got < right:
            return f"for {where}: too few; a row inside may meet a column near the border, and the other way round."
        return f"for {where}: {compare(got, right, rtol=0)}"
    return None


def _wrapped(values, window):
    return right_box_sum(values[None], window, "circular")[0]


def _forward(values, window):
    """The window begins at the pixel instead of being centred on it."""
    padded = torch.nn.functional.pad(values, (0, window - 1, 0, window - 1))
    return padded.unfold(0, window, 1).unfold(1, window, 1).sum((2, 3))


@exercise("ex-box-sum", mistakes=[
    (_wrapped, "wraps"),
    (_forward, "centre"),
    (lambda D, P: right_box_sum(D[None], P, "zero")[0] / P**2, "mean"),
    (lambda D, P: D.unfold(0, P, 1).unfold(1, P, 1).sum((2, 3)), "shape"),
    (lambda D, P: right_box_sum(D[None], P + 2, "zero")[0], "larger"),
])
def box_sum(answer):
    """Sums over the part of each window that lies inside."""
    generator = torch.Generator().manual_seed(5)
    for (height, width), window in (((6, 6), 3), ((5, 8), 5), ((7, 4), 1), ((4, 6), 3), ((9, 9), 7)):
        values = torch.randn(height, width, generator=generator, dtype=torch.float64)
        got, right = answer(values.clone(), window), right_box_sum(values[None], window, "zero")[0]
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        hints = [
            (_wrapped(values, window), "this wraps around the border; beyond a zero border there is nothing to add."),
            (_forward(values, window), "each window should have its pixel in the centre, not at its corner."),
            (right / window**2, "this is the mean over the window; asked is the sum."),
            (right_box_sum(values[None], window + 2, "zero")[0], "the windows are larger than P."),
            (right_box_sum(values[None], max(1, window - 2), "zero")[0], "the windows are smaller than P."),
        ]
        for wrong, hint in hints:
            if compare(got, wrong) is None:
                return hint
        return f"for an image of {height} x {width} and P = {window}: {compare(got, right)}"
    return None


@exercise("ex-reach", mistakes=[
    (lambda n, R, tolerance: math.log(n) + 16, "tolerance"),
    (lambda n, R, tolerance: math.log(R / tolerance), "patches"),
    (lambda n, R, tolerance: math.log(n / tolerance), "R"),
    (lambda n, R, tolerance: -math.log(n * R / tolerance), "sign"),
    (lambda n, R, tolerance: n * R / tolerance, "logarithm"),
    (lambda n, R, tolerance: math.log((n - 1) * R / tolerance), "sharper"),
])
def reach(answer):
    """log(n R / tolerance)."""
    for n, length, tolerance in ((1000, 2.0, 1e-6), (50_000 * 900, 1.0, 1e-3), (10, 5.0, 0.5), (400, 2.0, 1e-9)):
        got, right = answer(n, length, tolerance), math.log(n * length / tolerance)
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        hints = [
            (math.log(n) + 16, "this is one fixed choice; asked is the one that belongs to the tolerance."),
            (math.log(length / tolerance), "all the patches left out count together, and there may be n of them."),
            (math.log(n / tolerance), "the error also grows with R, the length of the interval."),
            (n * length / tolerance, "the weight is the exponential of minus the reach: take the logarithm."),
            (math.log((n - 1) * length / tolerance), "true, and a little sharper, but here all n count as left out."),
        ]
        for wrong, hint in hints:
            if compare(got, wrong) is None:
                return hint
        return f"for n = {n}, R = {length}, tolerance = {tolerance}: {compare(got, right)}"
    return None


def _state(logits, values):
    m = max(logits)
    weights = [math.exp(z - m) for z in logits]
    return (m, sum(weights), sum(w * q for w, q in zip(weights, values)),
            sum(w * q * q for w, q in zip(weights, values)), sum(w * (z - m) for w, z in zip(weights, logits)))


def _finished(logits, values):
    """From all logits at once, in float64."""
    logits, values = (torch.tensor(z, dtype=torch.float64) for z in (logits, values))
    log_w = torch.log_softmax(logits, 0)
    mean = (log_w.exp() * values).sum()
    variance = (log_w.exp() * (values - mean) ** 2).sum()
    return {"mean": mean.item(), "variance": variance.item(), "effective": math.exp(-(log_w.exp() * log_w).sum())}


def _merged(states, unmoved=False, spread=True, entropy=False, skip=True):
    """The answer, and what typical mistakes make of it."""
    states = [z for z in states if z[0] > -math.inf] if skip else states
    if not states:
        return None
    top = max(z[0] for z in states)
    s = v = v2 = u = 0.0
    for m, s_i, v_i, v2_i, u_i in states:
        scale = math.exp(m - top)
        s, v, v2 = s + scale * s_i, v + scale * v_i, v2 + scale * v2_i
        u += scale * (u_i + (0 if unmoved else s_i * (m - top)))
    effective = math.log(s) - u / s if entropy else s * math.exp(-u / s)
    return {"mean": v / s, "variance": v2 / s - (v / s) ** 2 * spread, "effective": effective}


def _added(states):
    """Sums added as they are, relative to different maxima."""
    _, s, v, v2, u = (sum(column) for column in zip(*states))
    return {"mean": v / s, "variance": v2 / s - (v / s) ** 2, "effective": s * math.exp(-u / s)} if s else None


CASES = [
    [([0.0, -1.0, -2.0], [0.5, -0.3, 0.9])],
    [([-1.0, -2.5], [0.1, 0.7]), ([-0.2, -3.0, -4.0], [-0.6, 0.3, 0.8])],
    [([-5000.0, -5001.0], [0.2, -0.9]), ([-4999.0, -5003.0], [0.4, 1.0]), ([-9000.0], [-1.0])],
]


@exercise("ex-merge", mistakes=[
    (_added, "common maximum"),
    (lambda states: _merged(states, unmoved=True), "own reference point"),
    (lambda states: _merged(states, spread=False), "square of the mean"),
    (lambda states: _merged(states, entropy=True), "entropy itself"),
    (lambda states: _merged(states, skip=False), "neutral"),
    (lambda states: _merged(states) or {"mean": 0.0, "variance": 0.0, "effective": 0.0}, "None"),
])
def merge_states(answer):
    """Mean, variance and effective patches of a union."""
    neutral = (-math.inf, 0.0, 0.0, 0.0, 0.0)
    for parts in CASES:
        states = [_state(*part) for part in parts]
        right = _finished(*(list(itertools.chain(*z)) for z in zip(*parts)))
        wrongs = [(_added(states), "the sums of different states have to be moved to a common maximum first.")]
        wrongs += [(_merged(states, **options), hint) for options, hint in (
            ({"unmoved": True}, "u has its own reference point m inside; when m moves, each of its terms moves too."),
            ({"spread": False}, "the variance is the mean square minus the square of the mean."),
            ({"entropy": True}, "`effective` is the entropy itself; the number of patches is its exponential."))]
        got = answer(list(states))
        if got is None:
            return NOTHING
        if not isinstance(got, dict) or set(got) != set(right):
            return 'return a dictionary with the keys "mean", "variance" and "effective".'
        for key, value in right.items():
            if compare(got[key], value) is not None:
                for wrong, hint in wrongs:
                    if compare(got[key], wrong[key]) is None:
                        return hint
                return f"{key}: {compare(got[key], value)}"
        try:
            with_neutral = answer([neutral, *states[::-1], neutral])
        except (ArithmeticError, ValueError):
            return "a neutral state, with m = -inf, is no reason to fail."
        if with_neutral is None or any(compare(with_neutral[key], value) for key, value in right.items()):
            return "neutral states in the list, or another order, should change nothing."
    for empty in ([], [neutral], [neutral, neutral]):
        try:
            if answer(empty) is not None:
                return "an empty union (no state, or neutral ones only) should give None."
        except (ArithmeticError, ValueError):
            return "an empty union (no state, or neutral ones only) should give None, without an error."
    return None
