"""Checks of the exercises of chapter book/part1/ideal_score."""

import torch

from elsedu.exercises import compare, exercise

__all__ = ["effective_images", "no_return", "sampler", "weights", "winner"]


def _images(count, seed=0, shape=(1, 3, 4)):
    """Random images (count, *shape) with pixels in [-1, 1], in float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *shape, generator=generator, dtype=torch.float64) * 2 - 1


def _noise(count, seed, shape=(1, 3, 4)):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _logits(x, images, alpha, sigma, factor=2.0):
    return -(x[:, None] - alpha * images).square().sum((2, 3, 4)) / (factor * sigma**2)


def _unsafe(x, images, alpha, sigma):
    weight = torch.exp(_logits(x, images, alpha, sigma))
    return weight / weight.sum(1, keepdim=True)


@exercise("ex-ideal-weights", mistakes=[
    (_unsafe, "very low noise"),
    (lambda x, y, a, s: _logits(x, y, 1.0, s).softmax(1), "alpha"),
    (lambda x, y, a, s: _logits(x, y, a, s, 1.0).softmax(1), "2 sigma^2"),
    (lambda x, y, a, s: _logits(x, y, a, s).softmax(0), "sum to one over"),
    (lambda x, y, a, s: _logits(x, y, a, s), "sum to one over"),
])  # fmt: skip
def weights(answer):
    """The posterior probability of each training image."""
    images = _images(5)
    x = 0.8 * images[:3] + 0.6 * _noise(3, 1)
    right = _logits(x, images, 0.8, 0.6).softmax(1)
    got = answer(x, images, 0.8, 0.6)
    wrong = compare(got, right)
    if wrong:
        if isinstance(got, torch.Tensor) and got.shape == right.shape:
            total = got.sum(1)
            if not torch.allclose(total, torch.ones_like(total)):
                return "the weights of one noisy image must sum to one over the training images (the second axis)."
            if compare(got, _logits(x, images, 1.0, 0.6).softmax(1)) is None:
                return "the noisy image is compared with alpha times the training image: where is alpha?"
            if compare(got, _logits(x, images, 0.8, 0.6, 1.0).softmax(1)) is None:
                return "the logit divides the squared distance by 2 sigma^2, not by sigma^2."
        return wrong
    cold = answer(x, images, 1.0, 0.001)
    wrong = compare(cold, _logits(x, images, 1.0, 0.001).softmax(1))
    return wrong and f"right at moderate noise, but at very low noise: {wrong}"


def _nan_at_zero(weight):
    return torch.exp(-(weight * weight.log()).sum(1))


@exercise("ex-effective-images", mistakes=[
    (_nan_at_zero, "exactly zero"),
    (lambda w: torch.special.entr(w).sum(1), "exponential"),
    (lambda w: 1 / w.square().sum(1), "squares"),
    (lambda w: torch.exp(-torch.special.entr(w).sum(1)), "sign"),
])  # fmt: skip
def effective_images(answer):
    """The exponential of the entropy of the weights."""
    weight = torch.softmax(_noise(4, 2, (6,)), 1)
    entropy = torch.special.entr(weight).sum(1)
    got = answer(weight)
    wrong = compare(got, entropy.exp())
    if wrong:
        if compare(got, entropy) is None:
            return "that is the entropy itself; its exponential is asked for."
        if compare(got, 1 / weight.square().sum(1)) is None:
            return "one over the sum of squares is another measure; take the entropy."
        if compare(got, (-entropy).exp()) is None:
            return "check the sign in the exponent: k equal weights must give k."
        return wrong
    certain = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], dtype=torch.float64)
    wrong = compare(answer(certain), torch.tensor([1.0, 2.0]))
    return wrong and f"right for positive weights, but some weights are exactly zero: {wrong}"


@exercise("ex-winner", mistakes=[
    (lambda x, pair, alpha: (x[:, None] - pair).square().sum((2, 3, 4)).argmin(1), "alpha"),
    (lambda x, pair, alpha: (x[:, None] - alpha * pair).square().sum((2, 3, 4)).argmax(1), "other image"),
    (lambda x, pair, alpha: (x[:, None] - alpha * pair).square().sum((2, 3, 4)), "one index"),
])  # fmt: skip
def winner(answer):
    """Which of two training images a sample will become, from its first noise."""
    from elsedu.machines import IdealScore
    from elsedu.sampling import sample

    # two images of different brightness, so that forgetting alpha picks the wrong one
    pair = torch.stack([0.9 * _images(1, 5)[0], 0.2 * _images(1, 6)[0]])
    machine = IdealScore(pair)
    x = _noise(60, 7)
    ends = sample(machine, x, steps=25)
    truth = (ends[:, None] - pair).square().sum((2, 3, 4)).argmin(1)
    got = answer(x, pair, float(machine.schedule.alpha(1.0)))
    if got is None:
        return compare(got, truth)
    if not isinstance(got, torch.Tensor) or got.shape != truth.shape:
        return f"the answer should be one index (0 or 1) for each of the {len(x)} samples."
    hits = int((got.long() == truth).sum())
    if hits == len(x):
        return None
    if hits == 0:
        return "every sample ends in the other image: does the nearer or the farther one win?"
    return (f"{hits} of {len(x)} samples end where you say. At t = 1 the images are scaled by alpha before they "
            "are compared with the noise.")  # fmt: skip


def _ddim(noise, images, schedule, steps, swap=False, last=True):
    """The right sampler, or with a typical slip."""
    x = noise
    for k in range(steps, 0 if last else 1, -1):
        t, s = k / steps, (k - 1) / steps
        alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
        x0 = torch.einsum("bn,nchw->bchw", _logits(x, images, alpha, sigma).softmax(1), images)
        eps = (x - alpha * x0) / sigma
        level = t if swap else s
        x = float(schedule.alpha(level)) * x0 + float(schedule.sigma(level)) * eps
    return x


@exercise("ex-ideal-sampler", mistakes=[
    (lambda z, y, sch, n: _ddim(z, y, sch, n, swap=True), "never leaves"),
    (lambda z, y, sch, n: _ddim(z, y, sch, n, last=False), "last step"),
])  # fmt: skip
def sampler(answer):
    """DDIM with the ideal denoiser."""
    from elsedu.schedule import cosine, linear_vp

    images, noise = _images(6, 8), _noise(5, 9)
    kept = noise.clone()
    for schedule, steps in ((cosine(), 7), (cosine(), 1), (linear_vp(), 4)):
        right = _ddim(noise, images, schedule, steps)
        got = answer(noise.clone(), images, schedule, steps)
        wrong = compare(got, right, rtol=1e-3, atol=1e-5)
        if wrong:
            if got is None:
                return wrong
            if compare(got, kept) is None:
                return "the result is the noise you started from: the loop never leaves it. Mix at the new time s."
            if compare(got, _ddim(noise, images, schedule, steps, last=False), rtol=1e-3, atol=1e-5) is None:
                return "the last step, down to t = 0, is missing."
            return f"with the {schedule.name} schedule and {steps} step(s): {wrong}"
    return None


def _belief_nearest(weight, images, square=False):
    flat = images.flatten(1).to(weight.dtype)
    return torch.cdist((weight.square() if square else weight) @ flat, flat).argmin(1)


@exercise("ex-no-return", mistakes=[
    (lambda w, y: w.amax(1) > 0.5, "majority"),
    (_belief_nearest, "boolean"),
    (lambda w, y: torch.ones(len(w), dtype=torch.bool), "blur"),
])  # fmt: skip
def no_return(answer):
    """Is the belief nearest to the training image that leads it?"""
    images = _images(40, 10)
    weight = torch.softmax(torch.linspace(0, 6, 30, dtype=torch.float64)[:, None] * _noise(30, 11, (40,)), 1)
    right = _belief_nearest(weight, images) == weight.argmax(1)
    got = answer(weight, images)
    if got is None:
        return compare(got, right)
    if not isinstance(got, torch.Tensor) or got.dtype != torch.bool or got.shape != right.shape:
        return f"the answer should be a boolean tensor of shape {tuple(right.shape)}."
    if bool((got == right).all()):
        return None
    if bool((got == (weight.amax(1) > 0.5)).all()):
        return "a majority is one way to dominate the belief, but not what is asked: compare distances from the belief."
    if bool((got & ~right).any()):
        return "for some weights the belief is a blur nearest to an image that does not lead; you say it gains."
    return "for some weights the leader gains and you say it does not."
