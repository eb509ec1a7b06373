"""Checks of the exercises of chapter book/part1/diffusion."""

import torch

from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

__all__ = ["clean_image", "ddim_step", "gaussian_flow", "moments", "tweedie"]


def _pixels(seed, count=6):
    return torch.randn(count, 1, 2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _first(got, right, hints):
    """The verdict on `got`, or the hint of the first known slip that gives just this answer."""
    wrong = compare(got, right)
    if wrong and got is not None:
        for slip, hint in hints:
            if compare(got, slip) is None:
                return hint
    return wrong


@exercise("ex-tweedie", mistakes=[
    (lambda x, score, alpha, sigma: x + sigma**2 * score, "alpha times the clean one"),
    (lambda x, score, alpha, sigma: (x - sigma**2 * score) / alpha, "sign"),
    (lambda x, score, alpha, sigma: (x + sigma * score) / alpha, "variance"),
])  # fmt: skip
def tweedie(answer):
    """The posterior mean from the score."""
    x, score = _pixels(0), _pixels(1)
    return _first(answer(x, score, 0.8, 0.5), (x + 0.25 * score) / 0.8, [
        (x + 0.25 * score, "the noisy image is alpha times the clean one plus noise: did you divide?"),
        ((x - 0.25 * score) / 0.8, "check the sign of the score: it points uphill, toward the data."),
        ((x + 0.5 * score) / 0.8, "the score is divided by the variance of the noise, not by its deviation."),
    ])  # fmt: skip


@exercise("ex-marginal-moments", mistakes=[
    (lambda m, v, alpha, sigma: (alpha * m, alpha * v + sigma), "variance scales"),
    (lambda m, v, alpha, sigma: (alpha * m, (alpha**2 * v + sigma**2) ** 0.5), "standard deviation"),
    (lambda m, v, alpha, sigma: (m, alpha**2 * v + sigma**2), "mean"),
    (lambda m, v, alpha, sigma: alpha * m, "pair"),
])  # fmt: skip
def moments(answer):
    """Mean and variance of a noisy pixel."""
    m, v, alpha, sigma = 0.3, 0.4, 0.7, 0.6
    got = answer(m, v, alpha, sigma)
    if got is None:
        return compare(got, m)
    try:
        mean, variance = got
    except (TypeError, ValueError):
        return "return a pair: the mean and the variance."
    wrong = compare(mean, alpha * m)
    if wrong:
        return f"the mean: {wrong}"
    wrong = _first(variance, alpha**2 * v + sigma**2, [
        (alpha * v + sigma, "the variance scales with the square of a factor."),
        ((alpha**2 * v + sigma**2) ** 0.5, "that is the standard deviation; the variance is asked for."),
        (alpha**2 * v, "the noise has a variance too."),
    ])  # fmt: skip
    return wrong and f"the mean is right. {wrong[0].upper()}{wrong[1:]}"


@exercise("ex-ddim-step", mistakes=[
    (lambda x, e, at, st, as_, ss: as_ * (x - st * e) / at + st * e, "old noise level"),
    (lambda x, e, at, st, as_, ss: as_ * (x - st * e) + ss * e, "divide by"),
    (lambda x, e, at, st, as_, ss: (x - st * e) / at, "no noise is left"),
    (lambda x, e, at, st, as_, ss: as_ * x + ss * e, "clean image"),
])  # fmt: skip
def ddim_step(answer):
    """One DDIM step from predicted noise."""
    x, eps = _pixels(2), _pixels(3)
    at, st, as_, ss = 0.6, 0.8, 0.9, 0.4
    x0 = (x - st * eps) / at
    return _first(answer(x, eps, at, st, as_, ss), as_ * x0 + ss * eps, [
        (as_ * x0 + st * eps, "you mix with the old noise level: at time s it is sigma_s."),
        (as_ * at * x0 + ss * eps, "to get the clean image, divide by the signal level at time t."),
        (x0, "that is the clean image: no noise is left, but at time s there should be some."),
        (as_ * x + ss * eps, "it is the clean image that is mixed with noise, not the noisy one."),
    ])  # fmt: skip


@exercise("ex-velocity", mistakes=[
    (lambda x, v, a, b, da, db: (x - b * v) / a, "the velocity is not the noise"),
    (lambda x, v, a, b, da, db: (db * x + b * v) / (a * db - da * b), "sign"),
    (lambda x, v, a, b, da, db: (a * v - da * x) / (a * db - da * b), "that is the noise"),
    (lambda x, v, a, b, da, db: x - b * v, "flow matching"),
    (lambda x, v, a, b, da, db: (x - b * ((a * v - da * x) / (a * db - da * b))) / a, "no signal"),
])  # fmt: skip
def clean_image(answer):
    """The denoised image from the velocity."""
    from elsedu.diffusion.schedule import cosine, flow_matching

    x0, eps = _pixels(4), _pixels(5)
    for schedule, t in ((flow_matching(), 0.3), (cosine(), 0.7), (flow_matching(), 1.0)):
        a, b, da, db = (float(level(t)) for level in (
            schedule.alpha, schedule.sigma, schedule.alpha_derivative, schedule.sigma_derivative))  # fmt: skip
        x, v = a * x0 + b * eps, schedule.velocity(x0, eps, t)
        got = answer(x, v, a, b, da, db)
        wrong = _first(got, x0, [
            ((x - b * v) / a, "the velocity is not the noise: it mixes the noise with the clean image."),
            ((db * x + b * v) / (a * db - da * b), "check a sign: the noise should drop out."),
            (eps, "that is the noise; the clean image is asked for."),
            (x - b * v, "right for flow matching, but other schedules have other derivatives."),
        ])  # fmt: skip
        if wrong and a == 0 and not bool(torch.isfinite(torch.as_tensor(got)).all()):
            return "right as long as there is signal, but with no signal left (alpha = 0) you divide by zero."
        if wrong:
            return wrong
    return None


@exercise("ex-gaussian-flow", mistakes=[
    (lambda x, m, w, a, s: m + w**2 * a * (x - a * m) / (a**2 * w**2 + s**2), "posterior mean"),
    (lambda x, m, w, a, s: m + w * (x - m) / (a**2 * w**2 + s**2) ** 0.5, "alpha"),
    (lambda x, m, w, a, s: m + w * (x - a * m) / s, "standard deviations"),
])  # fmt: skip
def gaussian_flow(answer):
    """The exact end of the flow for Gaussian data."""
    x, m, w, a, s = _pixels(6), 0.4, 0.5, 0.6, 0.8
    spread = (a**2 * w**2 + s**2) ** 0.5
    wrong = _first(answer(x, m, w, a, s), m + w * (x - a * m) / spread, [
        (m + w**2 * a * (x - a * m) / spread**2,
         "that is the posterior mean, where one DDIM step would land; the flow goes on changing its mind."),
        (m + w * (x - m) / spread, "at this time the mean of the noisy pixels is alpha times m."),
        (m + w * (x - a * m) / s, "what are the standard deviations of noisy pixels? Noise and signal both count."),
    ])  # fmt: skip
    if wrong or compare(answer(x, m, w, 1.0, 0.0), x) is None:
        return wrong
    return "right in general, but at t = 0 (alpha = 1, sigma = 0) nothing should change."
