"""Checks of the exercises of chapter book/part2/equivariance."""

import torch

from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise


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


def _orbit_mean(machine, x, t, weigh=lambda log_density: log_density.softmax(0), back=True):
    """The weighted mean of the scores of all shifts of x, or with a typical slip."""
    scores, log_density = [], []
    for shift in [(i, j) for i in range(x.shape[2]) for j in range(x.shape[3])]:
        moved = x.roll([-s for s in shift], (2, 3))
        score = machine.score(moved, t)
        scores.append(score.roll(shift, (2, 3)) if back else score)
        log_density.append(machine.posterior(moved, t).log_evidence[:, 0, 0])
    return torch.einsum("gb,gbchw->bchw", weigh(torch.stack(log_density)), torch.stack(scores))


def _equal(log_density):
    return torch.full_like(log_density, 1 / len(log_density))


def _likeliest(log_density):
    return torch.nn.functional.one_hot(log_density.argmax(0), len(log_density)).T.to(log_density)


@exercise("ex-orbit-average", mistakes=[
    (lambda m, x, t: _orbit_mean(m, x, t, weigh=_equal), "plain mean"),
    (lambda m, x, t: _orbit_mean(m, x, t, weigh=torch.exp), "sum to one"),
    (lambda m, x, t: _orbit_mean(m, x, t, weigh=lambda logs: logs.exp() / logs.exp().sum(0)), "underflow"),
    (lambda m, x, t: _orbit_mean(m, x, t, weigh=lambda logs: logs.softmax(1)), "over the batch"),
    (lambda m, x, t: _orbit_mean(m, x, t, weigh=_likeliest), "likeliest"),
    (lambda m, x, t: _orbit_mean(m, x, t, back=False), "shift back"),
    (lambda m, x, t: m.score(x, t), "one shift"),
])  # fmt: skip
def orbit_average(answer):
    """The best equivariant score out of the ideal score."""
    from elsedu import EquivariantScore

    generator = torch.Generator().manual_seed(4)
    images = torch.rand(3, 1, 3, 4, generator=generator).double() * 2 - 1
    x = torch.randn(2, 1, 3, 4, generator=generator).double()
    machine = _ideal(images)
    got = answer(machine, x, 0.5)
    wrong = compare(got, EquivariantScore(images).score(x, 0.5))
    if wrong and isinstance(got, torch.Tensor) and got.shape == x.shape:
        for slip, hint in [
            ({"weigh": _equal}, "this is the plain mean: shifts in which the image is likely should count more."),
            ({"weigh": torch.exp}, "the weights of one image should sum to one over the shifts."),
            ({"weigh": lambda logs: logs.softmax(1)}, "the weights sum to one over the batch, not over the shifts."),
            ({"weigh": _likeliest}, "you take the likeliest shift alone; all have a say."),
            ({"back": False}, "the score of a shifted image is shifted, too: shift back before you take the mean."),
        ]:
            if compare(got, _orbit_mean(machine, x, 0.5, **slip)) is None:
                return hint
        if compare(got, machine.score(x, 0.5)) is None:
            return "this is the ideal score itself, from one shift only."
    if wrong:
        return wrong
    far = 40 * x  # log densities of many thousands below zero
    wrong = compare(answer(machine, far, 0.5), EquivariantScore(images).score(far, 0.5), rtol=1e-3)
    return wrong and "right near the data, but far away exp of the log densities underflows: only differences matter."
