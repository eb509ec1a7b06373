"""Checks of the exercises of chapter book/part4/networks."""

import torch

from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

NOTHING = "not answered yet: your function returns nothing."


@exercise("ex-enough-blocks", mistakes=[
    (lambda window: (window - 1) // 2, "first and the last"),
    (lambda window: (window - 5) / 2, "whole number"),
    (lambda window: -(-(window - 5) // 2), "at least 0"),
    (lambda window: max(0, (window - 5) // 2), "sees less"),
    (lambda window: max(0, round((window - 5) / 2)), "sees less"),    # Python rounds a half to the even number
    (lambda window: max(0, (window - 5) // 2 + 1), "more than it needs"),
])
def enough_blocks(answer):
    """The least number of blocks that see a window."""
    for window in (17, 8, 7, 9, 3, 1, 10, 16, 33):
        got, right = answer(window), max(0, -(-(window - 5) // 2))
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        if float(got) != int(got):
            return "the number of blocks is a whole number."
        if float(got) < 0:
            return "a network has at least 0 blocks."
        if got == right + 2:
            return "the first and the last convolution see too: they are not blocks."
        if got < right:
            return f"for window = {window} this network sees less than asked."
        return f"for window = {window} this is more than it needs."
    return None


@exercise("ex-loss-floor", mistakes=[
    (lambda alpha, sigma, variance: sigma**2 * variance / (alpha**2 * variance + sigma**2), "clean pixel"),
    (lambda alpha, sigma, variance: sigma**2 / (alpha**2 * variance + sigma**2), "can be predicted"),
    (lambda alpha, sigma, variance: 1 - 1 / (alpha**2 * variance + sigma**2), "factor"),
])
def loss_floor(answer):
    """The variance of the noise given a noisy normal pixel."""
    for alpha, sigma, variance in ((0.8, 0.6, 0.5), (0.6, 0.8, 2.0), (0.1, 0.99, 1.0), (0.9, 0.1, 0.3)):
        total = alpha**2 * variance + sigma**2
        got, right = answer(alpha, sigma, variance), alpha**2 * variance / total
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        if compare(got, sigma**2 * variance / total) is None:
            return "this is the variance of the clean pixel; asked is that of the noise."
        if compare(got, sigma**2 / total) is None:
            return "this is the part of the noise that can be predicted."
        if compare(got, 1 - 1 / total) is None:
            return "the score's mean square comes with a factor: look at the definition of the constant."
        return f"for alpha = {alpha}, sigma = {sigma}, variance = {variance}: {compare(got, right)}"
    return None


def _unet_window(p):
    first, last = p - 3, p + 3
    first, last = first // 2 - 2, last // 2 + 2
    first, last = first // 2 - 2, last // 2 + 2
    first, last = 2 * first - 2, 2 * last + 3
    return 2 * first - 2, 2 * last + 3


def _symmetric(p):
    return p - 21, p + 21


def _no_neighbour(p):
    first, last = p - 3, p + 3
    first, last = first // 2 - 2, last // 2 + 2
    first, last = first // 2 - 2, last // 2 + 2
    first, last = 2 * first - 2, 2 * last + 2
    return 2 * first - 2, 2 * last + 2


@exercise("ex-unet-window", mistakes=[
    (_symmetric, "where $p$ lies"),
    (_no_neighbour, "2j + 1"),
    (lambda p: _unet_window(p)[1] - _unet_window(p)[0] + 1, "two numbers"),
    (lambda p: (p - 11, p + 11), "too few"),
])
def unet_window(answer):
    """The receptive field of an output pixel of the UNet, in one dimension."""
    for p in (0, 1, 2, 3, 4, 9, 30):
        got, right = answer(p), _unet_window(p)
        if got is None:
            return NOTHING
        if not isinstance(got, tuple | list) or len(got) != 2:
            return "return two numbers, the first and the last pixel."
        if compare(got, right) is None:
            continue
        if compare(got, _no_neighbour(p)) is None:
            return "a pooled pixel j looks at 2j and at 2j + 1: the far end moves by one more."
        if got[1] - got[0] < 40:
            return "too few pixels: at the coarsest size a step of one is a step of four in the image."
        lengths = {answer(k)[1] - answer(k)[0] for k in range(4)}
        if len(lengths) == 1:
            return "the answer depends on where $p$ lies in its block of four: use the floor, not a half."
        return f"for p = {p}: {compare(got, right)}"
    return None


def _pooled(x):
    """A map that commutes with shifts by multiples of 2 only."""
    small = torch.nn.functional.max_pool2d(x, 2)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return large * torch.tensor([1.0, 0.5]).repeat(x.shape[3] // 2) + 0.1 * x


def _pooled_twice(x):
    """A map that commutes with shifts by multiples of 4 only."""
    small = torch.nn.functional.max_pool2d(x, 4)
    return small.repeat_interleave(4, 2).repeat_interleave(4, 3).tanh() + x.roll(1, 3)


def _mended(denoise, x, stride, back=True, diagonal=False, mean=True):
    total = torch.zeros_like(x)
    shifts = [(i, i if diagonal else j) for i in range(stride) for j in range(1 if diagonal else stride)]
    for i, j in shifts:
        out = denoise(x.roll((i, j), (2, 3)))
        total = total + (out.roll((-i, -j), (2, 3)) if back else out)
    return total / (len(shifts) if mean else 1)


def _all_shifts(denoise, x, stride):
    return _mended(denoise, x, x.shape[2])


@exercise("ex-symmetrise", mistakes=[
    (lambda denoise, x, stride: denoise(x), "does not commute"),
    (lambda denoise, x, stride: _mended(denoise, x, stride, back=False), "change nothing"),
    (lambda denoise, x, stride: _mended(denoise, x, stride, diagonal=True), "does not commute"),
    (lambda denoise, x, stride: _mended(denoise, x, stride, mean=False), "factor"),
    (_all_shifts, "calls"),
    (lambda denoise, x, stride: torch.zeros_like(x), "zero"),
])
def symmetrise(answer):
    """Average over the shifts within one stride."""
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    got = answer(torch.tanh, x, 2)
    if got is None:
        return NOTHING
    wrong = compare(got, torch.tanh(x), rtol=1e-4, atol=1e-5)
    if wrong is not None:
        return f"where denoise commutes with every shift, it should change nothing, but here: {wrong}"
    for function, stride in ((_pooled, 2), (_pooled_twice, 4)):
        calls = []

        def counted(z, function=function, calls=calls):
            calls.append(len(z) / len(x))
            return function(z)

        out = answer(counted, x, stride)
        if sum(calls) > stride**2:
            return f"{sum(calls):g} calls of denoise for stride {stride}, more than stride squared."
        for shift in ((0, 1), (1, 0), (1, 3)):
            moved = answer(function, x.roll(shift, (2, 3)), stride)
            if not torch.allclose(moved, out.roll(shift, (2, 3)), atol=1e-5):
                return f"for stride {stride} the result does not commute with the shift {shift}."
        wrong = compare(out, _mended(function, x, stride), rtol=1e-4, atol=1e-5)
        if wrong is not None:
            return f"it commutes with shifts, but it is not the mean: {wrong}"
    return None
