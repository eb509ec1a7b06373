"""Checks of the exercises of chapter book/part2/borders."""

import torch

from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise


@exercise("ex-border-kinds", mistakes=[
    (lambda height, width, window: 9, "distance"),
    (lambda height, width, window: window**2, "larger than the image"),
    (lambda height, width, window: height * width, "distance"),
])  # fmt: skip
def border_kinds(answer):
    """Number of different overlaps of windows with an image."""
    for height, width, window in [(16, 16, 5), (9, 12, 3), (7, 7, 1)]:
        got = answer(height, width, window)
        if got is None:
            return compare(got, 1)
        if got != window**2:
            return (f"wrong for {height} x {width} and P = {window}: windows at a different distance from a side "
                    "are different kinds, interior ones are all one kind.")
    for height, width, window in [(4, 9, 7), (5, 5, 9), (4, 4, 5), (3, 8, 15)]:
        if answer(height, width, window) != min(height, window) * min(width, window):
            return (f"right for small windows, wrong where the window is larger than the image: {height} x {width}, "
                    f"P = {window}.")
    return None


@exercise("ex-border-size", mistakes=[
    (lambda i, j, side, window: (side - window + 1) ** 2, "edge"),
    (lambda i, j, side, window: (side - window + 1) ** 2 if min(i, j) >= window // 2 else 1, "side"),
    (lambda i, j, side, window: 1, "interior"),
])  # fmt: skip
def border_size(answer):
    """Patches that an image offers to a pixel."""
    cases = {
        "an interior pixel": [(8, 8, 16, 5), (2, 13, 16, 5), (3, 3, 7, 3)],
        "a pixel near one side (an edge)": [(0, 8, 16, 5), (8, 15, 16, 5), (5, 1, 9, 5), (6, 3, 7, 3)],
        "a pixel in a corner": [(0, 0, 16, 5), (15, 1, 16, 5), (6, 6, 7, 3)],
        "a window without interior pixels": [(2, 3, 6, 7), (1, 1, 4, 9)],
    }
    for name, examples in cases.items():
        for i, j, side, window in examples:
            r = window // 2
            rows, columns = (side - 2 * r if r <= k < side - r else 1 for k in (i, j))
            got = answer(i, j, side, window)
            if got is None:
                return compare(got, 1)
            if got != rows * columns:
                return f"wrong for {name}: pixel ({i}, {j}), side {side}, P = {window}."
    return None


@exercise("ex-border-locate", mistakes=[
    (lambda window: (0, 0, 0, 0), "outside"),
    (lambda window: tuple(int(n) for n in ((window == 0).all(1).sum(), 0, (window == 0).all(0).sum(), 0)), "bottom"),
    (lambda window: tuple(int((window[k] == 0).sum()) for k in range(4)), "rows"),
    (lambda window: [0, 0], "four"),
])  # fmt: skip
def border_locate(answer):
    """How many rows and columns of a window lie outside the image."""
    generator = torch.Generator().manual_seed(5)
    for size, top, bottom, left, right in [(5, 2, 0, 0, 0), (5, 0, 1, 0, 0), (5, 0, 0, 1, 0), (7, 1, 0, 0, 3),
                                           (7, 3, 3, 0, 0), (9, 0, 2, 4, 1), (5, 0, 0, 0, 0)]:  # fmt: skip
        window = torch.zeros(size, size)
        inside = window[top : size - bottom, left : size - right]
        inside.copy_(torch.randn(inside.shape, generator=generator))
        got = answer(window.clone())
        if got is None:
            return compare(got, 1)
        if len(got) != 4:
            return f"the answer should be four numbers (top, bottom, left, right), got {len(got)}."
        if tuple(int(n) for n in got) != (top, bottom, left, right):
            return (f"wrong for a window with rows outside at the top: {top}, at the bottom: {bottom}, and columns "
                    f"outside at the left: {left}, at the right: {right}.")
    return None


def _unfold_denoise(x, images, alpha, sigma, window, places=None):
    """Softmax over all windows of the framed images, or over the allowed (place, place) pairs."""
    r = window // 2
    framed = torch.nn.functional.pad(images, (r, r, r, r))
    query = torch.nn.functional.unfold(x, window)[0].T
    key = torch.nn.functional.unfold(framed, window).transpose(1, 2)
    value = images.flatten(1)
    square = ((query[:, None, None] - alpha * key[None]) ** 2).sum(-1)  # (places, N, places)
    logit = -square / (2 * sigma**2)
    if places is not None:
        logit = logit.masked_fill(~places[:, None], float("-inf"))
    weight = torch.softmax(logit.flatten(1), 1)
    return (weight @ value.flatten()).reshape(1, 1, *images.shape[2:])


def _own_place(x, images, alpha, sigma, window):
    return _unfold_denoise(x, images, alpha, sigma, window, torch.eye(images[0].numel(), dtype=torch.bool))


def _boundary_broken(x, images, alpha, sigma, window):
    from elsedu import EquivariantLocalScore
    from elsedu.posterior.backends.definition import dictionary_positions

    height, width = images.shape[2:]
    allowed = torch.zeros(height * width, height * width, dtype=torch.bool)
    kind = EquivariantLocalScore(images, window).kind
    for i in range(height):
        for j in range(width):
            for a, b in dictionary_positions(i, j, height, width, window, kind):
                allowed[i * width + j, a * width + b] = True
    return _unfold_denoise(x, images, alpha, sigma, window, allowed)


@exercise("ex-noisy-frame", mistakes=[
    (_boundary_broken, "same overlap"),
    (_own_place, "own place"),
    (lambda x, images, alpha, sigma, window: _unfold_denoise(x, alpha * images, 1.0, sigma, window), "clean"),
    (lambda x, images, alpha, sigma, window: _unfold_denoise(x, images, alpha, 2**0.5 * sigma, window), "twice"),
])  # fmt: skip
def noisy_frame(answer):
    """The best denoiser where the frame is as noisy as the image."""
    generator = torch.Generator().manual_seed(6)
    images = torch.rand(3, 1, 5, 6, generator=generator).double() * 2 - 1
    alpha, sigma, window = 0.8, 0.6, 3
    framed = torch.nn.functional.pad(images[:1], (1, 1, 1, 1))
    x = alpha * framed + sigma * torch.randn(framed.shape, generator=generator).double()
    got = answer(x, images, alpha, sigma, window)
    right = _unfold_denoise(x, images, alpha, sigma, window)
    if compare(got, right) is None:
        return None
    if compare(got, _boundary_broken(x, images, alpha, sigma, window)) is None:
        return "these are the patches with the same overlap; but now no window gives its overlap away."
    if compare(got, _own_place(x, images, alpha, sigma, window)) is None:
        return "you compare with the patches at the pixel's own place only, as LS does."
    if compare(got, alpha * right) is None:
        return "right up to a factor alpha: the answer is the mean of the clean centre pixels."
    if compare(got, _unfold_denoise(x, images, alpha, 2**0.5 * sigma, window)) is None:
        return "the exponent divides the squared distance by twice sigma squared."
    return compare(got, right)
