"""Checks of the exercises of chapter book/part5/celeba."""

import torch

from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

NOTHING = "not answered yet: your function returns nothing."


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _share(H, W, P):
    return 1 - max(0, H - P + 1) * max(0, W - P + 1) / (H * W)


@exercise("ex-border-share", mistakes=[
    (lambda H, W, P: 1 - (H - P + 1) * (W - P + 1) / (H * W), "larger than the image"),
    (lambda H, W, P: max(0, H - P + 1) * max(0, W - P + 1) / (H * W), "see no border"),
    (lambda H, W, P: 1 - max(0, H - P) * max(0, W - P) / (H * W), "one row"),
    (lambda H, W, P: 1 - (max(0, H - P + 1) / H) ** 2, "square"),
])
def border_share(answer):
    """Pixels whose window leaves the image."""
    for H, W, P in ((32, 32, 17), (8, 8, 1), (9, 14, 5), (6, 6, 13), (6, 20, 9)):
        got, right = answer(H, W, P), _share(H, W, P)
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        if P <= min(H, W) and compare(got, 1 - right) is None:
            return "this is the share of pixels that see no border."
        if P > min(H, W):
            return f"not right when the window is larger than the image: try H = {H}, W = {W}, P = {P}."
        if compare(got, 1 - (H - P) * (W - P) / (H * W)) is None:
            return "off by one row and one column: how many rows hold a whole window of side P = 1?"
        if H != W:
            return f"not right for an image that is not square: H = {H}, W = {W}, P = {P}."
        return compare(got, right)
    return None


def _shift_error(draw, noise, dy, dx):
    moved = draw(noise.roll((dy, dx), (-2, -1))).roll((-dy, -dx), (-2, -1))
    return (moved - draw(noise)).abs().max().item()


@exercise("ex-shift-back", mistakes=[
    (lambda draw, noise, dy, dx: (draw(noise.roll((dy, dx), (-2, -1))) - draw(noise)).abs().max().item(), "shift back"),
    (lambda draw, noise, dy, dx: (draw(noise.roll((dy, dx), (-1, -2))).roll((-dy, -dx), (-1, -2))
                                  - draw(noise)).abs().max().item(), "rows"),
    (lambda draw, noise, dy, dx: (draw(noise.roll((dy, dx), (-2, -1))).roll((-dy, -dx), (-2, -1))
                                  - draw(noise)).max().item(), "absolute"),
    (lambda draw, noise, dy, dx: (draw(noise.roll((dy, dx), (-2, -1))).roll((-dy, -dx), (-2, -1))
                                  - draw(noise)).abs().mean().item(), "largest"),
])
def shift_back(answer):
    """Shift, draw, shift back."""
    noise = _random(2, 1, 6, 7, seed=1)

    def blur(x):                             # equivariant
        return x + 0.5 * x.roll(1, -1) - 0.2 * x.roll(2, -2)

    ramp = torch.linspace(1, 0, 7, dtype=torch.float64) + torch.linspace(0, 3, 6, dtype=torch.float64)[:, None] ** 2

    def fade(x):                             # knows its place
        return x.abs() * ramp

    for draw, name in ((blur, "an equivariant draw"), (fade, "a draw that knows its place")):
        for dy, dx in ((0, 0), (1, 0), (0, 2), (2, -3)):
            got, right = answer(draw, noise, dy, dx), _shift_error(draw, noise, dy, dx)
            if got is None:
                return NOTHING
            if compare(got, right, atol=1e-9) is None:
                continue
            plain = draw(noise.roll((dy, dx), (-2, -1))) - draw(noise)
            if compare(got, plain.abs().max().item()) is None:
                return "did you shift back what was drawn from the shifted noise?"
            swapped = draw(noise.roll((dy, dx), (-1, -2))).roll((-dy, -dx), (-1, -2)) - draw(noise)
            if compare(got, swapped.abs().max().item()) is None:
                return "rows are dimension -2 and columns dimension -1: dy and dx seem to be exchanged."
            right_gap = draw(noise.roll((dy, dx), (-2, -1))).roll((-dy, -dx), (-2, -1)) - draw(noise)
            if compare(got, right_gap.max().item()) is None:
                return "differences have two signs: take the absolute value first."
            if compare(got, right_gap.abs().mean().item()) is None:
                return "asked for is the largest difference, not the mean."
            return f"not right for {name}, shift ({dy}, {dx}): {compare(got, right)}"
    return None


