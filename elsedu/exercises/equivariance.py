"""Checks of the exercises of chapter book/part2/equivariance."""

import torch

from elsedu.exercises import compare, exercise, is_true


@exercise("ex-els-count", mistakes=[
    (lambda images, height, width, window, wrap: images * height * width, "inside"),
    (lambda images, height, width, window, wrap: images * (height - window) * (width - window)
     if not wrap else images * height * width, "inside"),
    (lambda images, height, width, window, wrap: height * width
     if wrap else (height - window + 1) * (width - window + 1), "wrap"),
])  # fmt: skip
def els_count(answer):
    """Patches in the dictionary of ELS, wrapped and inside."""
    if (first := answer(1, 3, 3, 1, True)) is None:
        return compare(first, 9)
    for images, height, width, window in [(1, 5, 5, 3), (40, 16, 16, 5), (7, 6, 9, 3), (3, 8, 8, 1)]:
        if answer(images, height, width, window, True) != images * height * width:
            return f"wrong where patches wrap, for {images} images of {height} x {width} and P = {window}."
        if answer(images, height, width, window, False) != images * (height - window + 1) * (width - window + 1):
            return f"wrong for patches inside, for {images} images of {height} x {width} and P = {window}."
    return None


def _ideal(images):
    from elsedu import IdealScore

    return IdealScore(images)


def _shifting(images):
    from elsedu import EquivariantScore

    return EquivariantScore(images)


@exercise("ex-flips", mistakes=[
    (_ideal, "not equivariant"),
    (_shifting, "not equivariant"),
    (lambda images: _ideal(images.flip(3)), "not equivariant"),
    (lambda images: _ideal(torch.cat([images, images.flip(2)])), "not equivariant"),
    (lambda images: torch.cat([images, images.flip(3)]), "machine"),
    (lambda images: _ideal((images + images.flip(3)) / 2), "equivariant, but"),
])  # fmt: skip
def flips(answer):
    """The best score that is equivariant under left-right reflection."""
    from elsedu import IdealScore

    generator = torch.Generator().manual_seed(3)
    images = torch.rand(3, 1, 2, 3, generator=generator) * 2 - 1
    x = torch.randn(4, 1, 2, 3, generator=generator)
    machine = answer(images)
    if machine is None:
        return compare(machine, 0)
    if not hasattr(machine, "denoise"):
        return f"the answer should be a machine, such as elsedu.IdealScore(...), got {type(machine).__name__}."
    got = machine.denoise(x, 0.5)
    right = IdealScore(torch.cat([images, images.flip(3)])).denoise(x, 0.5)
    if compare(got, right, rtol=1e-3, atol=1e-4) is None:
        return None
    if compare(machine.denoise(x.flip(3), 0.5), got.flip(3), rtol=1e-3, atol=1e-4) is not None:
        return "this machine is not equivariant: denoising the reflected image is not the reflected denoised image."
    return "equivariant, but not the best: which orbit does a reflection make of each image?"


@exercise("ex-els-one-pixel", mistakes=[
    (lambda x, alpha, sigma, rho: torch.tanh(alpha * x / sigma**2), "white"),
    (lambda x, alpha, sigma, rho: torch.tanh(alpha * x / sigma**2 + rho - 0.5), "limit"),
    (lambda x, alpha, sigma, rho: torch.tanh(x / sigma**2), "half"),
])  # fmt: skip
def els_one_pixel(answer):
    """ELS with P = 1 on black and white pixels."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)

    def right(alpha, sigma, rho):
        up, down = rho * torch.exp(alpha * x / sigma**2), (1 - rho) * torch.exp(-alpha * x / sigma**2)
        return (up - down) / (up + down)

    if wrong := compare(answer(x, 0.8, 0.6, 0.5), right(0.8, 0.6, 0.5)):
        return f"where half of the pixels are white: {wrong}"
    got = answer(x, 0.8, 0.6, 0.2)
    if compare(got, answer(x, 0.8, 0.6, 0.5)) is None:
        return "your answer does not depend on the part of white pixels."
    wide = answer(x, 1e-9, 1.0, 0.2)
    if compare(wide, torch.full_like(x, 0.2 - 0.8)) is not None:
        return "in the limit of no signal the answer should be the mean of all pixels."
    return compare(got, right(0.8, 0.6, 0.2))


@exercise("ex-orbit-average", mistakes=[
    (lambda scores, log_density: scores.mean(0), "plain mean"),
    (lambda scores, log_density: torch.einsum("gb,gbchw->bchw", torch.exp(log_density), scores), "underflow"),
    (lambda scores, log_density: (torch.softmax(log_density, 1)[:, :, None, None, None] * scores).sum(0), "over the"),
    (lambda scores, log_density: scores[0], "off by more"),
])  # fmt: skip
def orbit_average(answer):
    """The weighted mean over a group of shifts."""
    generator = torch.Generator().manual_seed(4)
    scores = torch.randn(6, 3, 1, 2, 2, generator=generator)
    log_density = 2 * torch.randn(6, 3, generator=generator) - 4000
    weight = torch.softmax(log_density, 0)
    right = torch.einsum("gb,gbchw->bchw", weight, scores)
    got = torch.as_tensor(answer(scores, log_density))
    if compare(got, scores.mean(0)) is None:
        return "this is the plain mean: shifts in which the image is likely should count more."
    if not bool(torch.isfinite(got).all()) or not bool(got.any()):
        return "exp of the log densities underflow to 0; only their differences matter."
    over_batch = torch.einsum("gb,gbchw->bchw", torch.softmax(log_density, 1), scores)
    if compare(got, over_batch) is None:
        return "the weights should sum to one over the shifts, not over the batch."
    return is_true(compare(got, right) is None, f"{compare(got, right)}")
