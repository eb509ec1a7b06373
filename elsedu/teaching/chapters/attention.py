"""Checks of the exercises of chapter book/part4/attention."""

import torch

from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

NOTHING = "not answered yet: your function returns nothing."


def _attend(query, key, value, scale=True, dim=1, bias=0.0):
    logit = query @ key.T / (query.shape[1] ** 0.5 if scale else 1.0) + bias
    return torch.softmax(logit, dim=dim) @ value


@exercise("ex-attend", mistakes=[
    (lambda q, k, v: _attend(q, k, v, scale=False), "square root"),
    (lambda q, k, v: _attend(q, k, v, dim=0), "each row"),
    (lambda q, k, v: _attend(k, q, v), "who looks"),
    (lambda q, k, v: (q @ k.T / q.shape[1] ** 0.5).exp() @ v, "sum to one"),
])
def attend(answer):
    """Softmax attention without heads."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(6, 4, generator=generator) for _ in range(3))
    got, right = answer(query, key, value), _attend(query, key, value)
    if got is None:
        return NOTHING
    if compare(got, right) is not None:
        hints = [
            (_attend(query, key, value, scale=False), "divide by the square root of d before the softmax."),
            (_attend(query, key, value, dim=0), "the weights of each row, of one query, should sum to one."),
            (_attend(key, query, value), "queries say who looks, keys who is looked at: they are exchanged."),
            ((query @ key.T / 2).exp() @ value, "the weights should sum to one."),
        ]
        for wrong, hint in hints:
            if compare(got, wrong) is None:
                return hint
        return compare(got, right)
    loud = answer(40 * query, 40 * key, value)
    return compare(loud, _attend(40 * query, 40 * key, value))


def _parts(x, images, alpha, sigma, handicap=True, half=True, power=2):
    bias = -(alpha**2) * (images**2).sum(1) / ((2 if half else 1) * sigma**2)
    return alpha / sigma**power * x, images, bias if handicap else torch.zeros(len(images))


@exercise("ex-machine-attention", mistakes=[
    (lambda x, y, a, s: _parts(x, y, a, s, handicap=False), "length of the keys"),
    (lambda x, y, a, s: _parts(x, y, a, s, half=False), "weights"),
    (lambda x, y, a, s: _parts(x, y, a, s, power=1), "weights"),
    (lambda x, y, a, s: _parts(x, y, a, s)[:2], "three"),
    (lambda x, y, a, s: (x, y, -torch.cdist(x, a * y)[0] ** 2 / (2 * s**2)), "must not depend on x"),
])
def machine_attention(answer):
    """The ideal score's weights as softmax(query key^T + bias)."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(9, 12, generator=generator) * 2 - 1
    images[4] *= 0.2
    x = torch.randn(3, 12, generator=generator)
    for alpha, sigma in ((0.6, 0.8), (0.9, 0.4)):
        parts = answer(x, images, alpha, sigma)
        if parts is None:
            return NOTHING
        if not isinstance(parts, tuple | list) or len(parts) != 3:
            return "return three things: query, key and bias."
        query, key, bias = (torch.as_tensor(part).double() for part in parts)
        if tuple(bias.shape) != (9,):
            return f"the bias should have one number for each image, got shape {tuple(bias.shape)}."
        other = torch.as_tensor(answer(x.flip(0) + 1, images, alpha, sigma)[2]).double()
        if not torch.allclose(other, bias, atol=1e-5):
            return "the bias must not depend on x."
        right = torch.softmax(-torch.cdist(x.double(), alpha * images.double()) ** 2 / (2 * sigma**2), 1)
        got = torch.softmax(query @ key.T + bias, 1)
        wrong = compare(got, right, rtol=1e-3, atol=1e-5)
        if wrong is None:
            continue
        if not bias.abs().max() > 0:
            return "the length of the keys counts too: expand the square, one more term depends on the image."
        return f"the weights for alpha = {alpha}, sigma = {sigma}: {wrong}"
    return None


def _relative(query, key, value, bias, sign=1, scale=True, cyclic=True):
    n = len(query)
    place = torch.arange(n)
    displacement = sign * (place[None] - place[:, None])
    table = bias[displacement % n if cyclic else displacement.abs()]
    return _attend(query, key, value, scale, bias=table)


