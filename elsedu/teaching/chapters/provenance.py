"""Checks of the exercises of chapter book/part3/provenance."""

import torch

import elsedu
from elsedu.teaching.answers import compare, is_true
from elsedu.teaching.exercises import exercise

NOTHING = "not answered yet: your function returns nothing."


def _bool_map(got, right):
    """What is wrong with the form of a boolean tensor, if anything."""
    if got is None or got is Ellipsis:
        return NOTHING
    if not isinstance(got, torch.Tensor) or got.dtype != torch.bool:
        return "return a boolean tensor."
    if got.shape != right.shape:
        return f"the shape should be {tuple(right.shape)}, got {tuple(got.shape)}."
    return None


def _same_piece(source):
    step = source[:, 1:] - source[:, :-1]
    return (step == torch.tensor([0, 0, 1])).all(-1)


@exercise("ex-same-piece", mistakes=[
    (lambda s: s[:, 1:, 0] == s[:, :-1, 0], "same image is not enough"),
    (lambda s: (s[:, 1:] == s[:, :-1]).all(-1), "one column further"),
    (lambda s: (s[:, 1:] - s[:, :-1])[..., 2] == 1, "same training image"),
    (lambda s: (s[1:] - s[:-1] == torch.tensor([0, 1, 0])).all(-1), "shape"),
])
def same_piece(answer):
    """Neighbours that were copied together."""
    source = torch.stack(torch.meshgrid(torch.zeros(5, dtype=torch.int64), torch.arange(5), torch.arange(6),
                                        indexing="ij")[:3], -1)[0]
    source[:, 3:, 0] = 4          # another image, the same shift
    source[3:, :, 1] -= 2         # another row shift: no matter for neighbours in a row
    source[2, 4:, 2] -= 3         # another column shift
    source[1, 2, 1] += 1          # another row
    source[0, 1] = source[0, 0]   # the same patch twice
    right = _same_piece(source)
    got = answer(source.clone())
    wrong = _bool_map(got, right)
    if wrong:
        return wrong
    if torch.equal(got, source[:, 1:, 0] == source[:, :-1, 0]):
        return "the same image is not enough: the two pixels must also be neighbours there."
    if torch.equal(got, (source[:, 1:] == source[:, :-1]).all(-1)):
        return "neighbours that were copied together point at neighbours: one column further, not at the same pixel."
    if torch.equal(got, (source[:, 1:] - source[:, :-1])[..., 2] == 1):
        return "the column is right; are they from the same training image, and the same row?"
    return is_true(torch.equal(got, right), f"{int((got != right).sum())} of {right.numel()} pairs are wrong.")


def _nearest(distance):
    return distance <= distance.amin(1, keepdim=True) + 1e-9


@exercise("ex-consistent", mistakes=[
    (lambda d, c, x: c[d.argmin(1)] == x, "another centre"),
    (lambda d, c, x: ((_nearest(d) * c).sum(1) / _nearest(d).sum(1) - x).abs() < 1e-6, "mean"),
    (lambda d, c, x: (_nearest(d) & (c == x[:, None])).any(1), "another centre"),
    (lambda d, c, x: (_nearest(d).sum(1) == 1) & (c[d.argmin(1)] == x), "same centre"),
    (lambda d, c, x: c[d.argmax(1)] == x, "nearest"),
])
def consistent(answer):
    """The definition of local consistency, with its clause on ties."""
    centres = torch.tensor([-1.0, -1.0, 1.0, 0.5])
    distance = torch.tensor([
        [0.0, 2.0, 3.0, 4.0],     # one nearest, right
        [1.0, 2.0, 0.0, 1.0],     # one nearest, wrong
        [1.0, 1.0, 2.0, 3.0],     # two nearest with one centre, right
        [1.0, 2.0, 1.0, 3.0],     # two nearest with two centres, the first fits
        [1.0, 2.0, 1.0, 3.0],     # the same, the mean fits
        [2.0, 1.0, 1.0, 1.0],     # three nearest, the last fits
        [3.0, 0.5, 0.5, 0.7],     # two nearest with two centres, the first fits
    ])
    x = torch.tensor([-1.0, 0.5, -1.0, -1.0, 0.0, 0.5, -1.0])
    right = torch.tensor([True, False, True, False, False, False, False])
    got = answer(distance, centres, x)
    wrong = _bool_map(got, right)
    if wrong:
        return wrong
    for k, sentence in (
        (0, "where one patch is nearest and its centre equals the pixel, it should be true."),
        (1, "where the nearest patch has another centre than the pixel, it should be false."),
        (2, "two nearest patches with the same centre are no problem: it should be true."),
        (4, "the mean of two nearest centres is not enough: all of them must equal the pixel."),
        (3, "two patches are nearest and one of them has another centre than the pixel: it should be false."),
        (5, "three patches are nearest and one of them has another centre than the pixel: it should be false."),
    ):
        if bool(got[k]) != bool(right[k]):
            return sentence
    return is_true(torch.equal(got, right), f"{int((got != right).sum())} of {right.numel()} pixels are wrong.")


