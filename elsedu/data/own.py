"""Your own images: a folder of pictures, an array, or a data set of another library, as an ImageSet.

Nothing is asked of a data set of another library but that it has a length and can be indexed: items of torchvision
are (image, label), items of Hugging Face's `datasets` are dictionaries. Neither library is imported.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image

from elsedu._common.arrays import LARGEST, read_npy, read_npz
from elsedu._common.progress import bar
from elsedu._common.reading import check_regular
from elsedu.data.formats import folder as pictures

from .cache import kept
from .imageset import ImageSet
from .pixels import check_fits, resize, to_bytes, to_values

ARRAYS = (".npz", ".npy", ".pt", ".pth")
IMAGES = ("images", "image", "x", "x_train", "train_images", "data", "pixels", "img", "arr_0")
LABELS = ("labels", "label", "y", "y_train", "train_labels", "targets", "fine_label", "arr_1")
FORMAT = 1  # raise it when decoding changes


def load_own(source, size=None, crop="square", choose=None, split="train", skip_corrupt=False) -> ImageSet:
    """The ImageSet of a path, an array, a pair (images, labels) or a data set.

    Args:
        source: A folder of pictures; an .npz, .npy or .pt file; an array or tensor (N, H, W), (N, H, W, C) or
            (N, C, H, W); a pair of images and labels; an ImageSet; or any data set with a length and items.
        size: Side in pixels, or None for the images' own.
        crop: "square" cuts the centre where the shape is another, "none" squashes.
        choose: function(count, name) -> indices to keep, or None for all.
        split: Which entry of a dictionary of data sets.
        skip_corrupt: Whether pictures of a folder that cannot be decoded are left out.

    Raises:
        FileNotFoundError: If a path does not exist.
        ValueError: For anything that holds no images, naming it.
        TypeError: For an object that is none of these.
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if path.is_dir():
            return _from_folder(path, size, crop, choose, skip_corrupt)
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}: expected a folder of pictures, or a file {', '.join(ARRAYS)}")
        images, labels = _read_arrays(path)
        return from_arrays(images, labels, path.stem, size, crop, choose)
    if isinstance(source, ImageSet):
        chosen = source if choose is None else source.take(choose(len(source), source.name))
        if size is None or chosen.shape[1:] == (size, size):
            return chosen
        pixels = _shaped(to_bytes(chosen.images), size, crop)
        return ImageSet(to_values(pixels), chosen.labels, source.name, source.classes)
    if isinstance(source, np.ndarray | torch.Tensor):
        return from_arrays(source, None, "images", size, crop, choose)
    if isinstance(source, tuple) and len(source) == 2 and all(hasattr(part, "shape") for part in source):
        return from_arrays(*source, "images", size, crop, choose)
    if isinstance(source, Mapping):  # Hugging Face: {"train": ..., "test": ...}
        if split not in source:
            raise ValueError(f"the data set has no split {split!r}, only {', '.join(map(str, source))}")
        return load_own(source[split], size, crop, choose, split, skip_corrupt)
    if hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        return _from_dataset(source, size, crop, choose)
    raise TypeError(
        f"cannot load images from {type(source).__name__}: expected a name, a path, an array, or a data set "
        "with a length and items"
    )


def _say(name: str, notes):
    if len(notes):
        warnings.warn(f"{name}: " + "; ".join(map(str, notes)), UserWarning, stacklevel=5)


# -- folders ------------------------------------------------------------------------------------------


def _from_folder(path, size, crop, choose, skip_corrupt):
    path = path.resolve()
    found = pictures.list_folder(path)
    index = range(len(found.names)) if choose is None else choose(len(found.names), str(path)).tolist()
    names = [found.names[k] for k in index]

    def decode():
        pixels, done, notes = pictures.read_folder(path, names, size, crop, skip_corrupt)
        arrays = {"pixels": pixels, "notes": np.array(notes, dtype=str)}
        if found.labels is not None:
            arrays["labels"] = np.array([found.labels[index[k]] for k in done], np.int64)
        return arrays

    settings = f"{FORMAT} {PIL.__version__} {size} {crop} {skip_corrupt} {found.classes}"
    key = hashlib.sha256(f"{settings} {pictures.content_key(path, names)}".encode()).hexdigest()
    stored = kept(f"folder-{key[:32]}", key, None if size is None else (size, size), decode)
    notes = list(stored.get("notes", []))
    if found.others:
        notes.append(f"{found.others} other file{'s' if found.others > 1 else ''} left out")
    _say(path.name, notes)
    labels = stored.get("labels")
    labels = None if labels is None else torch.from_numpy(labels)
    return ImageSet(to_values(stored["pixels"]), labels, path.name, found.classes)


