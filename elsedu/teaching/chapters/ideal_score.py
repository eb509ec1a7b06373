"""Checks of the exercises of chapter book/part1/ideal_score."""

import torch

from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

__all__ = ["effective_images", "no_return", "sampler", "weights", "winner"]


def _images(count, seed=0, shape=(1, 3, 4)):
    """Random images (count, *shape) with pixels in [-1, 1], in float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *shape, generator=generator, dtype=torch.float64) * 2 - 1


def _noise(count, seed, shape=(1, 3, 4)):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _logits(x, images, alpha, sigma, factor=2.0):
    return -(x[:, None] - alpha * images).square().sum((2, 3, 4)) / (factor * sigma**2)


def _unsafe(x, images, share, alpha, sigma):
    weight = share * torch.exp(_logits(x, images, alpha, sigma))
    return weight / weight.sum(1, keepdim=True)


def _too_late(x, images, share, alpha, sigma):
    weight = share * _logits(x, images, alpha, sigma).softmax(1)
    return weight / weight.sum(1, keepdim=True)


@exercise("ex-ideal-weights", mistakes=[
    (_unsafe, "very low noise"),
    (_too_late, "never drawn"),
    (lambda x, y, p, a, s: p * _logits(x, y, a, s).softmax(1), "sum to one over"),
    (lambda x, y, p, a, s: _logits(x, y, a, s).softmax(1), "do not depend on"),
    (lambda x, y, p, a, s: (_logits(x, y, 1.0, s) + p.log()).softmax(1), "alpha"),
    (lambda x, y, p, a, s: (_logits(x, y, a, s, 1.0) + p.log()).softmax(1), "2 sigma^2"),
    (lambda x, y, p, a, s: (_logits(x, y, a, s) + p).softmax(1), "its logarithm"),
])  # fmt: skip
def weights(answer):
    """The posterior probability of each training image, where some are drawn more often than others."""
    images = _images(5)
    share = torch.tensor([0.1, 0.4, 0.2, 0.25, 0.05], dtype=torch.float64)
    x = 0.8 * images[:3] + 0.6 * _noise(3, 1)
    plain = _logits(x, images, 0.8, 0.6)
    right = (plain + share.log()).softmax(1)
    got = answer(x, images, share, 0.8, 0.6)
    wrong = compare(got, right)
    if wrong:
        if isinstance(got, torch.Tensor) and got.shape == right.shape:
            total = got.sum(1)
            if not torch.allclose(total, torch.ones_like(total)):
                return "the weights of one noisy image must sum to one over the training images (the second axis)."
            if compare(got, plain.softmax(1)) is None:
                return "these weights do not depend on how often an image is drawn: what happens to 1/N in Bayes' rule?"
            if compare(got, (_logits(x, images, 1.0, 0.6) + share.log()).softmax(1)) is None:
                return "the noisy image is compared with alpha times the training image: where is alpha?"
            if compare(got, (_logits(x, images, 0.8, 0.6, 1.0) + share.log()).softmax(1)) is None:
                return "the logit divides the squared distance by 2 sigma^2, not by sigma^2."
            if compare(got, (plain + share).softmax(1)) is None:
                return "a probability multiplies the exponential; in the exponent it appears as its logarithm."
        return wrong
    cold = answer(x, images, share, 1.0, 0.001)
    wrong = compare(cold, (_logits(x, images, 1.0, 0.001) + share.log()).softmax(1))
    if wrong:
        return f"right at moderate noise, but at very low noise: {wrong}"
    share = torch.tensor([0.0, 0.5, 0.0, 0.25, 0.25], dtype=torch.float64)
    cold = answer(images[:3], images, share, 1.0, 0.001)
    wrong = compare(cold, (_logits(images[:3], images, 1.0, 0.001) + share.log()).softmax(1))
    return wrong and f"wrong where the nearest image is never drawn (its share is zero): {wrong}"


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
    (lambda x, pair, alpha: ((x * (pair[0] - pair[1])).sum((1, 2, 3)) < 0).long(), "scaled by alpha"),
])  # fmt: skip
def winner(answer):
    """Which of two training images a sample will become, from its first noise."""
    from elsedu.diffusion.sampling import sample
    from elsedu.machines.patches import IdealScore

    # two images of different brightness, so that forgetting alpha picks the wrong one
    pair = torch.stack([0.9 * _images(1, 5)[0], 0.2 * _images(1, 6)[0]])
    machine = IdealScore(pair)
    x = _noise(60, 7)
    # every third noise lies between the middle of the two scaled images and the plane through zero, so that leaving
    # out alpha, or the images' norms, picks the wrong one
    apart = pair[0] - pair[1]
    middle = 0.5 * float(machine.schedule.alpha(1.0)) * (pair[0].square().sum() - pair[1].square().sum())
    along = (x[::3] * apart).sum((1, 2, 3), keepdim=True)
    x[::3] += (0.5 * middle - along) * apart / apart.square().sum()
    ends = sample(machine, x, steps=25)
    truth = (ends[:, None] - pair).square().sum((2, 3, 4)).argmin(1)
    got = answer(x, pair, float(machine.schedule.alpha(1.0)))
    if got is None:
        return compare(got, truth)
    if not isinstance(got, torch.Tensor) or got.shape != truth.shape:
        return f"the answer should be one index (0 or 1) for each of the {len(x)} samples."
    if not torch.equal(got.double(), got.long().double()):
        return "an index is a whole number: 0 or 1."
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
    from elsedu.diffusion.schedule import cosine, linear_vp

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


def _steps(weight, kappa, tolerance, rivals=slice(1, None), linear=False):
    """The right number of steps, or with a typical slip."""
    odds = weight[0].log() - weight[rivals].log()
    steps = 0
    while True:
        ahead = odds * (1 + steps * (1 / kappa - 1)) if linear else odds / kappa**steps
        if (-ahead).exp().sum() <= tolerance / (1 - tolerance):
            return steps
        steps += 1


@exercise("ex-no-return", mistakes=[
    (lambda w, k, tol: _steps(w, k, tol, rivals=slice(1, 2)), "every rival"),
    (lambda w, k, tol: _steps(w, k, tol, linear=True), "power"),
    (lambda w, k, tol: _steps(w, k, tol) + 1, "one too many"),
    (lambda w, k, tol: _steps(w, k, tol) - 1, "one too few"),
    (lambda w, k, tol: 0, "too few"),
])  # fmt: skip
def no_return(answer):
    """After how many steps the proof guarantees the leader all but a tolerance of the belief."""
    crowd = torch.tensor([0.6] + 40 * [0.01], dtype=torch.float64)
    duel = torch.tensor([0.7, 0.3, 0.0], dtype=torch.float64)
    for weight, kappa, tolerance in ((duel, 0.8, 1e-3), (duel, 0.8, 0.5), (crowd, 0.9, 1e-6), (crowd, 0.5, 1e-2)):
        right = _steps(weight, kappa, tolerance)
        got = answer(weight.clone(), kappa, tolerance)
        if got is None:
            return compare(got, right)
        try:
            got = int(got)
        except (TypeError, ValueError):
            return "the answer should be a whole number of steps."
        if got == right:
            continue
        case = f"for {len(weight)} images, kappa = {kappa} and a tolerance of {tolerance:g}"
        if got == _steps(weight, kappa, tolerance, linear=True):
            return f"{case}: the log-odds are divided by kappa at every step, so after k steps by its k-th power."
        if got == _steps(weight, kappa, tolerance, rivals=slice(1, 2)):
            return f"{case}: one rival is beaten, but the doubt is the sum over every rival."
        if abs(got - right) == 1:
            return f"{case}: one too {'many' if got > right else 'few'}. No step at all may be enough, too."
        return f"{case}: too {'many' if got > right else 'few'} steps."
    return None