def _strips(n):
    """Cyclic words of length n whose runs all have length two or more."""
    words = torch.arange(2**n)[:, None] >> torch.arange(n) & 1
    fine = (words == words.roll(1, 1)) | (words == words.roll(-1, 1))
    return int(fine.all(1).sum())


@exercise("ex-fibonacci", mistakes=[
    (lambda n: sum(all((w >> k & 1) in (w >> k - 1 & 1 if k else -1, w >> k + 1 & 1 if k < n - 1 else -1)
                       for k in range(n)) for w in range(2**n)), "first row"),
    (lambda n: 2**n, "too many"),
])
def fibonacci(answer):
    """Mosaics on the n x 3 torus."""
    for n in (4, 5, 8, 11):
        got, right = answer(n), _strips(n)
        wrong = compare(got, right, rtol=0, atol=1e-9)
        if wrong is None:
            continue
        if got == _open_strips(n):
            return "did you forget that the torus closes? The first row is also a neighbour of the last."
        if got > right:
            return f"too many for n = {n}: a row without an equal neighbour has only three of nine votes."
        return f"too few for n = {n}: the colour may be exchanged, and runs may have any length from two on."
    return None


def _open_strips(n):
    words = torch.arange(2**n)[:, None] >> torch.arange(n) & 1
    same = words[:, 1:] == words[:, :-1]
    edge = torch.zeros(len(words), 1, dtype=torch.bool)
    return int((torch.cat([edge, same], 1) | torch.cat([same, edge], 1)).all(1).sum())


def _shares(machine, x, t, count=True, normalise=True):
    logs = []
    for label in range(int(machine.data.labels.max()) + 1):
        log = machine.posterior(x, t, label=label, fields=("log_evidence",)).log_evidence[0]
        logs.append(log + (machine.data.labels == label).double().sum().log() * count)
    logs = torch.stack(logs)
    return torch.softmax(logs, 0) if normalise else logs.exp()


def _heaviest(machine, x, t):
    label = machine.data.labels[machine.posterior(x, t).source[0, ..., 0]]
    return torch.stack([(label == k).to(x.dtype) for k in range(int(machine.data.labels.max()) + 1)])


@exercise("ex-shares", mistakes=[
    (lambda m, x, t: _shares(m, x, t, count=False), "as many patches"),
    (lambda m, x, t: _shares(m, x, t, normalise=False), "add up to one"),
    (_heaviest, "heaviest"),
    (lambda m, x, t: torch.bincount(m.data.labels).double()[:, None, None].expand(-1, 6, 6) / 7, "depend"),
])
def shares(answer):
    """The weight of each class in the belief, from evidences."""
    generator = torch.Generator().manual_seed(7)
    images = 2 * torch.rand(7, 1, 6, 6, generator=generator, dtype=torch.float64) - 1
    labels = torch.tensor([0, 1, 1, 2, 1, 1, 2])
    machine = elsedu.EquivariantLocalScore(elsedu.ImageSet(images.float(), labels), 3, backend="torch")
    x = torch.randn(1, 1, 6, 6, generator=generator, dtype=torch.float64)
    for t in (0.5, 0.8):
        got, right = answer(machine, x, t), _shares(machine, x, t)
        wrong = compare(got, right)
        if wrong is None:
            continue
        if not isinstance(got, torch.Tensor) or got.shape != right.shape:
            return wrong
        if compare(got, _shares(machine, x, t, count=False)) is None:
            return "evidence is a mean over the patches of a class; not every class has as many patches."
        if bool((got.sum(0) - 1).abs().max() > 1e-4):
            return "at each pixel the shares should add up to one."
        if compare(got, _heaviest(machine, x, t)) is None:
            return "this is the class of the heaviest patch; asked is the weight of all patches of a class together."
        if bool((got - got[:, :1, :1]).abs().max() < 1e-6):
            return "the shares should depend on the noisy window, so they differ from pixel to pixel."
        return wrong
    return None
