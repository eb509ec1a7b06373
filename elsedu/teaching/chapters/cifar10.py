"""Checks of the exercises of chapter book/part5/cifar10."""

import torch

import elsedu
from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise

NOTHING = "not answered yet: your function returns nothing."


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@exercise("ex-colour-logit", mistakes=[
    (lambda logits: logits.softmax(1).mean(0), "one softmax"),
    (lambda logits: logits.mean(0).softmax(0), "mean"),
    (lambda logits: logits.sum(0), "sum to one"),
    (lambda logits: logits.softmax(1).prod(0), "sum to one"),
])
def colour_logit(answer):
    """Logits add up over channels; one softmax."""
    logits = -20 * _random(3, 12).square()
    got, right = answer(logits), logits.sum(0).softmax(0)
    if got is None:
        return NOTHING
    if compare(got, right) is None:
        return None
    if compare(got, logits.softmax(1).mean(0)) is None:
        return "this judges every channel by itself and then averages: a patch must have one softmax weight, not three."
    if compare(got, logits.mean(0).softmax(0)) is None:
        return "this takes the mean over the channels: what does the squared distance of the whole patch look like?"
    if torch.is_tensor(got) and got.shape == right.shape and abs(float(got.sum()) - 1) > 1e-4:
        return "weights must sum to one over the patches."
    return compare(got, right)


def _vote(evidence, counts):
    return (evidence + torch.as_tensor(counts, dtype=evidence.dtype).log()[:, None, None]).softmax(0)


@exercise("ex-unbalanced", mistakes=[
    (lambda evidence, counts: evidence.softmax(0), "how many images"),
    (lambda evidence, counts: (evidence + torch.tensor(counts)[:, None, None]).softmax(0), "logarithm"),
    (lambda evidence, counts: evidence.exp() * torch.tensor(counts)[:, None, None]
     / (evidence.exp() * torch.tensor(counts)[:, None, None]).sum(0), "finite"),
    (lambda evidence, counts: (evidence + torch.tensor(counts).log()[:, None, None]).softmax(1), "sum to one"),
])
def unbalanced(answer):
    """Class probabilities from evidence and class sizes, in logarithms."""
    counts = [30.0, 300.0, 3.0]
    for shift in (0.0, -4000.0):
        evidence = 3 * _random(3, 4, 5, seed=1) + shift
        got, right = answer(evidence, counts), _vote(evidence, counts)
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        if torch.is_tensor(got) and not torch.isfinite(got).all():
            return "the answer is not finite for a log evidence near -4000: stay with logarithms until the end."
        if compare(got, evidence.softmax(0)) is None:
            return "how many images a class has plays no role here, but it does in the formula."
        if compare(got, (evidence + torch.tensor(counts)[:, None, None]).softmax(0)) is None:
            return "evidence is a logarithm, the number of images is not: what has to be added is its logarithm."
        if torch.is_tensor(got) and got.shape == right.shape and (got.sum(0) - 1).abs().max() > 1e-3:
            return "at each pixel the probabilities of the classes must sum to one."
        return compare(got, right)
    return None


def _setting(unequal=False):
    digits = elsedu.load("digits")
    index = torch.cat([torch.nonzero(digits.labels == c)[:12, 0] for c in (0, 1, 4)])
    if unequal:
        index = index[:-9]
    test = torch.cat([torch.nonzero(digits.labels == c)[20:23, 0] for c in (4, 0, 1)])
    machine = elsedu.IdealScore(digits.take(index))
    x = machine.schedule.add_noise(digits.images[test], 0.4, _random(9, 1, 8, 8, seed=3))
    return machine, x


def _classify(machine, x, t, labels):
    evidence = torch.stack([machine.posterior(x, t, label=c).log_evidence[:, 0, 0] for c in labels])
    return torch.tensor(labels)[evidence.argmax(0)]


@exercise("ex-image-class", mistakes=[
    (lambda machine, x, t, labels: torch.stack(
        [machine.posterior(x, t, label=c).log_evidence[:, 0, 0] for c in labels]).argmax(0), "position in the list"),
    (lambda machine, x, t, labels: torch.tensor(labels)[torch.stack(
        [machine.posterior(x, t, label=c).log_evidence[:, 0, 0] for c in labels]).argmin(0)], "least"),
    (lambda machine, x, t, labels: torch.tensor(labels)[torch.stack(
        [machine.posterior(x, t, label=c).log_evidence[:, 0, 0] for c in labels]).argmax(1)[:1]], "one label for each"),
])
def image_class(answer):
    """The class with the largest evidence."""
    machine, x = _setting()
    labels = [4, 0, 1]
    got, right = answer(machine, x, 0.4, labels), _classify(machine, x, 0.4, labels)
    if got is None:
        return NOTHING
    got = torch.as_tensor(got)
    if got.shape != right.shape:
        return f"expected one label for each of the {len(x)} images, got a result of shape {tuple(got.shape)}."
    if torch.equal(got, right):
        return None
    if torch.equal(torch.tensor(labels)[got.clamp(0, 2)], right) and got.max() < 3:
        return "this is the position in the list `labels`, not the label itself."
    evidence = torch.stack([machine.posterior(x, 0.4, label=c).log_evidence[:, 0, 0] for c in labels])
    if torch.equal(got, torch.tensor(labels)[evidence.argmin(0)]):
        return "this picks the least probable class: evidence is larger where the class fits better."
    return f"{int((got != right).sum())} of {len(x)} labels are not those of the largest evidence."


def _guided(machine, x, t, label, g):
    free = machine.denoise(x, t)
    return free + g * (machine.denoise(x, t, label=label) - free)


@exercise("ex-guidance", mistakes=[
    (lambda machine, x, t, label, g: machine.noise(x, t) + g * (machine.noise(x, t, label=label) - machine.noise(x, t)),
     "the noise"),
    (lambda machine, x, t, label, g: machine.denoise(x, t, label=label)
     + g * (machine.denoise(x, t, label=label) - machine.denoise(x, t)), "without a label"),
    (lambda machine, x, t, label, g: machine.denoise(x, t, label=label), "plays no role"),
    (lambda machine, x, t, label, g: _guided(machine, x, t, label, g).clamp(-1, 1), "cut off"),
])
def guidance(answer):
    """Guidance is the same combination of denoised images."""
    machine, x = _setting(unequal=True)
    x = x.double()
    for g in (1.0, 2.5, 6.0):
        got, right = answer(machine, x, 0.4, 1, g), _guided(machine, x, 0.4, 1, g)
        if got is None:
            return NOTHING
        if compare(got, right) is None:
            continue
        free, bound = machine.denoise(x, 0.4), machine.denoise(x, 0.4, label=1)
        alpha, sigma = machine.schedule.alpha(0.4), machine.schedule.sigma(0.4)
        if compare(got, (x - alpha * right) / sigma) is None:
            return "this is the noise; asked for is the denoised image that belongs to it."
        if compare(got, bound + g * (bound - free)) is None:
            return "start from the prediction without a label: with g = 1 the result must be that with the label."
        if g != 1 and compare(got, bound) is None:
            return "the strength g plays no role in this answer."
        if compare(got, right.clamp(-1, 1)) is None:
            return "values are cut off at -1 and 1 here; the formula does not do that."
        return compare(got, right)
    return None
