"""Checks of the exercises of chapter book/part3/mosaics."""

import torch

from elsedu.exercises import compare, exercise, is_true


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


def _strips(n):
    """Cyclic words of length n whose runs all have length two or more."""
    words = torch.arange(2**n)[:, None] >> torch.arange(n) & 1
    fine = (words == words.roll(1, 1)) | (words == words.roll(-1, 1))
    return int(fine.all(1).sum())


@exercise("ex-fibonacci", mistakes=[
    (lambda n: sum(all((w >> k & 1) in (w >> k - 1 & 1 if k else -1, w >> k + 1 & 1 if k < n - 1 else -1)
                       for k in range(n)) for w in range(2**n)), "first row"),
    (lambda n: 2**n, "too many"),
])
def fibonacci(answer):
    """Mosaics on the n x 3 torus."""
    for n in (4, 5, 8, 11):
        got, right = answer(n), _strips(n)
        wrong = compare(got, right, rtol=0, atol=1e-9)
        if wrong is None:
            continue
        if got == _open_strips(n):
            return "did you forget that the torus closes? The first row is also a neighbour of the last."
        if got > right:
            return f"too many for n = {n}: a row without an equal neighbour has only three of nine votes."
        return f"too few for n = {n}: the colour may be exchanged, and runs may have any length from two on."
    return None


def _open_strips(n):
    words = torch.arange(2**n)[:, None] >> torch.arange(n) & 1
    same = words[:, 1:] == words[:, :-1]
    edge = torch.zeros(len(words), 1, dtype=torch.bool)
    return int((torch.cat([edge, same], 1) | torch.cat([same, edge], 1)).all(1).sum())


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
