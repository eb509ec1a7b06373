"""Every format that is read, changed at random: an error that names the file or images, little memory, no crash.

ELSEDU_FUZZ=2000 tries that many changes of each format instead of 40.
"""

import gzip
import io
import os
import random
import struct

import numpy as np
import pytest
import torch
from confined import FORK, confined
from data_files import IDX_NAMES, celeba_files, cifar_files, random_bytes, tar_gz, write_folder, write_idx, zipped
from PIL import Image

import elsedu
from elsedu import networks

pytestmark = FORK
TRIALS = int(os.environ.get("ELSEDU_FUZZ", 40))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("ELSEDU_PROGRESS", "0")
    monkeypatch.delenv("ELSEDU_DATA", raising=False)


def changed(content, generator):
    """The bytes with a few changes of the kinds that break readers: flips, cuts, repeats, huge numbers, zeros."""
    content = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 5))):
        place = generator.choice(
            (generator.randrange(len(content) + 1), generator.randrange(min(len(content), 200) + 1))
        )
        kind = generator.randrange(6)
        if kind == 0 and place < len(content):
            content[place] ^= 1 << generator.randrange(8)
        elif kind == 1:
            del content[place : place + generator.choice((1, 4, 100, 10**6))]
        elif kind == 2:
            content[place:place] = content[place : place + generator.choice((1, 8, 300))]
        elif kind == 3:
            number = generator.choice((2**31 - 1, 2**32 - 1, 2**63 - 1, 0, 10**9))
            form = generator.choice(("<Q", ">Q", "<I", ">I"))
            content[place : place + struct.calcsize(form)] = struct.pack(
                form, number % 2 ** (8 * struct.calcsize(form))
            )
        elif kind == 4:
            content[place : place + 16] = bytes(16)
        else:
            content[place:place] = generator.randbytes(generator.choice((1, 20)))
    return bytes(content)


def picture(kind):
    stream = io.BytesIO()
    Image.fromarray(random_bytes(12, 12, 3)).save(stream, kind)
    return stream.getvalue()


def npz(save, *arrays, **named):
    stream = io.BytesIO()
    save(stream, *arrays, **named)
    return stream.getvalue()


def formats(folder):
    """{name: (function that reads, path that is changed, content)}."""
    write_idx(folder / "idx", packed=False)
    write_idx(folder / "packed")
    write_folder(folder / "py", cifar_files("py", count=2))
    write_folder(folder / "bin", cifar_files("bin", count=2))
    write_folder(folder / "tar", {"cifar-10-python.tar.gz": tar_gz(cifar_files("py", count=2))})
    write_folder(folder / "zip", {"img_align_celeba.zip": zipped(celeba_files(2))})
    found = {
        "idx": ("mnist", folder / "idx" / IDX_NAMES["train"][0]),
        "idx.gz": ("mnist", folder / "packed" / (IDX_NAMES["train"][0] + ".gz")),
        "idx unpacked": ("mnist", folder / "packed" / (IDX_NAMES["train"][0] + ".gz")),
        "batch": ("cifar10", folder / "py" / "cifar-10-batches-py" / "data_batch_1"),
        "binary": ("cifar10", folder / "bin" / "cifar-10-batches-bin" / "data_batch_1.bin"),
        "tar.gz": ("cifar10", folder / "tar" / "cifar-10-python.tar.gz"),
        "tar": ("cifar10", folder / "tar" / "cifar-10-python.tar.gz"),
        "zip": ("celeba", folder / "zip" / "img_align_celeba.zip"),
    }
    readers = {}
    for name, (data, path) in found.items():
        root = folder / path.relative_to(folder).parts[0]
        readers[name] = (lambda data=data, root=root: elsedu.load(data, root=root), path, path.read_bytes())
    for kind, suffix in (("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("BMP", "bmp"), ("GIF", "gif")):
        path = folder / kind / f"a.{suffix}"
        write_folder(folder / kind, {path.name: picture(kind)})
        readers[kind] = (lambda path=path: elsedu.load(path.parent, size=8), path, path.read_bytes())
    arrays = {
        "a.npy": npz(np.save, random_bytes(3, 5, 5)),
        "a.npz": npz(np.savez_compressed, images=random_bytes(3, 5, 5)),
    }
    stream = io.BytesIO()
    torch.save({"images": torch.from_numpy(random_bytes(3, 1, 5, 5))}, stream)
    for name, content in {**arrays, "a.pt": stream.getvalue()}.items():
        write_folder(folder, {name: content})
        readers[name] = (lambda name=name: elsedu.load(folder / name), folder / name, content)
    config = {"kind": "resnet", "image_shape": [1, 8, 8], "width": 8, "blocks": 1, "embedding": 16}
    weights = networks.save(networks.build(config), folder / "w.safetensors")
    readers["weights"] = (lambda: networks.load(weights), weights, weights.read_bytes())
    windows = folder / "windows.json"
    elsedu.ScaleSchedule([3, 5, 7]).save(windows)
    readers["windows"] = (lambda: elsedu.ScaleSchedule.load(windows), windows, windows.read_bytes())
    return readers


NAMES = ["idx", "idx.gz", "idx unpacked", "batch", "binary", "tar.gz", "tar", "zip", "PNG", "JPEG", "WEBP", "BMP",
         "GIF", "a.npy", "a.npz", "a.pt", "weights", "windows"]  # fmt: skip


def attempts(read, path, content, name):
    """Read many changed files; the first error of an unexpected kind ends it."""
    import warnings

    warnings.simplefilter("ignore")
    inner = gzip.decompress(content) if name in ("idx unpacked", "tar") else content
    refused = 0
    for trial in range(TRIALS):
        new = changed(inner, random.Random(f"{name} {trial}"))
        path.write_bytes(gzip.compress(new, 1) if inner is not content else new)
        try:
            read()
        except (ValueError, FileNotFoundError) as error:
            refused += 1
            if not any(part in str(error) for part in (path.name, path.parent.name)):
                raise AssertionError(f"trial {trial}: the error does not name the file: {error}") from error
        except BaseException as error:
            raise AssertionError(f"trial {trial}: {type(error).__name__}: {error}") from error
    return refused


@pytest.mark.parametrize("name", NAMES)
def test_changed_files(tmp_path, name):
    read, path, content = formats(tmp_path)[name]
    outcome = confined(attempts, read, path, content, name, seconds=60 + TRIALS)
    assert outcome.kind == "returned", outcome
    assert outcome.grown < 400e6, outcome
    assert int(outcome.words) > 0, "no change was noticed"
