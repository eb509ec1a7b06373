"""Any folder of pictures: PNG, JPEG, WebP, BMP or GIF files; subfolders are classes, as in torchvision's ImageFolder.

Pictures come in all sizes, with and without colours, with transparent parts, lying on their side. What was done to
make one set of them is said (`Pile.notes`); a picture that cannot be decoded is named, and left out only on request.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from elsedu._common.progress import bar
from elsedu._common.reading import read_file
from elsedu.data.formats.pictures import LARGEST_FILE, decode, flattened, is_gray, is_transparent
from elsedu.data.pixels import check_fits

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
OWN_SIZE = 64  # pictures up to this side keep their size where none is asked for
DEFAULT_SIZE = 32  # and others get this one


@dataclass
class Listing:
    """What a folder holds: pictures (relative names), their class, the names of the classes, and other files."""

    names: list[str]
    labels: list[int] | None
    classes: tuple[str, ...] | None
    others: int


def list_folder(folder: Path) -> Listing:
    """The pictures of a folder, sorted by name; those of a subfolder, however deep, are one class.

    Raises:
        ValueError: If it holds no pictures, or some in itself and some in subfolders.
    """
    names, others = [], 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in files:
            if name.startswith("."):
                continue
            if name.lower().endswith(SUFFIXES):
                names.append(Path(place, name).relative_to(folder).as_posix())
            else:
                others += 1
    if not names:
        raise ValueError(f"{folder} holds no pictures ({', '.join(SUFFIXES)})")
    names.sort()
    loose = [name for name in names if "/" not in name]
    if len(loose) == len(names):
        return Listing(names, None, None, others)
    if loose:
        raise ValueError(
            f"{folder} holds {len(loose)} pictures beside its subfolders (as {loose[0]}) and {len(names) - len(loose)} "
            "in them: subfolders are classes, so either all or none of the pictures lie in one"
        )
    classes = tuple(sorted({name.partition("/")[0] for name in names}))
    number = {name: k for k, name in enumerate(classes)}
    return Listing(names, [number[name.partition("/")[0]] for name in names], classes, others)


def content_key(folder: Path, names: list[str]) -> str:
    """A hash of the names and the bytes of pictures: the same wherever the folder lies, whenever it was copied."""

    def one(name):
        try:
            return hashlib.sha256(read_file(folder / name, LARGEST_FILE)).hexdigest()
        except (OSError, ValueError) as error:
            return f"unreadable: {error}"

    with ThreadPool(min(8, os.cpu_count() or 1)) as pool:
        hashes = pool.imap(one, names, chunksize=64)
        digest = hashlib.sha256()
        for name, found in zip(names, bar(hashes, total=len(names), desc="pictures: hashing", unit="picture")):
            digest.update(f"\n{name} {found}".encode())
    return digest.hexdigest()


@dataclass
class Pile:
    """Pictures on their way to one array: what size they get, and what had to be done to them.

    Attributes:
        sides: Height and width that every picture gets.
        crop: "square" for the centre of the right shape, "none" to squash the whole picture.
        default: Whether the sides were chosen here and not asked for.
        sizes, gray, transparent, turned, moving: What was met: sizes as (width, height), and numbers of pictures.
    """

    sides: tuple[int, int]
    crop: str
    default: bool = False
    sizes: set = field(default_factory=set)
    count: int = 0
    gray: int = 0
    transparent: int = 0
    turned: int = 0
    moving: int = 0

    def place(self, image: Image.Image) -> np.ndarray:
        """One picture as uint8 (3, height, width) of the wanted size. (Called by threads: it changes nothing.)"""
        image = flattened(ImageOps.exif_transpose(image), "RGB")
        height, width = self.sides
        if self.crop == "square" and image.width * height != image.height * width:
            scale = min(image.width / width, image.height / height)
            wide, high = max(1, round(width * scale)), max(1, round(height * scale))
            left, top = (image.width - wide) // 2, (image.height - high) // 2
            image = image.crop((left, top, left + wide, top + high))
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image).transpose(2, 0, 1)

    def note(self, facts: tuple):
        """Count what `look` found in one picture."""
        size, gray, transparent, turned, moving = facts
        self.sizes.add(size)
        self.count += 1
        self.gray += gray
        self.transparent += transparent
        self.turned += turned
        self.moving += moving

    def finish(self, pixels: np.ndarray) -> np.ndarray:
        """The array with one channel if all pictures were gray."""
        return np.ascontiguousarray(pixels[:, :1]) if self.gray == self.count else pixels

    def notes(self) -> list[str]:
        """What was done to the pictures, in words; nothing if they were taken as they are."""
        said = []
        height, width = self.sides
        small, large = min(self.sizes, key=np.prod), max(self.sizes, key=np.prod)
        if self.sizes != {(width, height)}:
            range_ = f"{small[0]}x{small[1]}" + (f" to {large[0]}x{large[1]}" if large != small else "")
            shapes = any(w * height != h * width for w, h in self.sizes)
            how = ("their centres cut out and " if self.crop == "square" else "squashed and ") if shapes else ""
            chosen = "; size= chooses another size" if self.default else ""
            said.append(f"pictures of {range_} pixels, {how}resized to {width}x{height}{chosen}")
        if self.transparent:
            said.append(f"{self.transparent} with transparent parts, laid on white")
        if 0 < self.gray < self.count:
            said.append(f"{self.gray} of {self.count} are gray, all are kept in colour")
        if self.turned:
            said.append(f"{self.turned} turned upright as their EXIF says")
        if self.moving:
            said.append(f"{self.moving} animated, their first picture taken")
        return said


def look(image: Image.Image) -> tuple:
    """(size, gray, transparent, turned, moving) of a decoded picture, for `Pile.note`."""
    turned = image.getexif().get(0x0112, 1) not in (0, 1)
    size = image.size[::-1] if image.getexif().get(0x0112, 1) in (5, 6, 7, 8) else image.size
    return size, is_gray(image), is_transparent(image), turned, image.info.get("elsedu_frames", 1) > 1


def common_sides(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """Height and width for pictures of these (width, height): their own if it is small and one, else 32x32."""
    if len(set(sizes)) == 1 and max(sizes[0]) <= OWN_SIZE:
        return sizes[0][::-1]
    return DEFAULT_SIZE, DEFAULT_SIZE


def read_folder(folder: Path, names: list[str], size: int | None, crop: str, skip_corrupt: bool):
    """Decode pictures of a folder.

    Args:
        folder: Where they lie.
        names: Which, relative to it.
        size: Side of the images, or None to choose one (`common_sides`).
        crop: "square" or "none".
        skip_corrupt: Whether pictures that cannot be decoded are left out.

    Returns:
        (pixels uint8 (N, C, H, W), the places in `names` that were decoded, notes in words).

    Raises:
        ValueError: If some cannot be decoded, naming the first five, or if none can.
    """

    def opened(name):
        return decode(read_file(folder / name, LARGEST_FILE), str(folder / name), FORMATS)

    def size_of(name):
        try:
            return look(opened(name))[0]
        except (OSError, ValueError):
            return None  # named below

    with ThreadPool(min(8, os.cpu_count() or 1)) as pool:
        sides, default = (size, size), size is None
        if default:
            found = pool.imap(size_of, names, chunksize=16)
            found = bar(found, total=len(names), desc="pictures: measuring", unit="picture")
            sides = common_sides([one for one in found if one is not None] or [(DEFAULT_SIZE, DEFAULT_SIZE)])
        pile = Pile(sides, crop, default)

        def work(name):
            try:
                image = opened(name)
                return pile.place(image), look(image)
            except (OSError, ValueError) as error:
                return None, str(error)

        check_fits(len(names), 3, max(sides))
        pixels, kept, corrupt = np.empty((len(names), 3, *sides), np.uint8), [], []
        done = pool.imap(work, names, chunksize=16)
        for k, (image, facts) in enumerate(bar(done, total=len(names), desc="pictures: decoding", unit="picture")):
            if image is None:
                corrupt.append(facts)
                continue
            pixels[len(kept)] = image
            pile.note(facts)
            kept.append(k)
    if corrupt and (not skip_corrupt or not kept):
        more = f" (and {len(corrupt) - 5} more)" if len(corrupt) > 5 else ""
        hint = "" if skip_corrupt else "; skip_corrupt=True leaves such pictures out"
        raise ValueError("; ".join(corrupt[:5]) + more + hint)
    notes = pile.notes()
    if corrupt:
        notes.append(f"{len(corrupt)} left out that cannot be decoded, the first: {corrupt[0]}")
    return pile.finish(pixels[: len(kept)]), kept, notes
