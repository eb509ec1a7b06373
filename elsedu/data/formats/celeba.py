"""CelebA: aligned faces as JPEG files, in the folder img_align_celeba or in its .zip.

The official files are 202,599 JPEGs of 178x218 pixels. Copies of any image size are read. The images
are decoded one by one and resized at once, so that the memory needed is that of the small images.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from PIL import Image

from elsedu._common.progress import bar
from elsedu._common.reading import check_regular, read_file
from elsedu.data.formats.pictures import LARGEST_FILE
from elsedu.data.formats.pictures import decode as decode_picture
from elsedu.data.pixels import check_fits

FOLDER, ARCHIVE = "img_align_celeba", "img_align_celeba.zip"
CROPS = ("square", "none")
SUFFIXES = (".jpg", ".jpeg", ".png")


def find(folder: Path, split: str = "train") -> Path | None:
    """The folder (also a doubled one, as some unpackers make) or the zip with the images, or None."""
    for candidate in (folder / FOLDER, folder / FOLDER / FOLDER):
        if candidate.is_dir() and any(_is_image(p.name) for p in candidate.iterdir()):
            return candidate
    return folder / ARCHIVE if (folder / ARCHIVE).is_file() else None


def looked_for(split: str = "train") -> str:
    """What `find` looks for, in words."""
    return f"{FOLDER}/ (with {', '.join(SUFFIXES)} files) or {ARCHIVE}"


def list_images(source: Path) -> list[str]:
    """The names of all images of a folder or zip, sorted by file name (the official order)."""
    if source.is_dir():
        with os.scandir(source) as entries:
            names = [entry.name for entry in entries if _is_image(entry.name)]
    else:
        with _open_zip(source) as archive:
            names = [name for name in archive.namelist() if _is_image(name) and "__MACOSX/" not in name]
    if not names:
        raise ValueError(f"{source} holds no images ({', '.join(SUFFIXES)})")
    return sorted(names, key=lambda name: (name.rpartition("/")[2], name))


def read(source: Path, names: list[str], size: int, crop: str) -> np.ndarray:
    """Decode `names` from a folder or zip: uint8 (N, 3, size, size).

    crop "square" cuts the centre square, whose side is the width of an upright image (178x218 gives
    178x178); crop "none" squashes the whole image, as the published code does. Raises ValueError
    naming the file if one cannot be decoded.
    """
    check_fits(len(names), 3, size)
    pixels = np.empty((len(names), 3, size, size), np.uint8)
    archive = None if source.is_dir() else _open_zip(source)

    def decode(name):
        try:
            content = read_file(source / name, LARGEST_FILE) if archive is None else _member(archive, name)
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError,
                RuntimeError) as error:  # RuntimeError: an encrypted member
            raise ValueError(f"{source}/{name} cannot be decoded: {error}") from error
        image = decode_picture(content, f"{source}/{name}").convert("RGB")
        if crop == "square":
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            image = image.crop((left, top, left + side, top + side))
        return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)

    # Pillow lets go of the interpreter lock while it decodes, so threads help.
    with ThreadPool(min(8, os.cpu_count() or 1)) as pool:
        decoded = pool.imap(decode, names, chunksize=64)
        for row, image in zip(pixels, bar(decoded, total=len(names), desc="celeba: decoding", unit="image")):
            row[...] = image
    if archive is not None:
        archive.close()
    return pixels


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    size = archive.getinfo(name).file_size
    if size > LARGEST_FILE:
        raise ValueError(f"it unpacks to {size:,} bytes, at most {LARGEST_FILE:,} are read")
    return archive.read(name)  # no more than that size, whatever is packed


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.rpartition("/")[2].startswith(".")


def _open_zip(path: Path) -> zipfile.ZipFile:
    check_regular(path)
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise ValueError(f"{path} is truncated or not a zip file: {error}") from error
