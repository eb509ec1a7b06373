"""Files that want more memory, time or trust than they deserve: each is refused, in one line that names it."""

import contextlib
import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torch
from confined import FORK, confined
from data_files import IDX_NAMES, celeba_files, cifar_files, face, idx_bytes, random_bytes, write_folder, write_idx
from PIL import Image

import elsedu
from elsedu.data import cache

pytestmark = FORK
MILLION = 1_000_000


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("ELSEDU_DATA", raising=False)


def refused(words, *arguments, grown=150, seconds=20, **options):
    """Loading ends with an error of the library that holds the words, and takes at most `grown` million bytes."""
    outcome = confined(elsedu.load, *arguments, seconds=seconds, **options)
    assert outcome.kind in ("ValueError", "FileNotFoundError"), outcome
    assert all(str(word) in outcome.words for word in words), outcome.words
    assert outcome.grown < grown * MILLION, outcome
    return outcome


def zeros_packed(count):
    """`count` zeros, a multiple of a million, in a gzip file that is a thousand times smaller."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=6, mtime=0) as file:
        for _ in range(count // MILLION):
            file.write(bytes(MILLION))
    return stream.getvalue()


# -- idx ----------------------------------------------------------------------------------------------


def with_images(tmp_path, content, packed=False):
    write_idx(tmp_path, packed=packed)
    path = tmp_path / (IDX_NAMES["train"][0] + (".gz" if packed else ""))
    path.write_bytes(content)
    return path


def test_idx_that_unpacks_to_more_than_it_promises(tmp_path):
    header = struct.pack(">HBB3I", 0, 8, 3, 20, 28, 28)
    path = with_images(tmp_path, gzip.compress(header, mtime=0) + zeros_packed(400 * MILLION), packed=True)
    refused([path, "too long"], "mnist", root=tmp_path)


def test_idx_that_promises_too_much(tmp_path):
    for shape in ((MILLION, 28000, 28), (2**32 - 1,) * 3):
        path = with_images(tmp_path, struct.pack(">HBB3I", 0, 8, 3, *shape) + bytes(100))
        refused([path, "header promises", "at most"], "mnist", root=tmp_path)
    path = with_images(tmp_path, b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"x")
    refused([path, "at most 4 axes"], "mnist", root=tmp_path)
    path = with_images(tmp_path, gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 10**6, 28, 28)), packed=True)
    (tmp_path / IDX_NAMES["train"][0]).unlink()
    refused([path, "truncated", "784,000,000"], "mnist", root=tmp_path)


def test_idx_of_no_pixels_or_of_no_squares(tmp_path):
    path = with_images(tmp_path, struct.pack(">HBB3I", 0, 8, 3, 20, 0, 28))
    refused([path, "(20, 0, 28)"], "mnist", root=tmp_path)
    path = with_images(tmp_path, idx_bytes(random_bytes(20, 1, 784)))
    refused([path, "square", "1 x 784"], "mnist", root=tmp_path)


# -- CIFAR-10 -----------------------------------------------------------------------------------------


def tar_with(*members):
    """A .tar.gz of (name, size, extra) whose contents are zeros, `extra` set on the member's header."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1, mtime=0) as packed:
        for name, size, written, extra in members:
            member = tarfile.TarInfo(name)
            member.size = size
            for key, value in extra.items():
                setattr(member, key, value)
            packed.write(member.tobuf(tarfile.PAX_FORMAT))
            for _ in range(written // MILLION):
                packed.write(bytes(MILLION))
    return stream.getvalue()


@pytest.mark.parametrize("name,members,words", [
    ("unwanted", [("filler", 10**9, 10**9, {})], ["unpacks to more than 536,870,912"]),
    ("wanted", [("cifar-10-batches-py/data_batch_1", 10**9, 0, {})], ["1,000,000,000", "at most 268,435,456"]),
    ("terabyte", [("cifar-10-batches-py/data_batch_1", 10**12, 0, {})], ["early"]),
    ("sparse", [("cifar-10-batches-py/data_batch_1", 512, 0, {"pax_headers": {
        "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(3 * 10**9),
        "GNU.sparse.name": "cifar-10-batches-py/data_batch_1", "GNU.sparse.map": "0,1"}})], ["early"]),
    ("numbers", [("x", 0, 0, {"pax_headers": {"GNU.sparse.map": "0," * 10**7}})], ["early"]),
])  # fmt: skip
def test_cifar_archives_that_unpack_to_too_much(tmp_path, name, members, words):
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(tar_with(*members))
    assert len(path.read_bytes()) < 20 * MILLION
    refused([path, *words], "cifar10", root=tmp_path, seconds=40)


def test_cifar_archive_with_a_batch_twice(tmp_path):
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in [*cifar_files("py").items(), *cifar_files("py", count=2).items()]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    refused([path, "data_batch_1 twice"], "cifar10", root=tmp_path)


# -- pictures -----------------------------------------------------------------------------------------

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 45 55\n%%EndComments\n(/tmp/owned) (w) file closefile\nshowpage\n"


def test_only_jpeg_and_png_are_opened(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    called = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: called.append(a))
    name = "img_align_celeba/000002.jpg"
    write_folder(tmp_path, celeba_files(3) | {name: EPS})
    with pytest.raises(ValueError, match=r"000002.jpg cannot be decoded: it is no picture of the format JPEG, PNG"):
        elsedu.load("celeba", root=tmp_path)
    assert not called
    with Image.open(io.BytesIO(EPS)) as picture:  # the attack is real: Pillow alone would have called it
        with contextlib.suppress(AssertionError):  # there is no picture afterwards
            picture.load()
    assert called
    for kind in ("GIF", "BMP", "TIFF", "PPM", "WEBP"):
        stream = io.BytesIO()
        Image.open(io.BytesIO(face(1))).save(stream, kind)
        write_folder(tmp_path, {name: stream.getvalue()})
        refused([name, "no picture of the format"], "celeba", root=tmp_path)


def huge_png(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = zlib.compressobj(9)
    rows = b"".join(row.compress(bytes(width + 1)) for _ in range(height)) + row.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_pictures_of_too_many_pixels(tmp_path):
    content = huge_png(12000, 14000)
    assert len(content) < MILLION
    write_folder(tmp_path, celeba_files(3) | {"img_align_celeba/000002.png": content})
    refused(["000002.png", "12000 x 14000 pixels", "at most"], "celeba", root=tmp_path)


def member_zip(name, method=zipfile.ZIP_DEFLATED, size=0):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for key, content in celeba_files(3).items():
            archive.writestr(key, content)
        if size:
            with archive.open(name, "w", force_zip64=True) as member:
                for _ in range(size // MILLION):
                    member.write(bytes(MILLION))
    return stream.getvalue()


def test_zip_members_that_unpack_to_too_much(tmp_path):
    (tmp_path / "img_align_celeba.zip").write_bytes(member_zip("img_align_celeba/000009.jpg", size=300 * MILLION))
    refused(["000009.jpg", "300,000,000", "at most"], "celeba", root=tmp_path)


def test_zip_members_that_cannot_be_unpacked(tmp_path):
    path = tmp_path / "img_align_celeba.zip"
    whole = bytearray(member_zip(""))
    first = whole.index(b"PK\x01\x02")  # the central directory
    for offset, value in ((8, 1), (10, 99)):  # encrypted; an unknown method
        changed = bytearray(whole)
        changed[first + offset] |= value
        local = 6 if offset == 8 else 8
        changed[local] = changed[first + offset]
        path.write_bytes(changed)
        refused([path, "000001.jpg", "cannot be decoded"], "celeba", root=tmp_path)
    changed = bytearray(whole)
    changed[60:70] = b"\xff" * 10  # no deflate
    path.write_bytes(changed)
    refused([path, "000001.jpg", "cannot be decoded"], "celeba", root=tmp_path)


# -- special files ------------------------------------------------------------------------------------


def test_pipes_and_devices_are_not_read(tmp_path):
    write_folder(tmp_path, celeba_files(3))
    place = tmp_path / "img_align_celeba" / "000009.jpg"
    os.mkfifo(place)
    refused([place, "no ordinary file"], "celeba", root=tmp_path)
    place.unlink()
    place.symlink_to("/dev/zero")
    refused([place, "no ordinary file"], "celeba", root=tmp_path)
    place.unlink()
    place.symlink_to(tmp_path / "img_align_celeba" / "000001.jpg")  # a link to a picture is one
    assert len(elsedu.load("celeba", root=tmp_path)) == 4
    other = tmp_path / "other"
    other.mkdir()
    os.mkfifo(other / "img_align_celeba.zip")
    refused(["img_align_celeba.zip"], "celeba", root=other)


def test_images_that_memory_cannot_hold(tmp_path):
    write_folder(tmp_path, celeba_files(3))
    for name, options in (("celeba", {"root": tmp_path}), ("digits", {}), ("two-images", {})):
        refused(["1000000 x 1000000", "GB", "smaller size"], name, size=1_000_000, **options)


# -- the decoded cache --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((20, 1, 28, 28), np.float32),
        np.zeros((20, 1, 28, 20), np.uint8),
        np.zeros((20, 28, 28), np.uint8),
        np.zeros((20, 2, 28, 28), np.uint8),
    ],
)
def test_cache_of_other_pixels_is_made_again(tmp_path, pixels):
    write_idx(tmp_path)
    good = elsedu.load("mnist", root=tmp_path)
    (path,) = (cache.cache_folder() / "decoded").iterdir()
    with np.load(path) as stored:
        parts = {name: stored[name] for name in stored.files}
    np.savez(path, **(parts | {"pixels": pixels}))
    assert torch.equal(elsedu.load("mnist", root=tmp_path).images, good.images)
    with np.load(path) as stored:
        assert stored["pixels"].dtype == np.uint8 and stored["pixels"].shape == (20, 1, 28, 28)