# -- arrays -------------------------------------------------------------------------------------------


def _read_arrays(path: Path):
    """(images, labels or None) of an .npz, .npy or .pt file; nothing is unpickled."""
    kind = path.suffix.lower()
    if kind == ".npy":
        return read_npy(path), None
    if kind == ".npz":
        return _pick(read_npz(path), path)
    if kind in (".pt", ".pth"):
        return _pick(_read_torch(path), path)
    raise ValueError(f"{path} is neither a folder of pictures nor a file of arrays ({', '.join(ARRAYS)})")


def _read_torch(path: Path):
    """What torch.save wrote: a tensor, a pair of tensors, or a dictionary of tensors."""
    size = check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:  # the older format, without a zip around it, can run code
            members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members) or size > LARGEST:
            raise ValueError("its content is packed, or larger than 16 GiB")
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch fails in many ways; none of them runs code
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(f"{path} is damaged or holds more than tensors: {said}") from error
    parts = found if isinstance(found, dict) else {"images": found} if isinstance(found, torch.Tensor) else None
    if parts is None and isinstance(found, list | tuple) and len(found) == 2:
        parts = dict(zip(("images", "labels"), found))
    if parts is None:
        raise ValueError(f"{path} holds a {type(found).__name__}: expected a tensor, a pair, or a dictionary of them")
    for name, value in parts.items():
        if isinstance(value, torch.Tensor) and (
            value.layout != torch.strided or value.numel() * value.element_size() > value.untyped_storage().nbytes()
        ):
            raise ValueError(f"{path}: {name} promises more values than are stored")
    return {str(name): value.numpy() for name, value in parts.items() if isinstance(value, torch.Tensor)}


def _pick(arrays: dict, path):
    lower = {name.lower(): value for name, value in arrays.items()}
    images = next((lower[name] for name in IMAGES if name in lower and lower[name].ndim in (3, 4)), None)
    if images is None:
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in arrays.items())
        raise ValueError(f"{path} holds no images under {', '.join(IMAGES)}; it holds {shapes or 'nothing'}")
    labels = next((lower[name] for name in LABELS if name in lower), None)
    return images, labels


def from_arrays(images, labels, name, size=None, crop="square", choose=None, classes=None) -> ImageSet:
    """An ImageSet of an array (N, H, W), (N, H, W, C) or (N, C, H, W).

    Bytes are 0..255; floating-point numbers lie in [-1, 1], or in [0, 1], which is mapped to it and said.
    """
    images = images.detach().cpu().numpy() if isinstance(images, torch.Tensor) else np.asarray(images)
    labels = None if labels is None else np.asarray(labels.cpu() if isinstance(labels, torch.Tensor) else labels)
    if images.ndim not in (3, 4) or not images.size:
        raise ValueError(f"{name}: images must have shape (N, H, W), (N, H, W, C) or (N, C, H, W), got {images.shape}")
    if labels is not None:
        labels = labels.reshape(-1)
        if len(labels) != len(images) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{name}: {len(images)} images need as many integer labels, got {labels.dtype} {labels.shape}"
            )
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[1] not in (1, 3) and images.shape[3] in (1, 3, 4):
        images = images.transpose(0, 3, 1, 2)
    if images.shape[1] not in (1, 3, 4):
        raise ValueError(
            f"{name}: images must have 1, 3 or 4 channels (gray, colour, colour and alpha), got {images.shape}"
        )
    if choose is not None:
        index = choose(len(images), name)
        images, labels = images[index], None if labels is None else labels[index]
    values, notes = _in_range(images, name)
    if size is not None and values.shape[2:] != (size, size):
        pixels = values if values.dtype == np.uint8 else to_bytes(torch.from_numpy(values))
        notes.append(f"{values.shape[3]}x{values.shape[2]} pixels resized to {size}x{size}")
        values = _shaped(pixels, size, crop)
    _say(name, notes)
    tensor = to_values(values) if values.dtype == np.uint8 else torch.from_numpy(np.ascontiguousarray(values))
    labels = None if labels is None else torch.from_numpy(labels.astype(np.int64))
    return ImageSet(tensor, labels, name, classes)