def _place_gain(probability, mean):
    alone = (probability * mean).sum(1, keepdim=True) / probability.sum(1, keepdim=True)
    return (probability * (mean - alone) ** 2).sum()


@exercise("ex-place-gain", mistakes=[
    (lambda probability, mean: (probability * (mean - mean.mean(1, keepdim=True)) ** 2).sum(), "equally"),
    (lambda probability, mean: ((mean - (probability * mean).sum(1, keepdim=True)
                                 / probability.sum(1, keepdim=True)) ** 2).mean(), "joint probability"),
    (lambda probability, mean: (probability * (mean - (probability * mean).sum()) ** 2).sum(), "forgets the window"),
    (lambda probability, mean: (probability * (mean - (probability * mean).sum(1, keepdim=True)) ** 2).sum(),
     "divide"),
])
def place_gain(answer):
    """Variance of the conditional mean within each window."""
    probability = _random(4, 3, seed=2).exp()
    probability /= probability.sum()
    mean = _random(4, 3, seed=3)
    got, right = answer(probability, mean), _place_gain(probability, mean)
    if got is None:
        return NOTHING
    if compare(got, right) is None:
        return None
    marginal = probability.sum(1, keepdim=True)
    wrong = {
        "places are not equally likely given the window: weigh them with P(p | w).":
            (probability * (mean - mean.mean(1, keepdim=True)) ** 2).sum(),
        "the squared differences must be weighed with the joint probability.":
            ((mean - (probability * mean).sum(1, keepdim=True) / marginal) ** 2).mean(),
        "this compares with the mean of everything: it forgets the window, which both predictions know.":
            (probability * (mean - (probability * mean).sum()) ** 2).sum(),
        "E[x0 | w] needs P(p | w): did you divide the joint probability by that of the window?":
            (probability * (mean - (probability * mean).sum(1, keepdim=True)) ** 2).sum(),
    }
    for hint, value in wrong.items():
        if compare(got, value) is None:
            return hint
    return compare(got, right)


def _nearby(images, x, alpha, sigma, P, d, rows_only=False):
    r = P // 2
    cut, mine = images.unfold(2, P, 1).unfold(3, P, 1), x.unfold(1, P, 1).unfold(2, P, 1)
    h, w = cut.shape[2:4]
    out = torch.empty(x.shape[0], h, w, dtype=x.dtype)
    for y in range(h):
        for z in range(w):
            columns = slice(z, z + 1) if rows_only else slice(max(0, z - d), z + d + 1)
            part = cut[:, :, max(0, y - d):y + d + 1, columns].permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
            gap = (mine[:, y, z] - alpha * part).square().sum((1, 2, 3))
            out[:, y, z] = (-gap / (2 * sigma**2)).softmax(0) @ part[:, :, r, r]
    return out


@exercise("ex-nearby", mistakes=[
    (lambda images, x, alpha, sigma, P, d: _nearby(images, x, alpha, sigma, P, 0), "d = 1"),
    (lambda images, x, alpha, sigma, P, d: _nearby(images, x, alpha, sigma, P, 99), "d = 0"),
    (lambda images, x, alpha, sigma, P, d: _nearby(images, x, 1.0, sigma, P, d), "alpha"),
    (lambda images, x, alpha, sigma, P, d: _nearby(images, x, alpha, sigma, P, d, rows_only=True), "columns"),
    (lambda images, x, alpha, sigma, P, d: _nearby(images, x, alpha, sigma, P, d)[:, 1:, 1:], "shape"),
])
def nearby(answer):
    """Patches from nearby places only."""
    images, x = 0.6 * _random(7, 2, 8, 9, seed=4), _random(2, 8, 9, seed=5)
    for d in (0, 1, 9):
        got, right = answer(images, x, 0.8, 0.6, 3, d), _nearby(images, x, 0.8, 0.6, 3, d)
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        if torch.is_tensor(got) and got.shape != right.shape:
            return f"the shape should be (C, H - P + 1, W - P + 1) = {tuple(right.shape)}, got {tuple(got.shape)}."
        if compare(got, _nearby(images, x, 1.0, 0.6, 3, d)) is None:
            return "the noisy window is alpha times a clean one plus noise: alpha is missing in the distance."
        if d and compare(got, _nearby(images, x, 0.8, 0.6, 3, d, rows_only=True)) is None:
            return "only rows are moved: patches from d columns to the left and right belong to the dictionary too."
        return f"not right for d = {d}: {compare(got, right)}"
    return None
