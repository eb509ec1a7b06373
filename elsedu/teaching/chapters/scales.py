"""Checks of the exercises of chapter book/part3/scales."""

import math

import torch

import elsedu
from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

NOTHING = "not answered yet: your function returns nothing."


@exercise("ex-separate", mistakes=[
    (lambda distance: math.atan(distance) * 2.016 / math.pi, "half"),
    (lambda distance: math.tan(distance / 2) * 2.016 / math.pi, "inverse"),
    (lambda distance: math.atan(2 / distance) * 2.016 / math.pi, "farther"),
])
def separate(answer):
    """The time at which two patches become two hills."""
    for distance in (0.3, 1.0, 2.5, 8.0):
        got, right = answer(distance), math.atan(distance / 2) * 2.016 / math.pi
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        if compare(got, math.atan(distance) * 2.016 / math.pi) is None:
            return "each centre is half the distance away from the middle: look at a in the proposition."
        if compare(got, math.tan(distance / 2) * 2.016 / math.pi) is None:
            return "the tangent of the time is given, so the time needs the inverse function."
        if float(answer(4.0)) < float(answer(1.0)):
            return "patches that are farther apart should part earlier, at a larger t."
        return f"for distance = {distance}: {compare(got, right)}"
    return None


@exercise("ex-effective", mistakes=[
    (lambda logits: torch.exp(-(torch.softmax(logits, 0) * torch.log(torch.softmax(logits, 0))).sum()), "NaN"),
    (lambda logits: -(torch.log_softmax(logits, 0).exp() * torch.log_softmax(logits, 0)).sum(), "exponential"),
    (lambda logits: 1 / (torch.softmax(logits, 0) ** 2).sum(), "entropy"),
])
def effective(answer):
    """exp of the entropy of a softmax."""
    cases = [torch.zeros(7), torch.tensor([1.0, 0.0, -1.0, 2.0]), torch.tensor([0.0, -5000.0, -1.0, -4000.0])]
    for logits in cases:
        log_w = torch.log_softmax(logits, 0)
        entropy = -(log_w.exp() * log_w).sum()
        got = answer(logits)
        if got is None:
            return NOTHING
        if compare(got, torch.exp(entropy)) is None:
            continue
        if compare(got, entropy) is None:
            return "this is the entropy itself; the number of patches is its exponential."
        if compare(got, 1 / (log_w.exp() ** 2).sum()) is None:
            return "this is one over the sum of squared weights; asked is the number with the entropy."
        return f"for logits = {logits.tolist()}: {compare(got, torch.exp(entropy))}"
    return None


def _thumb(patches, kappa, variance, snr):
    side = math.floor(math.sqrt(2 * math.log(patches / kappa) / math.log1p(variance * snr)))
    return max(1, side if side % 2 else side - 1)


@exercise("ex-thumb", mistakes=[
    (lambda patches, kappa, variance, snr:
     math.sqrt(2 * math.log(patches / kappa) / math.log1p(variance * snr)), "odd"),
    (lambda patches, kappa, variance, snr: _thumb(patches, 1, variance, snr), "kappa"),
    (lambda patches, kappa, variance, snr: _thumb(patches, kappa, variance, snr) + 2, "too large"),
    (lambda patches, kappa, variance, snr: _thumb(patches, kappa, 1.0, snr), "variance"),
])
def thumb(answer):
    """The largest odd window that leaves kappa patches in play."""
    for case in ((65_000, 20, 0.5, 0.1), (65_000, 20, 0.5, 1.0), (1_000, 20, 0.3, 5.0), (500, 100, 0.9, 100.0),
                 (4_000_000, 20, 0.25, 0.4)):
        got, right = answer(*case), _thumb(*case)
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        where = "patches = {}, kappa = {}, variance = {}, snr = {}".format(*case)
        if float(got) != int(got) or int(got) % 2 == 0:
            return "a window should be an odd whole number."
        if compare(answer(100, 100, 0.5, 1e-9), 1) is not None and compare(got, _thumb(case[0], 1, *case[2:])) is None:
            return "kappa patches should stay in play, not one."
        if compare(got, _thumb(case[0], case[1], 1.0, case[3])) is None:
            return "the bound holds the variance of the pixels."
        return f"too {'large' if got > right else 'small'} for {where}."
    return None


