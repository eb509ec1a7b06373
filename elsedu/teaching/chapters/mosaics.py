"""Checks of the exercises of chapter book/part3/mosaics."""

from itertools import pairwise

import torch

import elsedu
from elsedu.teaching.answers import compare, is_true
from elsedu.teaching.exercises import exercise


def _window_sum(x):
    """Sum over the 3x3 window of each pixel of (..., H, W) on a torus."""
    return sum(torch.roll(x, (i, j), (-2, -1)) for i in (-1, 0, 1) for j in (-1, 0, 1))


def _signs(*shape, seed=0):
    return 2.0 * torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) - 1


@exercise("ex-majority", mistakes=[
    (lambda x: torch.sign(_window_sum(x) - x) != x, "votes too"),
    (lambda x: torch.sign(_window_sum(x)) == x, "opposite"),
])
def majority(answer):
    """The pixels that disagree with their 3x3 majority."""
    x = _signs(9, 7)
    right = torch.sign(_window_sum(x)) != x
    got = answer(x)
    if got is None or got is Ellipsis:
        return "not answered yet: your function returns nothing."
    if not isinstance(got, torch.Tensor) or got.dtype != torch.bool:
        return "return a boolean tensor: compare the signs with == or !=."
    if got.shape != x.shape:
        return f"the shape should be {tuple(x.shape)}, got {tuple(got.shape)}."
    if torch.equal(got, ~right):
        return "this is the opposite: true should mean that the pixel disagrees."
    if torch.equal(got, torch.sign(_window_sum(x) - x) != x):
        return "almost: the pixel itself belongs to its window, so it votes too."
    if torch.equal(got[1:-1, 1:-1], right[1:-1, 1:-1]) and not torch.equal(got, right):
        return "right inside, wrong at the edge: on a torus the window goes on at the other side."
    return is_true(torch.equal(got, right), f"{int((got != right).sum())} of {right.numel()} pixels are wrong.")


@exercise("ex-running", mistakes=[
    (lambda x, x0, at, st, as_, ss: ss / st * x + as_ * x0, "weights"),
    (lambda x, x0, at, st, as_, ss: x + (as_ - at) * x0, "first term"),
])
def running(answer):
    """A DDIM step from the running-average formula."""
    generator = torch.Generator().manual_seed(1)
    x, x0 = torch.randn(2, 1, 4, 4, generator=generator), torch.randn(2, 1, 4, 4, generator=generator)
    alpha_t, sigma_t, alpha_s, sigma_s = 0.6, 0.8, 0.96, 0.28
    got = answer(x, x0, alpha_t, sigma_t, alpha_s, sigma_s)
    right = alpha_s * x0 + sigma_s * (x - alpha_t * x0) / sigma_t
    wrong = compare(got, right)
    if wrong is None:
        return None
    if isinstance(got, torch.Tensor) and got.shape == x.shape:
        without_belief = answer(x, torch.zeros_like(x0), alpha_t, sigma_t, alpha_s, sigma_s)
        if compare(without_belief, sigma_s / sigma_t * x) is not None:
            return "the old image has the wrong weight: look at the first term of the lemma, from t to s."
        return "the old image has the right weight, the belief has not: the weights of all beliefs are in the lemma."
    return wrong


def _square(size):
    image = -torch.ones(10, 10)
    image[2:2 + size, 2:2 + size] = 1
    return image


@exercise("ex-island", mistakes=[
    (_square(4), "break the rule"),
    (-torch.ones(10, 10), "white pixels"),
    (torch.zeros(10, 10), "+1 or -1"),
])
def island(answer):
    """A mosaic with a given number of white pixels."""
    image = torch.as_tensor(answer, dtype=torch.float64)
    if image.shape != (10, 10):
        return f"the image should have shape (10, 10), got {tuple(image.shape)}."
    if not bool((image.abs() == 1).all()):
        return "every pixel should be +1 or -1."
    broken = torch.sign(_window_sum(image)) != image
    if bool(broken.any()):
        row, column = broken.nonzero()[0].tolist()
        return f"{int(broken.sum())} pixels break the rule, the first in row {row}, column {column}."
    white = int((image == 1).sum())
    return is_true(13 <= white <= 20, f"it is a mosaic, but it has {white} white pixels.")


def _cut(z):
    z = torch.nn.functional.pad(z, (1, 1, 1, 1), mode="circular")
    return torch.nn.functional.unfold(z, 3).transpose(1, 2).flatten(0, 1)


def _harden(images, x):
    patches = _cut(images)
    return patches[torch.cdist(_cut(x[None]), patches).argmin(1), 4].reshape(x.shape)


