"""Checks of the exercises of chapter book/part6/open_questions."""

import math

import numpy as np
import torch

import elsedu
from elsedu.teaching.answers import compare
from elsedu.teaching.exercises import exercise


def _images(count, seed):
    noise = torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.tanh(noise + noise.roll(1, 2) + noise.roll(1, 3))


def _split(make, images, noise, steps, parts=(slice(None, None, 2), slice(1, None, 2))):
    one, two = (elsedu.sample(make(images[part]), noise, steps) for part in parts)
    return elsedu.pearson_r(one, two).median().item()


@exercise("ex-open-split", mistakes=[
    (lambda make, images, noise, steps: _split(make, images, noise, steps, (slice(None), slice(None))), "the same"),
    (lambda make, images, noise, steps: _split(make, images, noise, steps, (slice(0, 20), slice(20, None))), "second"),
    (lambda make, images, noise, steps: _split(make, images, noise, steps) ** 2, "square"),
    (lambda make, images, noise, steps: _split(make, images, noise, 20), "steps"),
])
def split(answer):
    """Agreement of two machines built from every other image."""
    images = _images(40, 1)
    noise = torch.randn(5, 1, 6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for make in (elsedu.WienerScore, lambda part: elsedu.LocalScore(part, 3, backend="torch")):
        right, got = _split(make, images, noise, 4), answer(make, images, noise, 4)
        problem = compare(got, right)
        if problem is None:
            continue
        if got is None or got is Ellipsis:
            return problem
        hints = [
            (1.0, "the two machines know the same images."),
            (_split(make, images, noise, 4, (slice(0, 20), slice(20, None))),
             "one machine takes every second image, not the first half of them."),
            (right**2, "asked is the correlation, not its square."),
            (_split(make, images, noise, 20), "draw with the given number of steps."),
        ]
        return next((hint for wrong, hint in hints if compare(got, wrong) is None), problem)
    return None


def _budget(spectra, snr, factor=0.5):
    fits = [side for side, (values, count) in spectra.items()
            if factor * torch.log1p(snr * values).sum() <= math.log(count)]
    return max(fits, default=min(spectra))


@exercise("ex-open-budget", mistakes=[
    (lambda spectra, snr: _budget(spectra, snr, 1.0), "half"),
    (lambda spectra, snr: min(spectra), "largest"),
    (lambda spectra, snr: max(spectra), "exceeds"),
    (lambda spectra, snr: max((p for p, (v, n) in spectra.items()
                               if torch.log1p(snr * v).sum() / 2 <= math.log(n)), default=0), "smallest"),
])
def budget(answer):
    """The largest window within its budget of information."""
    spectra = {side: (torch.linspace(1.5, 0.02, side**2) ** 2, 1000 * (16 - side)) for side in (3, 5, 7, 9)}
    for snr in (0.2, 0.6, 1.5, 3.0, 1e-4, 1e6):
        right, got = _budget(spectra, snr), answer(spectra, snr)
        problem = compare(got, right)
        if problem is None:
            continue
        if got is None or got is Ellipsis:
            return problem
        if snr > 1e5:
            return "where no window keeps its budget, return the smallest side."
        if got not in spectra:
            return "the answer should be one of the sides."
        if got > right:
            return f"for snr = {snr}: the information in this window exceeds its budget."
        if got == _budget(spectra, snr, 1.0):
            return "each eigenvalue carries half a logarithm."
        return f"for snr = {snr}: a larger window still keeps its budget; asked is the largest."
    return None


def _sources(machine, noise, push, size, steps, scale=None):
    scale = math.sqrt(1 + size**2) if scale is None else scale
    return [elsedu.mosaic.provenance(machine, elsedu.sample(machine, x, steps))
            for x in (noise, (noise + size * push) / scale)]


def _flips(machine, noise, push, size, steps):
    before, after = _sources(machine, noise, push, size, steps)
    return (before != after).any(-1).double().mean().item()


def _image_only(machine, noise, push, size, steps):
    before, after = _sources(machine, noise, push, size, steps)
    return (before[..., 0] != after[..., 0]).double().mean().item()


def _all_three(machine, noise, push, size, steps):
    before, after = _sources(machine, noise, push, size, steps)
    return (before != after).all(-1).double().mean().item()


@exercise("ex-open-flips", mistakes=[
    (_image_only, "place"),
    (_all_three, "any"),
    (lambda *given: 1 - _flips(*given), "kept"),
    (lambda *given: _flips(*given) * 72, "share"),
])
def flips(answer):
    """The share of pixels whose source changes when the noise is pushed."""
    machine = elsedu.EquivariantLocalScore(_images(12, 5), 3, backend="torch")
    generator = torch.Generator().manual_seed(6)
    noise, push = torch.randn(2, 2, 1, 6, 6, generator=generator, dtype=torch.float64)
    for size in (0.3, 1.0):
        given = (machine, noise, push, size, 6)
        right, got = _flips(*given), answer(*given)
        problem = compare(got, right)
        if problem is None:
            continue
        if got is None or got is Ellipsis:
            return problem
        hints = [
            (_image_only(*given), "a source is an image and a place in it; the place may change alone."),
            (_all_three(*given), "any of image, row and column may differ, not only all three."),
            (1 - right, "this is the share of pixels that kept their source."),
            (right * noise.numel(), "asked is the share of the pixels, not their number."),
        ]
        return next((hint for wrong, hint in hints if compare(got, wrong) is None), problem)
    return None


def _mean_bound(query, patches):
    return query.shape[1] * (query.mean(1)[:, None] - patches.mean(1))**2


@exercise("ex-open-bound", mistakes=[
    (_mean_bound, "tighter"),
    (lambda query, patches: _mean_bound(query, patches) * 2, "larger"),
    (lambda query, patches: torch.cdist(query, patches)**2, "itself"),
    (lambda query, patches: torch.zeros(len(query), len(patches) + 1), "shape"),
])
def bound(answer):
    """A valid bound on squared distances, tighter than that of the means."""
    generator = torch.Generator().manual_seed(8)
    patches = torch.tanh(2 * torch.randn(300, 25, generator=generator, dtype=torch.float64)
                         + torch.randn(300, 1, generator=generator, dtype=torch.float64))
    query = patches[:20] + 0.2 * torch.randn(20, 25, generator=generator, dtype=torch.float64)
    got, true, weak = answer(query, patches), torch.cdist(query, patches)**2, _mean_bound(query, patches)
    if not isinstance(got, torch.Tensor | np.ndarray):
        return compare(got, true)
    got = torch.as_tensor(got)
    if got.shape != true.shape:
        return f"the shape should be {tuple(true.shape)}, got {tuple(got.shape)}."
    if not bool(torch.isfinite(got).all()):
        return "the bound holds NaN or infinite values."
    if bool((got > true * (1 + 1e-9) + 1e-9).any()):
        return f"in {int((got > true + 1e-9).sum())} of {true.numel()} cases the bound is larger than the distance."
    if torch.allclose(got, true, rtol=1e-6):
        return "this is the distance itself: the point is not to compute it."
    if float((got - weak).mean()) <= 1e-3 * float(weak.mean()):
        return "valid, but not tighter than the difference of the means alone. What else of a patch fits in one number?"
    return None