@exercise("ex-choose", mistakes=[
    (lambda s, windows: [windows[k] for k in s.mean(0).argmax(1).tolist()], "mean"),
    (lambda s, windows: [windows[k] for k in s.argmin(2).median(0).values.tolist()], "most alike"),
    (lambda s, windows: s.argmax(2).median(0).values.tolist(), "indices"),
    (lambda s, windows: [windows[k] for k in s.argmax(2).sort(0).values[s.shape[0] // 2].tolist()], "lower"),
])
def choose(answer):
    """Median over noises of the best window."""
    windows = [3, 5, 7, 9, 13]
    generator = torch.Generator().manual_seed(4)
    for noises in (5, 4):
        similarity = torch.rand(noises, 12, 5, generator=generator)
        right = [windows[k] for k in similarity.argmax(2).median(0).values.tolist()]
        got = answer(similarity, windows)
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        hints = [
            (similarity.argmax(2).median(0).values.tolist(), "these are indices; look up the windows themselves."),
            ([windows[k] for k in similarity.mean(0).argmax(1).tolist()],
             "this is the best of the mean cosine; asked is the median of the best windows."),
            ([windows[k] for k in similarity.argmin(2).median(0).values.tolist()],
             "the best window is the one whose score is most alike: the largest cosine."),
            ([windows[k] for k in similarity.argmax(2).sort(0).values[noises // 2].tolist()],
             "for an even number of noises take the lower of the two middle windows."),
        ]
        for wrong, hint in hints:
            if compare(got, wrong) is None:
                return hint
        return compare(got, right)
    return None


def _slopes(denoise, x):
    """The diagonal of the Jacobian of a denoiser, (H, W)."""
    x = x.detach().requires_grad_(True)
    belief = denoise(x).flatten()
    rows = [torch.autograd.grad(belief[k], x, retain_graph=True)[0].flatten()[k] for k in range(belief.numel())]
    return torch.stack(rows).reshape(x.shape[-2:])


def _column_sums(denoise, x):
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(denoise(x).sum(), x)[0][0, 0]


@exercise("ex-error-map", mistakes=[
    (lambda f, x, alpha, sigma: sigma**2 / alpha * _column_sums(f, x), "other pixels"),
    (lambda f, x, alpha, sigma: _slopes(f, x), "derivative itself"),
    (lambda f, x, alpha, sigma: alpha / sigma**2 * _slopes(f, x), "wrong way round"),
    (lambda f, x, alpha, sigma: (sigma**2 / alpha * _slopes(f, x)).clamp_min(0).sqrt(), "square root"),
    (lambda f, x, alpha, sigma: (f(x) - x / alpha)[0, 0] ** 2, "derivative of the belief"),
])
def error_map(answer):
    """The posterior variance from the derivatives of the belief."""
    images = 2 * torch.rand(9, 1, 5, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64) - 1
    machine = elsedu.EquivariantLocalScore(images.float(), 3, backend="torch")
    generator = torch.Generator().manual_seed(6)
    for t in (0.4, 0.7):
        alpha, sigma = float(machine.schedule.alpha(t)), float(machine.schedule.sigma(t))
        x = alpha * images[:1] + sigma * torch.randn(1, 1, 5, 6, generator=generator, dtype=torch.float64)

        def denoise(z, t=t):
            return machine.denoise(z, t)

        got, right = answer(denoise, x.clone(), alpha, sigma), machine.posterior(x, t).variance[0, 0]
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        slopes = _slopes(denoise, x)
        for wrong, hint in (
            (sigma**2 / alpha * _column_sums(denoise, x),
             "a gradient of the sum of all beliefs: each pixel also moves the other pixels' beliefs."),
            (slopes, "this is the derivative itself; what stands before the covariance?"),
            (alpha / sigma**2 * slopes, "the factor before the covariance is used the wrong way round."),
            (right.sqrt(), "this is the square root, the standard deviation; asked is the variance."),
        ):
            if compare(got, wrong) is None:
                return hint
        if getattr(got, "shape", None) != right.shape:
            return compare(got, right)
        return f"not the posterior variance: take the derivative of the belief at each pixel. {compare(got, right)}"
    return None
