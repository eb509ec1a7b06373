"""`elsedu.load`: one function for every image set of the book, embedded, local or downloaded."""

from __future__ import annotations

import numbers
import os
import warnings
from pathlib import Path

import numpy as np
import torch

from elsedu.data import embedded
from elsedu.data.catalogue import SOURCES, known
from elsedu.data.formats import celeba, cifar, idx

from .cache import decoded
from .download import CELEBA_HELP, download_folder, fetch
from .imageset import ImageSet
from .own import ARRAYS, load_own
from .pixels import resize, to_values

# Mean of the training pixels in [0, 1]: tells MNIST from Fashion-MNIST, whose files have the same names.
IDX_MEANS = {"mnist": 0.1307, "fashion_mnist": 0.2860}


def load(name, size=None, split="train", root=None, limit=None, seed=0, crop="square", skip_corrupt=False) -> ImageSet:
    """Load an image set, with pixels in [-1, 1]: by name, or your own.

    Parameters
    ----------
    name : str, path or data
        Your own: a folder of pictures (PNG, JPEG, WebP, BMP, GIF; subfolders are classes), an .npz, .npy or .pt file
        of arrays (nothing is unpickled), an array or tensor, a pair (images, labels), or a data set of torchvision or
        of Hugging Face's `datasets` as it is. What was done to sizes, colours and transparent parts is said in a
        UserWarning; pictures up to 64 pixels that are all of one size keep it, others get 32x32 or `size`.
        Embedded, ready at once: "digits" (1,797 x 8x8), "mnist5k" (5,000 x 28x28), "faces25" (100 x
        25x25), "photos32" (520 colour tiles, 32x32), "two-images" (32x32). Official files: "mnist",
        "fashion_mnist" (60,000 x 28x28), "cifar10" (50,000 x 32x32, colour), "celeba" (colour).
    size : int, optional
        Resize to size x size pixels (Pillow, bilinear, antialiased, on bytes). Default: the set's own
        size, and 32 for celeba and two-images.
    split : "train" or "test"
        mnist, fashion_mnist and cifar10 have a test split. The embedded sets and celeba are one whole,
        "train" (the paper uses all of CelebA): cross-validate where held-out images are needed.
    root : path, optional
        A folder with the official files; nothing is downloaded, and nothing is compared with published
        checksums (`elsedu data verify` does that). Default: the environment variable ELSEDU_DATA. One
        folder can serve all sets: root/<name>/ is looked up first, then root itself. (MNIST and
        Fashion-MNIST have the same file names, so only one of them can lie in root itself.)
        Without both, mnist, fashion_mnist and cifar10 are downloaded once into a cache (ELSEDU_CACHE)
        and verified.
    limit : int, optional
        Keep this many images, drawn at random without replacement by `seed`, in random order. The
        draw is the same on every machine, and nested: the first images of a larger limit are those
        of a smaller one. Default: all images in the order of the files.
    seed : int
        Of the draw of `limit`.
    crop : "square" or "none"
        celeba and your own pictures: the centre square of the photographs, or the whole image squashed to a
        square as in the published code.
    skip_corrupt : bool
        Your own folder only: leave out pictures that cannot be decoded, and say so, instead of an error that
        names them.

    Returns
    -------
    ImageSet
        images (N, C, H, W) float32 in [-1, 1], labels (N,) int64 or None.

    Raises
    ------
    ValueError
        An unknown name, split or crop, a size, limit or seed out of range, a damaged file.
    TypeError
        A size, limit or seed that is no integer.
    FileNotFoundError
        Local files that are not there (the message lists what was looked for); celeba without root.
    ConnectionError, OSError
        A download that failed everywhere; a cache that cannot be written.

    Examples
    --------
    >>> import elsedu
    >>> elsedu.load("digits").shape
    (1, 8, 8)
    """
    mine = name not in SOURCES and (is_path(name) or Path(name).exists()) if isinstance(name, str) else name is not None
    if mine:
        return _own(name, size, split, root, limit, seed, crop, skip_corrupt)
    source = known(name)
    if skip_corrupt:
        raise ValueError(f"skip_corrupt is for your own folder of pictures; {name} is read whole or not at all")
    size = source.shape[1] if size is None else _whole(size, "size", 1)
    limit = None if limit is None else _whole(limit, "limit", 1)
    seed = _whole(seed, "seed", 0)
    if split not in source.splits:
        raise ValueError(
            f"{name} has no split {split!r}, only {', '.join(source.splits)}"
            + ("" if "test" in source.splits else "; cross-validate where held-out images are needed")
        )
    if crop not in celeba.CROPS:
        raise ValueError(f"unknown crop {crop!r}; expected one of {', '.join(celeba.CROPS)}")
    if source.embedded and root is not None:
        raise ValueError(f"{name} is embedded, it is not read from a folder; got root={str(root)!r}")

    if name == "celeba":
        pixels, labels = _load_celeba(root, size, crop, limit, seed)
    else:
        pixels, labels = _embedded(name, size) if source.embedded else _official(name, split, root, size)
        if limit is not None:
            chosen = subset(len(pixels), limit, seed, name)
            pixels, labels = pixels[chosen], None if labels is None else labels[chosen]
    labels = None if labels is None else torch.from_numpy(labels)
    return ImageSet(to_values(pixels), labels, name, source.classes)


def is_path(name: str) -> bool:
    """Whether a text is meant as a path: it has a separator, starts with ~, or ends as a file of arrays does."""
    return "/" in name or os.sep in name or name.startswith("~") or name.lower().endswith(ARRAYS)