def _harden_without_wrapping(images, x):
    inside = torch.nn.functional.unfold(images, 3).transpose(1, 2).flatten(0, 1)
    return inside[torch.cdist(_cut(x[None]), inside).argmin(1), 4].reshape(x.shape)


def _harden_pixel(images, x):
    values = images.flatten()
    return values[(x.flatten()[:, None] - values).abs().argmin(1)].reshape(x.shape)


@exercise("ex-hard", mistakes=[
    (_harden_without_wrapping, "wrap"),
    (_harden_pixel, "whole window"),
    (lambda images, x: _harden(images, x)[0], "shape"),
])
def hard(answer):
    """Each pixel becomes the centre of the nearest patch."""
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(3, 1, 5, 6, generator=generator) * 2 - 1
    x = torch.randn(1, 5, 6, generator=generator)
    got = answer(images, x)
    right = _harden(images, x)
    if isinstance(got, torch.Tensor) and got.shape == right.shape:
        if compare(got, _harden_pixel(images, x)) is None:
            return "this compares single pixels; compare the whole window."
        if compare(got, _harden_without_wrapping(images, x)) is None:
            return "the training images have patches that wrap around their edges, too."
        known = (got.flatten()[:, None] - images.flatten()).abs().amin(1) < 1e-6
        if not bool(known.all()):
            return "every value should be a pixel of a training image; is it the centre of the nearest patch?"
    return compare(got, right)


def _velocity(x, t):
    """The right side of the flow equation of the two-image machine, 3x3 windows on a torus."""
    schedule = elsedu.schedule.cosine()
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    x0 = torch.tanh(alpha * _window_sum(x) / sigma**2)
    return schedule.alpha_derivative(t) * x0 + schedule.sigma_derivative(t) * (x - alpha * x0) / sigma


def _follow(x, t0, t1, steps, order=2, sign=1):
    """The flow from t0 to t1, by Euler's method (order 1) or by Heun's (order 2)."""
    for t, s in pairwise(torch.linspace(t0, t1, steps + 1, dtype=torch.float64).tolist()):
        slope = sign * _velocity(x, t)
        if order == 2:
            slope = (slope + sign * _velocity(x + (s - t) * slope, s)) / 2
        x = x + (s - t) * slope
    return x


def _alpha(t):
    return elsedu.schedule.cosine().alpha(t)


@exercise("ex-backwards", mistakes=[
    (lambda m, t0: _follow(_alpha(t0) * m.double(), t0, 1.0, 5, order=1), "smaller steps"),
    (lambda m, t0: _follow(m.double(), t0, 1.0, 400), "begin"),
    (lambda m, t0: _follow(_alpha(t0) * m.double(), t0, 1.0, 400, sign=-1), "sign"),
    (lambda m, t0: _follow(m.double(), 1.0, t0, 400), "upwards"),
    (lambda m, t0: m.double(), "come"),
])
def backwards(answer):
    """The noise from which the flow comes to a mosaic."""
    stripes = -torch.ones(6, 6)
    stripes[:, :2] = 1
    octagon = -torch.ones(6, 6)
    octagon[0:4, 0:4] = 1
    octagon[0:4:3, 0:4:3] = -1
    for t0 in (0.3, 0.1):
        m = torch.stack([stripes, octagon]).double()
        got, right = answer(m, t0), _follow(_alpha(t0) * m, t0, 1.0, 400)
        if compare(got, right, rtol=1e-2, atol=1e-2) is None:
            continue
        if not isinstance(got, torch.Tensor) or got.shape != right.shape:
            return compare(got, right)
        scale = float(right.abs().mean())

        def near(other, got=got, scale=scale):
            return float((got.double() - other).abs().mean()) < 0.02 * scale

        if near(_follow(m, t0, 1.0, 400)):
            return "at t0 the flow should be at the clean image times its level: where should you begin?"
        if near(_follow(_alpha(t0) * m, t0, 1.0, 400, sign=-1)):
            return "the slope has the wrong sign: going up in time, the step s - t is positive by itself."
        if near(_follow(m, 1.0, t0, 400)) or near(_follow(_alpha(t0) * m, 1.0, t0, 400)):
            return "this goes down from t = 1; the way to the noise leads upwards in time, from t0 to 1."
        off = float((got.double() - right).abs().max())
        if off < 0.5 * scale:
            return f"near, but off by up to {off:.2f}: take smaller steps, or a method that looks at the slope twice."
        return f"from there the flow does not come through the mosaic at t0 = {t0}: it is off by up to {off:.2f}."
    return None
