"""Image sets made small for the journey, and written again as the official files they came from.

Pixels travel as lossless WebP sheets of 8 x 8 images (about half of their bytes on CIFAR-10) or, where
Pillow has no WebP, as PNG. On arrival they become official files again (idx, CIFAR-10 batches, a folder
of faces), so that nothing else has to know how they travelled; the set that `elsedu.load` then gives
must have the hash it had at home.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, features

from elsedu._common.files import write_bytes

SIDE = 8  # images a row and a column of a sheet
FORMAT = 1


def pack(recipe):
    """Bytes that `unpack` makes files of: the images that `recipe.load_data()` is made from."""
    import elsedu
    from elsedu.data import to_bytes
    from elsedu.data.loading import subset

    options = dict(recipe.data_options)
    wanted = elsedu.load(recipe.data, **options)
    if recipe.data == "celeba":  # only the faces that are used, already small, at the places where they are looked for
        pixels, labels = np.empty((len(wanted), *wanted.shape), np.uint8), None
        places = subset(len(wanted), len(wanted), options.get("seed", 0)) if "limit" in options else slice(None)
        pixels[places] = to_bytes(wanted.images)
    else:
        whole = elsedu.load(recipe.data)
        pixels, labels = to_bytes(whole.images), whole.labels.numpy().astype(np.uint8)
    kind = "WEBP" if features.check("webp") else "PNG"
    note = {"format": FORMAT, "set": recipe.data, "shape": list(pixels.shape), "sheets": kind, "hash": wanted.hash}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("note.json", json.dumps(note))
        if labels is not None:
            archive.writestr("labels", labels.tobytes(), zipfile.ZIP_DEFLATED)
        for k, start in enumerate(range(0, len(pixels), SIDE * SIDE)):
            archive.writestr(f"{k:06d}", _sheet(pixels[start:start + SIDE * SIDE], kind))
    return stream.getvalue()


def _sheet(images, kind):
    count, channels, height, width = images.shape
    if count < SIDE * SIDE:
        images = np.concatenate([images, np.zeros((SIDE * SIDE - count, *images.shape[1:]), np.uint8)])
    grid = images.reshape(SIDE, SIDE, channels, height, width).transpose(0, 3, 1, 4, 2)
    grid = np.ascontiguousarray(grid.reshape(SIDE * height, SIDE * width, channels))
    stream = io.BytesIO()
    options = {"lossless": True, "quality": 100, "method": 4} if kind == "WEBP" else {"optimize": True}
    Image.fromarray(grid if channels == 3 else grid[..., 0]).save(stream, kind, **options)
    return stream.getvalue()


def _images(content, shape):
    channels, height, width = shape
    with Image.open(io.BytesIO(content)) as picture:
        grid = np.asarray(picture.convert("RGB"))[..., :channels]
    grid = grid.reshape(SIDE, height, SIDE, width, channels).transpose(0, 2, 4, 1, 3)
    return grid.reshape(SIDE * SIDE, channels, height, width)


def unpack(content, folder):
    """Write the official files of a packed set under folder/<set>; its note, {"set", "shape", "hash", ...}.

    ValueError if the pack is of another format.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        note = json.loads(archive.read("note.json"))
        if note.get("format") != FORMAT:
            raise ValueError(f"a pack of format {note.get('format')!r}, expected {FORMAT}")
        count, *shape = note["shape"]
        sheets = [name for name in archive.namelist() if name.isdigit()]
        pixels = np.concatenate([_images(archive.read(name), shape) for name in sheets])[:count]
        labels = np.frombuffer(archive.read("labels"), np.uint8) if "labels" in archive.namelist() else None
    place = Path(folder) / note["set"]
    writer = {"cifar10": _write_cifar, "celeba": _write_faces}.get(note["set"], _write_idx)
    writer(place, pixels, labels)
    return note


def _write_idx(place, pixels, labels):
    for name, array in (("train-images-idx3-ubyte", pixels[:, 0]), ("train-labels-idx1-ubyte", labels)):
        head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        write_bytes(place / name, head + np.ascontiguousarray(array).tobytes())


def _write_cifar(place, pixels, labels):
    rows = np.concatenate([labels[:, None], pixels.reshape(len(pixels), -1)], 1)
    for k, part in enumerate(np.array_split(rows, 5), 1):
        write_bytes(place / "cifar-10-batches-bin" / f"data_batch_{k}.bin", part.tobytes())


def _write_faces(place, pixels, labels):
    for k, image in enumerate(pixels.transpose(0, 2, 3, 1), 1):
        path = place / "img_align_celeba" / f"{k:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, "PNG", compress_level=1)
