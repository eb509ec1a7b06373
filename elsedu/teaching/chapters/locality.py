"""Checks of the exercises of chapter book/part2/locality."""

import torch

from elsedu.teaching.answers import compare, is_true
from elsedu.teaching.exercises import exercise


@exercise("ex-receptive-field", mistakes=[
    (lambda layers, kernel: layers * kernel, "share"),
    (lambda layers, kernel: 2 * layers + 1, "kernel"),
    (lambda layers, kernel: layers * (kernel - 1), "layers"),
])  # fmt: skip
def receptive_field(answer):
    """Side of the receptive field of a stack of convolutions."""
    if (first := answer(0, 3)) is None:
        return compare(first, 1)
    if first != 1:
        return "with 0 layers a pixel sees itself, one pixel; and windows of neighbouring layers share pixels."
    for layers, kernel in [(1, 3), (1, 5), (2, 3), (4, 5), (8, 3), (3, 1)]:
        wrong = compare(answer(layers, kernel), 1 + layers * (kernel - 1))
        if wrong:
            return f"for {layers} layers with kernels of side {kernel}: {wrong}"
    return None


@exercise("ex-local-count", mistakes=[
    (lambda images, pixels: images**pixels, "not training images"),
    (lambda images, pixels: pixels**images - images, "chooses"),
    (lambda images, pixels: images * pixels, "chooses"),
])  # fmt: skip
def local_count(answer):
    """New images that one-pixel windows can make."""
    if (first := answer(3, 2)) is None:
        return compare(first, 6)
    if first == 9 and answer(2, 3) == 8:
        return "these are all end points: how many of them are not training images?"
    for images, pixels in [(3, 2), (2, 3), (1, 4), (5, 4)]:
        if answer(images, pixels) != images**pixels - images:
            return f"wrong for {images} images of {pixels} pixels: each pixel chooses one of the images on its own."
    return None


@exercise("ex-local-variance", mistakes=[
    (lambda slope, alpha, sigma: sigma**2 * (1 + sigma**2 * slope), "alpha"),
    (lambda slope, alpha, sigma: (1 + sigma**2 * slope) / alpha, "derivative of the denoised pixel"),
    (lambda slope, alpha, sigma: (sigma / alpha) ** 2 * sigma**2 * slope, "negative"),
])  # fmt: skip
def local_variance(answer):
    """The posterior variance from the slope of the score."""
    values = torch.tensor([-0.9, -0.2, 0.0, 0.7], dtype=torch.float64)
    weights = torch.tensor([0.1, 0.4, 0.3, 0.2], dtype=torch.float64)
    alpha, sigma = 0.8, 0.6
    x = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    posterior = torch.softmax(weights.log() - (x - alpha * values) ** 2 / (2 * sigma**2), 0)
    score = (alpha * (posterior @ values) - x) / sigma**2
    slope = torch.autograd.grad(score, x)[0]
    posterior = posterior.detach()
    right = posterior @ values**2 - (posterior @ values) ** 2
    got = answer(slope, alpha, sigma)
    if compare(got, right) is None:
        return is_true(
            compare(answer(-1 / sigma**2, alpha, sigma), 0.0) is None,
            "a pixel that is known for sure should have variance 0.",
        )
    if compare(got, right * alpha**2) is None:
        return "right up to a power of alpha: the noisy image holds alpha times the clean one."
    if compare(got, right * alpha / sigma**2) is None:
        return "this is the derivative of the denoised pixel; it is alpha/sigma**2 times the variance."
    if float(got) < 0:
        return "a variance cannot be negative: where did the derivative of x itself go?"
    return compare(got, right)


def _derivatives(x, images, alpha, sigma, window, everywhere=False, power=2, own=True):
    """The matrix of derivatives of the local score in closed form, or with a typical slip."""
    place = torch.cartesian_prod(*(torch.arange(side) for side in x.shape))
    seen = ((place[:, None] - place).abs().amax(2) <= window // 2).to(x)
    y = images.flatten(1)
    weight = torch.softmax(-((x.flatten() - alpha * y) ** 2) @ seen / (2 * sigma**2), 0)
    mean = weight.T @ y
    covariance = (weight * y).T @ y - mean.diagonal()[:, None] * mean
    matrix = (alpha / sigma**2) ** power * (covariance if everywhere else seen * covariance)
    return matrix - own * torch.eye(len(seen)).to(x) / sigma**2


@exercise("ex-local-curl", mistakes=[
    (lambda x, y, a, s, P: _derivatives(x, y, a, s, P, everywhere=True), "outside the window"),
    (lambda x, y, a, s, P: _derivatives(x, y, a, s, P, power=1, own=False), "denoised image"),
    (lambda x, y, a, s, P: _derivatives(x, y, a, s, P, own=False), "x_p itself"),
    (lambda x, y, a, s, P: _derivatives(x, y, a, s, P).T, "exchanged"),
    (lambda x, y, a, s, P: _derivatives(x, y, a, s, 99), "every pixel has weights of its own"),
])  # fmt: skip
def local_curl(answer):
    """The matrix of derivatives of the local score, entry by entry."""
    from elsedu import LocalScore

    generator = torch.Generator().manual_seed(1)
    images = torch.rand(4, 3, 4, generator=generator).double() * 2 - 1
    x = torch.randn(3, 4, generator=generator).double()
    machine = LocalScore(images[:, None], 3)
    alpha, sigma = (float(level(0.4)) for level in (machine.schedule.alpha, machine.schedule.sigma))
    got = answer(x, images, alpha, sigma, 3)
    right = torch.autograd.functional.jacobian(lambda v: machine.score(v, 0.4), x[None, None]).reshape(12, 12)
    wrong = compare(got, right)
    if wrong and isinstance(got, torch.Tensor) and got.shape == right.shape:
        for slip, hint in [
            ({"everywhere": True}, "pixels outside the window of p do not exist for p: what are their derivatives?"),
            ({"power": 1, "own": False}, "these are the derivatives of the denoised image; the score is asked for."),
            ({"own": False}, "the score also contains x_p itself, with a minus sign."),
            ({"window": 99}, "these are the derivatives of IS: for LS every pixel has weights of its own."),
        ]:
            if compare(got, _derivatives(x, images, alpha, sigma, **{"window": 3, **slip})) is None:
                return hint
    return wrong
