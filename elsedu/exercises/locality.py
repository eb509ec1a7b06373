"""Checks of the exercises of chapter book/part2/locality."""

import torch

from elsedu.exercises import compare, exercise, is_true


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


@exercise("ex-local-curl", mistakes=[
    (lambda machine, x, t: 0.0, "LS"),
    (lambda machine, x, t: float(machine.score(x, t).abs().max()), "IS"),
])  # fmt: skip
def local_curl(answer):
    """How far the derivatives of a machine's score are from symmetric."""
    from elsedu import IdealScore, LocalScore

    generator = torch.Generator().manual_seed(1)
    images = torch.rand(4, 1, 3, 4, generator=generator).double() * 2 - 1
    x = torch.randn(1, 1, 3, 4, generator=generator).double()
    ideal, local = (float(answer(m, x, 0.4)) for m in (IdealScore(images), LocalScore(images, 3)))
    if ideal > 1e-8:
        return "for IS the result should be zero: its score is a gradient."
    matrix = torch.autograd.functional.jacobian(lambda v: LocalScore(images, 3).score(v, 0.4), x).reshape(12, 12)
    wrong = compare(local, (matrix - matrix.T).abs().max())
    return wrong and f"for LS: {wrong}"