@exercise("ex-relative", mistakes=[
    (lambda q, k, v, b: _relative(q, k, v, b, sign=-1), "q - p"),
    (lambda q, k, v, b: _attend(q, k, v, bias=b), "absolute"),
    (lambda q, k, v, b: _attend(q, k, v), "does nothing"),
    (lambda q, k, v, b: _relative(q, k, v, b, cyclic=False), "does not commute"),
    (lambda q, k, v, b: _relative(q, k, v, b, scale=False), "square root"),
])
def relative(answer):
    """Attention with a bias by displacement on a ring."""
    generator = torch.Generator().manual_seed(2)
    query, key, value = (torch.randn(7, 4, generator=generator) for _ in range(3))
    bias = 2 * torch.randn(7, generator=generator)
    got = answer(query, key, value, bias)
    if got is None:
        return NOTHING
    right = _relative(query, key, value, bias)
    if compare(got, right) is None:
        return None
    if compare(got, _relative(query, key, value, bias, sign=-1)) is None:
        return "the displacement is q - p, from who looks to who is looked at: yours points the other way."
    if compare(got, _attend(query, key, value)) is None:
        return "the bias does nothing."
    if compare(got, _attend(query, key, value, bias=bias)) is None:
        return "this is a bias for the absolute place q, the same from everywhere."
    if compare(got, _relative(query, key, value, bias, scale=False)) is None:
        return "divide by the square root of d before the bias is added."
    moved = answer(*(part.roll(1, 0) for part in (query, key, value)), bias)
    if not torch.allclose(torch.as_tensor(moved), torch.as_tensor(got).roll(1, 0), atol=1e-5):
        return "it does not commute with a shift of the ring by one."
    return compare(got, right)


def _windows(image):
    """(H, W) on a torus -> (H, W, 3, 3)."""
    moved = [image.roll((1 - i, 1 - j), (0, 1)) for i in range(3) for j in range(3)]
    return torch.stack(moved, -1).unflatten(-1, (3, 3))


def _jigsaw(own, bag, height, width, across=(1, 2), down=(2, 1)):
    by_centre = {float(window[1, 1]): window for window in bag}
    image, first = torch.empty(height, width), own
    for i in range(height):
        here = first
        for j in range(width):
            image[i, j] = here[1, 1]
            here = by_centre[float(here[across])]
        first = by_centre[float(first[down])]
    return image


@exercise("ex-jigsaw", mistakes=[
    (lambda own, bag, height, width: bag[:, 1, 1].reshape(height, width), "random order"),
    (lambda own, bag, height, width: _jigsaw(own, bag, height, width, across=(1, 0)), "left"),
    (lambda own, bag, height, width: _jigsaw(own, bag, width, height, (2, 1), (1, 2)), "shape"),
    (lambda own, bag, height, width: _jigsaw(bag[0], bag, height, width), "row 0 and column 0"),
])
def jigsaw(answer):
    """The image from one window and the bag of all of them."""
    for height, width, place in ((5, 7, (2, 3)), (6, 6, (0, 0)), (4, 9, (3, 8))):
        generator = torch.Generator().manual_seed(height)
        image = torch.randn(height, width, generator=generator)
        windows = _windows(image)
        order = torch.randperm(height * width, generator=generator)
        bag = windows.reshape(-1, 3, 3)[order]
        got = answer(windows[place].clone(), bag.clone(), height, width)
        if got is None:
            return NOTHING
        right = image.roll((-place[0], -place[1]), (0, 1))
        wrong = compare(got, right)
        if wrong is None:
            continue
        got = torch.as_tensor(got)
        if got.shape != right.shape:
            return wrong
        if compare(got, bag[:, 1, 1].reshape(height, width)) is None:
            return "these are the centres in the random order of the bag; find out who is whose neighbour."
        if compare(got, right.flip(1).roll(1, 1)) is None:
            return "left and right are exchanged: the right neighbour stands at [1, 2] of a window."
        shifts = [(i, j) for i in range(height) for j in range(width)]
        if any(compare(got.roll(shift, (0, 1)), right) is None for shift in shifts):
            return "the image is right up to a shift: the centre of your own window belongs to row 0 and column 0."
        return wrong
    return None
