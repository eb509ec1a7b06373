"""Which noise belongs to which purpose: the seeds of calibration and of the test never meet (chapter "Prediction").

A theory with a fitted number a step must not be judged on the images it was fitted on. So every image of
noise in an experiment is the k-th of a stream, the streams have different names, and each image has a
generator of its own: number k is the same whatever the batch, the machine or the interruptions.

stream        used for
test          the images of a comparison, k = 0 ... 99
calibration   the reverse processes along which windows are chosen
denoising     noise on held-out images
evidence      the machine's own reverse process when windows are chosen by counting patches
jacobian      the reverse processes along which heat maps are averaged
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from elsedu._common.checks import check_choice

STREAMS = ("test", "calibration", "denoising", "evidence", "jacobian")
LENGTH = 1_000_000  # numbers a stream; small seeds (0, 1, ...) are left to readers and to training


def seed_of(stream: str, k: int) -> int:
    """The seed of torch's generator for image k of a stream. ValueError outside 0 ... LENGTH - 1."""
    check_choice(stream, STREAMS, "stream of seeds")
    if not 0 <= k < LENGTH:
        raise ValueError(f"image {k} of stream {stream!r}: expected 0 to {LENGTH - 1}")
    return (1 + STREAMS.index(stream)) * LENGTH + int(k)


def noise(stream: str, index: Iterable[int], shape: Sequence[int], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Standard normal noise (len(index), C, H, W): images `index` of a stream.

    index: integers k; shape: (C, H, W). ValueError for an empty index.

    >>> from elsedu import seeds
    >>> seeds.noise("test", range(3), (1, 8, 8)).shape
    torch.Size([3, 1, 8, 8])
    """
    index = [int(k) for k in index]
    if not index:
        raise ValueError("no seeds were given; expected at least one")
    images = [
        torch.randn(*shape, generator=torch.Generator().manual_seed(seed_of(stream, k)), dtype=torch.float32)
        for k in index
    ]
    return torch.stack(images).to(dtype)


def labels(index: Iterable[int], classes: Sequence[int] | None) -> torch.Tensor | None:
    """The class of each image of a class-conditional experiment: (len(index),) int64, seed k has class k mod n.

    classes: sorted list of labels, or None for an unconditional one (then None is returned).
    """
    return None if classes is None else torch.tensor([classes[int(k) % len(classes)] for k in index])


def as_index(samples: int | Iterable[int], what: str = "samples") -> list[int]:
    """A number n as [0, ..., n - 1], or a sequence of integers as it is. ValueError if nothing is left."""
    if isinstance(samples, bool) or not (isinstance(samples, int) or hasattr(samples, "__iter__")):
        raise TypeError(f"{what} must be a number of seeds or a sequence of them, got {samples!r}")
    index = list(range(samples)) if isinstance(samples, int) else [int(k) for k in samples]
    if not index:
        raise ValueError(f"no seeds: {what} is {samples!r}; expected at least one")
    if len(set(index)) < len(index):
        raise ValueError(f"{what} holds the same seed twice")
    return index