def _in_range(images: np.ndarray, name: str):
    """(uint8 pixels, or float32 values in [-1, 1]; what was done to them)."""
    notes = []
    if images.dtype == bool:
        images = images.astype(np.uint8) * 255
    elif images.dtype != np.uint8:
        if images.dtype.kind not in "iuf":
            raise ValueError(f"{name}: images must be numbers, got {images.dtype}")
        low, high = float(images.min()), float(images.max())
        if images.dtype.kind in "iu" and 0 <= low <= high <= 255:
            images = images.astype(np.uint8)
        elif images.dtype.kind == "f" and -1 - 1e-4 <= low < 0 and high <= 1 + 1e-4:
            images = images.astype(np.float32)
        elif images.dtype.kind == "f" and 0 <= low <= high <= 1 + 1e-4:
            images = 2 * images.astype(np.float32) - 1
            notes.append("values in [0, 1] are mapped to [-1, 1]")
        else:
            raise ValueError(
                f"{name}: values in [{low:.4g}, {high:.4g}] of type {images.dtype}; expected bytes 0..255, or "
                "floating-point numbers in [-1, 1] or [0, 1]"
            )
    if images.shape[1] == 4:
        colour, alpha = images[:, :3], images[:, 3:]
        opaque = 255 if images.dtype == np.uint8 else 1
        if (alpha < opaque).any():
            notes.append("transparent parts laid on white")
        if images.dtype == np.uint8:
            share = alpha.astype(np.float32) / 255
            images = np.rint(colour * share + 255 * (1 - share)).astype(np.uint8)
        else:
            share = (alpha + 1) / 2
            images = (colour * share + (1 - share)).astype(np.float32)
    return images, notes


def _shaped(pixels: np.ndarray, size: int, crop: str) -> np.ndarray:
    check_fits(len(pixels), pixels.shape[1], size)
    if crop == "square":
        height, width = pixels.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pixels = pixels[:, :, top : top + side, left : left + side]
    return resize(np.ascontiguousarray(pixels), size)


# -- data sets of other libraries ---------------------------------------------------------------------


def _from_dataset(source, size, crop, choose):
    name = str(getattr(source, "name", None) or type(source).__name__)
    index = range(len(source)) if choose is None else choose(len(source), name).tolist()
    if not len(index):
        raise ValueError(f"{name} holds no images")
    features = getattr(source, "features", None)
    images, labels, classes, pile = [], [], getattr(source, "classes", None), None
    for k in bar(index, total=len(index), desc=f"{name}: reading", unit="image"):
        image, label, key = _parts(source[k], name, k)
        if key is not None and classes is None and isinstance(features, Mapping):
            classes = getattr(features.get(key), "names", None)
        if isinstance(image, Image.Image):
            if pile is None:
                sides = (size, size) if size is not None else pictures.common_sides([image.size])
                pile = pictures.Pile(sides, crop, size is None)
            pile.note(pictures.look(image))
            image = pile.place(image)
        elif pile is not None:
            raise ValueError(f"{name}: item {k} is no picture, though others are: {type(image).__name__}")
        images.append(np.asarray(image.detach().cpu() if isinstance(image, torch.Tensor) else image))
        labels.append(label)
        if images[-1].shape != images[0].shape:
            raise ValueError(f"{name}: item {k} has shape {images[-1].shape}, item {index[0]} {images[0].shape}")
    labels = None if None in labels else np.array(labels, np.int64)
    classes = None if classes is None else tuple(map(str, classes))
    if pile is None:
        return from_arrays(np.stack(images), labels, name, size, crop, None, classes)
    _say(name, pile.notes())
    labels = None if labels is None else torch.from_numpy(labels)
    return ImageSet(to_values(pile.finish(np.stack(images))), labels, name, classes)


def _parts(item, name, k):
    """(image, label or None, the label's key or None) of one item."""
    if isinstance(item, Mapping):
        lower = {str(key).lower(): key for key in item}
        image = next((item[lower[key]] for key in IMAGES if key in lower), None)
        if image is None:
            image = next((value for value in item.values() if isinstance(value, Image.Image)), None)
        if image is None:
            raise ValueError(
                f"{name}: item {k} holds no image under {', '.join(IMAGES)}, only {', '.join(map(str, item))}"
            )
        key = next((lower[key] for key in LABELS if key in lower and _is_label(item[lower[key]])), None)
        return image, None if key is None else int(item[key]), key
    if isinstance(item, tuple | list) and item:
        label = item[1] if len(item) > 1 and _is_label(item[1]) else None
        return item[0], None if label is None else int(label), None
    return item, None, None


def _is_label(value) -> bool:
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        return value.ndim == 0 and not np.issubdtype(np.asarray(value).dtype, np.floating)
    return isinstance(value, int) and not isinstance(value, bool)
