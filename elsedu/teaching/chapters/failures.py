"""Checks of the exercises of chapter book/part3/failures."""

from math import comb

import torch

from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

NOTHING = "not answered yet: your function returns nothing."


@exercise("ex-cone", mistakes=[
    (lambda windows, k: sum(windows[:k]), "radius"),
    (lambda windows, k: sum((w - 1) // 2 for w in windows[-k:]), "still to come"),
    (lambda windows, k: max((w - 1) // 2 for w in windows[:k]), "add up"),
])
def cone(answer):
    """The sum of the radii of the windows still to come."""
    windows = [3, 3, 5, 7, 11, 15]
    for k in (1, 3, 4, 6):
        got, right = answer(windows, k), sum((w - 1) // 2 for w in windows[:k])
        if compare(got, right) is None:
            continue
        if compare(got, sum(windows[:k])) is None:
            return "news moves by the radius of a window in a step, not by its side."
        if k > 1 and compare(got, max((w - 1) // 2 for w in windows[:k])) is None:
            return "every step can carry news farther: the radii add up."
        if compare(got, sum((w - 1) // 2 for w in windows[-k:])) is None:
            return "take the windows that are still to come: those of the smaller times, at the front of the list."
        return compare(got, right)
    return None


def _runs(row):
    ink = torch.cat([torch.zeros(1), (row > 0).float()])
    return int((ink.diff() > 0).sum())


@exercise("ex-runs", mistakes=[
    (lambda row: int((row > 0).sum()), "pixels"),
    (lambda row: int(((row > 0).float().diff() > 0).sum()), "edge"),
    (lambda row: int(((row > 0).float().diff() != 0).sum()), "not right"),
])
def runs(answer):
    """Runs of ink in a row."""
    rows = [[-1, 1, 1, -1, 1, -1], [1, -1, -1, 1, 1, 1], [-1, -1, -1, -1, -1, -1], [1, 1, 1, 1, 1, 1],
            [-0.2, 0.3, -0.5, 0.1, 0.2, -1]]
    for row in rows:
        row = torch.tensor(row, dtype=torch.float32)
        got, right = answer(row), _runs(row)
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        if compare(got, int((row > 0).sum())) is None:
            return "this counts pixels of ink; pixels that touch belong to one leg."
        if row[0] > 0 and compare(got, right - 1) is None:
            return f"a run that begins at the edge is missed: try the row {row.int().tolist()}."
        return f"not right for the row {[round(float(v), 1) for v in row]}: {compare(got, right)}"
    return None


@exercise("ex-independent", mistakes=[
    (lambda n: comb(n, 2) * (2 / n) ** 2 * (1 - 2 / n) ** (n - 2), "does not"),
    (lambda n: 1 - (2 / n) ** 2 * (1 - 2 / n) ** (n - 2), "which two"),
])
def independent(answer):
    """Probability that a binomial number with mean 2 is not 2."""
    for n in (3, 6, 20, 200):
        p = 2 / n
        two = comb(n, 2) * p**2 * (1 - p) ** (n - 2)
        got = answer(n)
        if got is None:
            return NOTHING
        if compare(got, 1 - two) is None:
            continue
        if compare(got, two) is None:
            return "this is the probability of two legs; asked is that it does not have two."
        if compare(got, 1 - two / comb(n, 2)) is None:
            return "in how many ways can one choose which two places grow a leg?"
        return f"for places = {n}: {compare(got, 1 - two)}"
    return None


@exercise("ex-agreement", mistakes=[
    (lambda a: a, "1/2"),
    (lambda a: 1 - 2 * a, "sign"),
    (lambda a: a - 0.5, "always agree"),
])
def agreement(answer):
    """Correlation of two symmetric signs that agree with probability a."""
    if answer(0.5) is None:
        return NOTHING
    if compare(answer(0.5), 0.0) is not None:
        return "what should it be for a = 1/2, where one pixel says nothing about the other?"
    if compare(answer(1.0), -1.0) is None:
        return "the sign: pixels that always agree have correlation +1."
    if compare(answer(1.0), 1.0) is not None:
        return "pixels that always agree should have correlation 1."
    a = torch.tensor([0.0, 0.2, 0.7])
    return compare(torch.tensor([float(answer(float(v))) for v in a]), 2 * a - 1)


def _operate(machine, a, b, cut, steps, swap=False, restart=False):
    import elsedu

    def until(noise):
        for t, x, _ in elsedu.ddim(machine, noise, steps=steps):
            if round(t * steps) == cut:
                return x
        raise AssertionError("cut lies on the grid")

    half = a.shape[-1] // 2
    left, right = (until(b), until(a)) if swap else (until(a), until(b))
    x = torch.cat([left[..., :half], right[..., half:]], -1)
    if restart:
        return elsedu.sample(machine, x, steps=steps)
    schedule = machine.schedule
    for k in range(cut, 0, -1):
        x0, eps = machine.predict(x, k / steps)
        s = (k - 1) / steps
        x = schedule.alpha(s).to(x.dtype) * x0 + schedule.sigma(s).to(x.dtype) * eps
    return x


@exercise("ex-hybrid", mistakes=[
    (lambda m, a, b, cut, steps: _operate(m, a, b, cut, steps, swap=True), "exchanged"),
    (lambda m, a, b, cut, steps: _operate(m, a, b, cut, steps, restart=True), "from t = 1 again"),
    (lambda m, a, b, cut, steps: torch.cat([_operate(m, a, a, cut, steps)[..., :4],
                                            _operate(m, b, b, cut, steps)[..., 4:]], -1), "before"),
])
def hybrid(answer):
    """Two reverse processes joined at a time."""
    import elsedu

    data = 2 * torch.rand(6, 1, 6, 8, generator=torch.Generator().manual_seed(0)) - 1
    machine = elsedu.EquivariantLocalScore(data, 5, backend="torch")
    a, b = torch.randn(2, 3, 1, 6, 8, generator=torch.Generator().manual_seed(1))
    for cut, steps in ((4, 8), (8, 8)):
        got, right = answer(machine, a, b, cut, steps), _operate(machine, a, b, cut, steps)
        wrong = compare(got, right, rtol=1e-3, atol=1e-4)
        if wrong is None:
            continue
        if getattr(got, "shape", None) != right.shape:
            return wrong
        if compare(got, _operate(machine, a, b, cut, steps, swap=True), 1e-3, 1e-4) is None:
            return "the two halves are exchanged: the left one should come from `a`."
        if compare(got, _operate(machine, a, b, cut, steps, restart=True), 1e-3, 1e-4) is None:
            return "the hybrid must go on from the time of the cut; this starts from t = 1 again."
        halves = torch.cat([_operate(machine, z, z, cut, steps)[..., k:k + 4] for z, k in ((a, 0), (b, 4))], -1)
        if compare(got, halves, 1e-3, 1e-4) is None:
            return "these are halves of finished samples: join the noisy images, before the rest of the process."
        return f"for cut = {cut} and steps = {steps}: {wrong}"
    return None