def _own(source, size, split, root, limit, seed, crop, skip_corrupt):
    if root is not None:
        raise ValueError(f"root is for the official files; {source!r:.60} is read as it is")
    if crop not in celeba.CROPS:
        raise ValueError(f"unknown crop {crop!r}; expected one of {', '.join(celeba.CROPS)}")
    size = None if size is None else _whole(size, "size", 1)
    seed, choose = _whole(seed, "seed", 0), None
    if limit is not None:
        count = _whole(limit, "limit", 1)

        def choose(have, name):
            return subset(have, count, seed, name)

    return load_own(source, size, crop, choose, split, skip_corrupt)


def subset(count: int, limit: int, seed: int, name: str = "the set") -> np.ndarray:
    """`limit` of the numbers 0 .. count-1 in random order, the same for ever.

    Sorts the raw output of the PCG64 generator, which numpy promises not to change (it makes no such
    promise for `permutation`). A smaller limit gives the first entries of a larger one.
    """
    if limit > count:
        raise ValueError(f"limit={limit} asks for more images than {name} has: {count}")
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")[:limit]


def bases(root: Path, name: str) -> list[Path]:
    """The folders in which the files of a set are looked for, in order."""
    torchvision = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw"}
    folders = [root / name, root] + ([root / torchvision[name]] if name in torchvision else [])
    # A root that is itself the folder or archive of the images counts as the folder that holds it.
    own = (cifar.PYTHON, cifar.BINARY, *cifar.ARCHIVES, celeba.FOLDER, celeba.ARCHIVE)
    return folders + ([root.parent] if root.name in own else [])


def _embedded(name: str, size: int):
    if name == "two-images":
        return embedded.two_images(size)
    pixels, labels = getattr(embedded, name)()
    return resize(pixels, size), labels


def find(name: str, split: str, folders: list[Path]):
    """The files of a set in the first folder that has them: paths, for celeba one path, or None."""
    look = {"cifar10": cifar.find, "celeba": celeba.find}.get(name, idx.find)
    return next((found for folder in folders if (found := look(folder, split))), None)


def here(name: str, split: str = "train") -> bool:
    """Whether `load(name, split=split)` finds its files on this machine, without a download.

    Looked at are ELSEDU_DATA if it is set, else the cache of downloads; embedded sets are always here.
    The files are not opened. ValueError for an unknown name.
    """
    if known(name).embedded:
        return True
    chosen = os.environ.get("ELSEDU_DATA")
    folders = bases(Path(chosen).expanduser(), name) if chosen else [download_folder(name)]
    return find(name, split, folders) is not None


def _official(name: str, split: str, root, size: int):
    reader = cifar if name == "cifar10" else idx
    folder = _local_root(root)
    folders = [fetch(name, split)] if folder is None else bases(folder, name)
    files = find(name, split, folders)
    if files is None:
        raise _missing(name, split, folders, reader.looked_for(split))

    def decode():
        pixels, labels = reader.read(files, split)
        if not len(pixels):
            raise ValueError(f"{', '.join(map(str, files))} hold no images")
        return resize(pixels, size), labels

    pixels, labels = decoded(f"{name}-{split}-{size}", files, size, decode)
    if name in IDX_MEANS and folder is not None:
        _warn_if_swapped(name, pixels, files[0])
    return pixels, labels


def _load_celeba(root, size: int, crop: str, limit: int | None, seed: int):
    folder = _local_root(root)
    if folder is None:
        raise FileNotFoundError(CELEBA_HELP)
    folders = bases(folder, "celeba")
    place = find("celeba", "train", folders)
    if place is None:
        raise _missing("celeba", "train", folders, celeba.looked_for("train"), f". {CELEBA_HELP}")
    names = celeba.list_images(place)
    settings = f"celeba-train-{size}-{crop}"
    if limit is not None:  # decode only what is asked for
        names = [names[i] for i in subset(len(names), limit, seed, f"celeba ({place})")]
        settings += f"-{limit}-{seed}"
    files = [place, *(f"{place}/{name}" for name in names)] if place.is_dir() else [place]
    return decoded(settings, files, size, lambda: (celeba.read(place, names, size, crop), None))


def _local_root(root) -> Path | None:
    given = root if root is not None else os.environ.get("ELSEDU_DATA") or None
    if given is None:
        return None
    folder = Path(given).expanduser()
    if not folder.exists():
        origin = "root=" if root is not None else "ELSEDU_DATA="
        raise FileNotFoundError(
            f"{origin}{str(given)!r} does not exist; expected a folder with official files"
        )
    return folder.resolve()


def _missing(name, split, folders, looked_for, more="") -> FileNotFoundError:
    places = ", ".join(f"{folder}{os.sep}" for folder in folders)
    return FileNotFoundError(f"{name} ({split}): looked in {places} for {looked_for}{more}")


def _warn_if_swapped(name: str, pixels: np.ndarray, path: Path) -> None:
    other = next(key for key in IDX_MEANS if key != name)
    mean = pixels.mean() / 255
    if abs(mean - IDX_MEANS[other]) < 0.005:
        warnings.warn(
            f"{path} was loaded as {name}, but its mean pixel, {mean:.3f}, is that of {other} (both have the "
            f"same file names): put each set into a folder of its own, root/{name}/ and root/{other}/",
            UserWarning,
            stacklevel=4,
        )


def _whole(value, what: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{what} must be an integer of at least {least}, got {value!r}")
    if value < least:
        raise ValueError(f"{what} must be at least {least}, got {value}")
    return int(value)
