"""The official file formats, the folders they are looked for in, damaged files, and the decoded cache."""

import gzip
import io
import os
import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
from confined import FORK, confined
from data_files import (
    IDX_NAMES,
    celeba_files,
    cifar_batches,
    cifar_files,
    face,
    idx_bytes,
    pickled,
    random_bytes,
    tar_gz,
    write_folder,
    write_idx,
    zipped,
)
from PIL import Image

import elsedu
from elsedu.data import cache, to_bytes
from elsedu.data.formats import plain_pickle


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("ELSEDU_DATA", raising=False)


def cache_files():
    return sorted(p.name for p in (cache.cache_folder() / "decoded").glob("*") if p.is_file())


def fails(words, *arguments, error=ValueError, **options):
    with pytest.raises(error) as caught:
        elsedu.load(*arguments, **options)
    assert all(str(word) in str(caught.value) for word in words), caught.value


# -- idx: MNIST and Fashion-MNIST ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("packed", [True, False])
def test_idx_files(tmp_path, name, packed):
    for split, count in (("train", 30), ("test", 10)):
        pixels, labels = write_idx(tmp_path, split, count, packed, seed=count)
        images = elsedu.load(name, split=split, root=tmp_path)
        assert images.shape == (1, 28, 28) and images.name == name
        assert (to_bytes(images.images[:, 0]) == pixels).all() and (images.labels.numpy() == labels).all()
        assert elsedu.load(name, size=16, split=split, root=str(tmp_path)).shape == (1, 16, 16)


def test_one_root_serves_all_sets(tmp_path, monkeypatch):
    first, _ = write_idx(tmp_path / "mnist", seed=1)
    second, _ = write_idx(tmp_path / "fashion_mnist", seed=2)
    third, _ = write_idx(tmp_path, seed=3)  # in the root itself: only looked up where the folder is missing
    write_folder(tmp_path, cifar_files("py"))
    write_folder(tmp_path / "celeba", celeba_files(3))
    monkeypatch.setenv("ELSEDU_DATA", str(tmp_path))
    assert (to_bytes(elsedu.load("mnist").images[:, 0]) == first).all()
    assert (to_bytes(elsedu.load("fashion_mnist").images[:, 0]) == second).all()
    assert len(elsedu.load("cifar10")) == 50 and len(elsedu.load("celeba")) == 3
    for path in (tmp_path / "mnist").iterdir():
        path.unlink()
    assert (to_bytes(elsedu.load("mnist").images[:, 0]) == third).all()
    other = tmp_path / "other"
    fourth, _ = write_idx(other / "FashionMNIST" / "raw", seed=4)  # torchvision's folders
    assert (to_bytes(elsedu.load("fashion_mnist", root=other).images[:, 0]) == fourth).all()  # before ELSEDU_DATA


def test_swapped_idx_sets_are_noticed(tmp_path):
    pixels = np.full((10, 28, 28), round(0.1307 * 255), np.uint8)
    for name, array in zip(IDX_NAMES["train"], (pixels, np.arange(10))):
        (tmp_path / name).write_bytes(idx_bytes(array))
    with pytest.warns(UserWarning, match=r"loaded as fashion_mnist.*0\.129.*mnist"):
        elsedu.load("fashion_mnist", root=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        elsedu.load("mnist", root=tmp_path)


def test_missing_files_are_listed(tmp_path, monkeypatch):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"")  # the labels are missing
    fails([tmp_path, tmp_path / "mnist", "train-images-idx3-ubyte", "train-labels-idx1-ubyte"], "mnist",
          root=tmp_path, error=FileNotFoundError)  # fmt: skip
    fails([tmp_path, "cifar-10-batches-py", "cifar-10-python.tar.gz", "cifar-10-batches-bin"], "cifar10",
          root=tmp_path, error=FileNotFoundError)  # fmt: skip
    fails([tmp_path, "img_align_celeba.zip", "mmlab.ie.cuhk.edu.hk"], "celeba", root=tmp_path,
          error=FileNotFoundError)  # fmt: skip
    fails(["mmlab.ie.cuhk.edu.hk", "root=", "ELSEDU_DATA", "never downloaded"], "celeba", error=FileNotFoundError)
    fails(["root='/nowhere'", "does not exist"], "mnist", root="/nowhere", error=FileNotFoundError)
    monkeypatch.setenv("ELSEDU_DATA", "/nowhere")
    fails(["ELSEDU_DATA='/nowhere'"], "mnist", error=FileNotFoundError)
    assert len(elsedu.load("digits")) == 1797  # embedded sets do not care


def damaged_idx():
    images, labels = idx_bytes(random_bytes(20, 28, 28)), idx_bytes(np.arange(20) % 10)
    packed = gzip.compress(images)
    return [
        ("images", images[:-1], ["truncated", "(20, 28, 28)", "15,680", "15,679"]),
        ("images", images + b"x", ["too long"]),
        ("images", images[:9], ["truncated", "header"]),
        ("images", b"", ["not an idx file"]),
        ("images", b"GIF89a", ["not an idx file", "47 49 46 38"]),
        ("images", labels, ["must hold images", "(20,)"]),
        ("images", struct.pack(">HBB3I", 0, 8, 3, 0, 28, 28), ["0 images", "20 labels"]),
        ("images.gz", packed[:-100], ["truncated"]),
        ("images.gz", packed[:200] + b"\0" * 50 + packed[250:], ["truncated or not a gzip file"]),
        ("images.gz", images, ["not a gzip file"]),
        ("labels", idx_bytes(np.arange(19) % 10), ["20 images", "19 labels"]),
        ("labels", idx_bytes(np.arange(20)), ["label 19", "0..9"]),
        ("labels", images, ["must hold labels"]),
    ]


@pytest.mark.parametrize("which,content,words", damaged_idx())
def test_damaged_idx_files(tmp_path, which, content, words):
    write_idx(tmp_path, packed=False)
    image_file, label_file = (tmp_path / name for name in IDX_NAMES["train"])
    path = label_file if which == "labels" else image_file
    path.unlink()
    path = path.with_name(path.name + ".gz") if which.endswith("gz") else path
    path.write_bytes(content)
    fails([path, *words], "mnist", root=tmp_path)
    assert not cache_files()


# -- CIFAR-10 -----------------------------------------------------------------------------------------


def cifar_root(tmp_path, kind):
    if kind in ("py", "bin"):
        write_folder(tmp_path, cifar_files(kind))
    else:
        kind, name = {"py.tar.gz": ("py", "cifar-10-python.tar.gz"), "bin.tar.gz": ("bin", "cifar-10-binary.tar.gz"),
                      "batches-bin.tar.gz": ("bin", "cifar-10-batches-bin.tar.gz")}[kind]  # fmt: skip
        (tmp_path / name).write_bytes(tar_gz(cifar_files(kind)))
    return tmp_path


@pytest.mark.parametrize("kind", ["py", "py.tar.gz", "bin", "bin.tar.gz", "batches-bin.tar.gz"])
def test_cifar10_formats(tmp_path, kind):
    root, batches = cifar_root(tmp_path, kind), cifar_batches()
    for split, names in (("train", list(batches)[:5]), ("test", ["test_batch"])):
        images = elsedu.load("cifar10", split=split, root=root)
        assert images.shape == (3, 32, 32) and images.classes[9] == "truck"
        pixels = np.concatenate([batches[name][0] for name in names])
        assert (to_bytes(images.images).reshape(-1, 3072) == pixels).all()
        assert (images.labels.numpy() == np.concatenate([batches[name][1] for name in names])).all()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_cifar10_pickle_protocols(tmp_path, protocol):
    write_folder(tmp_path, cifar_files("py", protocol=protocol))
    assert len(elsedu.load("cifar10", root=tmp_path)) == 50


def test_cifar10_root_may_be_the_batches_folder_itself(tmp_path):
    write_folder(tmp_path, cifar_files("py"))
    assert len(elsedu.load("cifar10", root=tmp_path / "cifar-10-batches-py")) == 50
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    fails(["data_batch_1 .. 5"], "cifar10", root=tmp_path, error=FileNotFoundError)


def python2_batch():
    """A batch as Python 2 wrote the official ones: strings, not bytes, and numpy's old module names."""
    pixels = random_bytes(2, 3072)
    return (
        b"(dp0\nS'data'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntS'b'\ntRp4\n"
        b"(I1\n(I2\nI3072\ntcnumpy\ndtype\np5\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS"
        + repr(pixels.tobytes())[1:].encode("latin-1")
        + b"\ntbsS'labels'\n(lI3\naI7\nas."
    ), pixels


def test_cifar10_written_by_python_2(tmp_path):
    content, pixels = python2_batch()
    write_folder(tmp_path, cifar_files("py") | {"cifar-10-batches-py/test_batch": content})
    images = elsedu.load("cifar10", split="test", root=tmp_path)
    assert (to_bytes(images.images).reshape(2, 3072) == pixels).all() and images.labels.tolist() == [3, 7]


class Bomb:
    """A pickle that would write a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_malicious_pickles_run_nothing(tmp_path):
    target = tmp_path / "owned"
    pixels, labels = cifar_batches()["data_batch_2"]
    batches = {
        "mkdir": pickle.dumps({b"data": pixels, b"labels": labels.tolist(), b"x": Bomb(target)}),
        "eval": b'c__builtin__\neval\n(S\'__import__("os").mkdir("' + str(target).encode() + b"\")'\ntR.",
        "getattr": b"cbuiltins\ngetattr\n(cnumpy\nndarray\nS'tofile'\ntR.",
        "dotted": b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.",
        "codec": b"c_codecs\nencode\n(Vx\nVzip\ntR.",
    }
    for name, content in batches.items():
        write_folder(tmp_path, cifar_files("py") | {"cifar-10-batches-py/data_batch_2": content})
        fails(["data_batch_2", "not a CIFAR-10 batch"], "cifar10", root=tmp_path)
        with pytest.raises(ValueError, match=r"only plain containers|not allowed"):
            plain_pickle.loads(content)
        assert not target.exists(), name
    pickle.loads(batches["mkdir"])
    assert target.exists()  # the attack is real: Python's own unpickler runs it


OBJECTS = b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb"  # "a pointer of the file's own choice"


def forged_batches():
    """Pickles that make numpy read or call what the file points at, although they name numpy alone."""
    batch, labels = b"(dS'data'\n", b"sS'labels'\n(lI1\nas."
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    pointer = b"cnumpy\nndarray\n((I1\nt" + OBJECTS + b"S'AAAAAAAA'\ntR"
    state = b"(I1\n(I1\nI3072\nt" + OBJECTS + b"I00\nS'" + b"A" * 8 * 3072 + b"'\ntb"
    names = b"cnumpy\ndtype\n(cnumpy\ndtype\ntR"
    pixels = b"\x80\x02}X\x04\0\0\0data" + array + b"(K\x01(K\0M\0\x0ctcnumpy\ndtype\n(S'u1'\ntR\x89U\0tbs"
    pixels += b"X\x06\0\0\0labels"
    lists = b"".join(b"](" + (b"h" + bytes([i])) * 10 + b"eq" + bytes([i + 1, 48]) for i in range(29))
    bytes_type, empty = b"tcnumpy\ndtype\n(S'u1'\ntR", b"I00\nS''\ntb"
    deep = b"N" + b"\x85" * 400_000  # as a key: hashing it overflows the stack of CPython
    return {
        "a pointer as shape": batch + b"cnumpy\nndarray\n(" + pointer + b"tR" + labels,
        "a pointer as data": batch + pointer + labels,
        "objects in the state": batch + array + state + labels,
        "state of the class": batch + b"cnumpy\nndarray\n" + state + labels,
        "dtype of a dtype": batch + names + labels,
        "second state": batch + array + (b"(I1\n(I0\n" + bytes_type + empty) * 2 + labels,
        "deep key": b"\x80\x02}" + deep + b"Ns.",
        "strides": batch + b"cnumpy\nndarray\n((I1000000\nI3072\n" + bytes_type + b"S'A'\nI0\n(I0\nI0\nttR" + labels,
        "memo": b"\x80\x02}r\xff\xff\xff\x7f.",
        "more bytes than there are": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
        "shape times type": batch + array + b"(I1\n(I4294967296\nI4294967296\n" + bytes_type + empty + labels,
        "labels in themselves": pixels + b"]q\0h\0as.",
        "labels in lists": pixels + b"]q\x000" + lists + b"h\x1ds.",
    }  # fmt: skip


@FORK
@pytest.mark.parametrize("name", forged_batches())
def test_forged_pickles_are_only_data(tmp_path, name):
    write_folder(tmp_path, cifar_files("py") | {"cifar-10-batches-py/data_batch_2": forged_batches()[name]})
    outcome = confined(elsedu.load, "cifar10", root=tmp_path)
    assert outcome.kind == "ValueError" and "data_batch_2" in outcome.words, outcome
    assert outcome.grown < 200e6


def damaged_cifar():
    pixels, labels = cifar_batches()["data_batch_2"]
    whole = pickled(pixels, labels)
    binary = cifar_files("bin")["cifar-10-batches-bin/data_batch_2.bin"]
    return [
        ("py", whole[:-1000], ["truncated"]),
        ("py", b"", ["truncated"]),
        ("py", b"GIF89a", ["not a CIFAR-10 batch"]),
        ("py", pickle.dumps([1, 2]), ["expected a dict, got list"]),
        ("py", pickle.dumps({"fine_labels": [1]}), ["['fine_labels']"]),
        ("py", pickled(pixels[:, :3000], labels), ["(N, 3072)", "(10, 3000)"]),
        ("py", pickled(pixels.astype(np.float32), labels), ["uint8", "float32"]),
        ("py", pickled(pixels, labels[:-1]), ["10 images", "(9,)"]),
        ("py", pickled(pixels, labels + 5), ["5..14", "0..9"]),
        ("py", pickle.dumps({"data": "none", "labels": []}), ["uint8", "str"]),
        ("bin", binary[:-1], ["truncated", "30,729"]),
        ("bin", b"", ["truncated"]),
        ("bin", b"\xff" + binary[1:], ["255", "0..9"]),
    ]


@pytest.mark.parametrize("kind,content,words", damaged_cifar())
def test_damaged_cifar_batches(tmp_path, kind, content, words):
    name = "cifar-10-batches-py/data_batch_2" if kind == "py" else "cifar-10-batches-bin/data_batch_2.bin"
    write_folder(tmp_path, cifar_files(kind) | {name: content})
    fails([tmp_path / name, *words], "cifar10", root=tmp_path)
    assert not cache_files()


def test_damaged_cifar_archives(tmp_path):
    path = tmp_path / "cifar-10-python.tar.gz"
    files = cifar_files("py")
    whole = tar_gz(files)
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content in (whole[:middle], whole[:-4], flipped, b"not an archive", b""):
        path.write_bytes(content)
        fails([path, "damaged, truncated or not a .tar.gz"], "cifar10", root=tmp_path)
    files.pop("cifar-10-batches-py/data_batch_4")
    path.write_bytes(tar_gz(files))
    fails([path, "does not hold", "data_batch_4"], "cifar10", root=tmp_path)
    assert not cache_files()


# -- CelebA -------------------------------------------------------------------------------------------


def expected_face(content, size, crop):
    image = Image.open(io.BytesIO(content)).convert("RGB")
    if crop == "square":
        top = (image.height - image.width) // 2
        image = image.crop((0, top, image.width, top + image.width))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


@pytest.mark.parametrize("crop", ["square", "none"])
@pytest.mark.parametrize("packed", [True, False])
def test_celeba_folder_and_zip(tmp_path, crop, packed):
    files = celeba_files(5) | {"img_align_celeba/000006.jpg": face(9, 89, 109)}  # image sizes may differ
    files |= {"img_align_celeba/notes.txt": b"no image", "__MACOSX/img_align_celeba/._000001.jpg": b"junk"}
    if packed:
        (tmp_path / "img_align_celeba.zip").write_bytes(zipped(dict(reversed(files.items()))))
    else:
        write_folder(tmp_path, files)
    images = elsedu.load("celeba", root=tmp_path, crop=crop)
    assert images.shape == (3, 32, 32) and images.labels is None  # 32 is celeba's own size here
    for image, (name, content) in zip(to_bytes(images.images), files.items(), strict=False):
        assert (image == expected_face(content, 32, crop)).all(), name
    assert len(images) == 6
    assert elsedu.load("celeba", size=20, root=tmp_path, crop=crop).shape == (3, 20, 20)


def test_celeba_limit_decodes_only_what_it_draws(tmp_path):
    files = celeba_files(10)
    write_folder(tmp_path, files)
    whole = elsedu.load("celeba", root=tmp_path)
    from elsedu.data.loading import subset

    chosen = subset(10, 4, seed=1)
    left_out = next(i for i in range(10) if i not in chosen)
    (tmp_path / f"img_align_celeba/{left_out + 1:06d}.jpg").write_bytes(b"not decoded, so not noticed")
    part = elsedu.load("celeba", root=tmp_path, limit=4, seed=1)
    assert torch.equal(part.images, whole.images[chosen])
    fails(["limit=11", "10"], "celeba", root=tmp_path, limit=11)


def test_celeba_found_in_doubled_folder_and_named_directly(tmp_path):
    write_folder(tmp_path / "img_align_celeba", celeba_files(2))
    assert len(elsedu.load("celeba", root=tmp_path)) == 2
    archive = tmp_path / "elsewhere" / "img_align_celeba.zip"
    archive.parent.mkdir()
    archive.write_bytes(zipped(celeba_files(3)))
    assert len(elsedu.load("celeba", root=archive)) == 3


def test_damaged_celeba(tmp_path):
    files = celeba_files(3)
    name = "img_align_celeba/000002.jpg"
    for content in (files[name][:300], b"text", b""):
        write_folder(tmp_path, files | {name: content})
        fails([name, "cannot be decoded"], "celeba", root=tmp_path)
    packed = tmp_path / "packed"
    packed.mkdir()
    whole = zipped(files)
    (packed / "img_align_celeba.zip").write_bytes(whole[: len(whole) // 2])
    fails(["img_align_celeba.zip", "not a zip file"], "celeba", root=packed)
    middle = whole.index(files[name]) + 400
    (packed / "img_align_celeba.zip").write_bytes(whole[:middle] + b"\xff\xff\xff" + whole[middle + 3 :])
    fails([name, "cannot be decoded"], "celeba", root=packed)  # the zip's checksum
    (packed / "img_align_celeba.zip").write_bytes(zipped({"readme.txt": b""}))
    fails(["holds no images"], "celeba", root=packed)
    assert not cache_files()


# -- the decoded cache --------------------------------------------------------------------------------


def count_decodes(monkeypatch):
    calls = []
    real = cache._write
    monkeypatch.setattr(cache, "_write", lambda *a: (calls.append(a[0]), real(*a)))
    return calls


def test_decoded_once_and_again_when_the_files_change(tmp_path, monkeypatch):
    decodes = count_decodes(monkeypatch)
    write_idx(tmp_path, packed=False, seed=1)
    first, again = (elsedu.load("mnist", size=16, root=tmp_path) for _ in range(2))
    assert torch.equal(first.images, again.images) and torch.equal(first.labels, again.labels)
    assert len(decodes) == 1 and len(cache_files()) == 1
    elsedu.load("mnist", size=20, root=tmp_path)
    assert len(decodes) == 2 and len(cache_files()) == 2
    before = (tmp_path / IDX_NAMES["train"][0]).stat()
    write_idx(tmp_path, packed=False, seed=2)  # same names, same sizes
    os.utime(tmp_path / IDX_NAMES["train"][0], ns=(before.st_atime_ns, before.st_mtime_ns))  # and same time
    changed = elsedu.load("mnist", size=16, root=tmp_path)
    assert changed.hash != first.hash and len(decodes) == 3
    assert len(cache_files()) == 2  # the outdated file was replaced
    other = tmp_path / "copy"
    write_idx(other, packed=False, seed=1)
    assert elsedu.load("mnist", size=16, root=other).hash == first.hash and len(decodes) == 4


def test_celeba_cache_follows_every_image(tmp_path, monkeypatch):
    decodes = count_decodes(monkeypatch)
    write_folder(tmp_path, celeba_files(4))
    first = elsedu.load("celeba", root=tmp_path)
    assert elsedu.load("celeba", root=tmp_path).hash == first.hash and len(decodes) == 1
    write_folder(tmp_path, {"img_align_celeba/000003.jpg": face(20)})
    assert elsedu.load("celeba", root=tmp_path).hash != first.hash and len(decodes) == 2
    (tmp_path / "img_align_celeba/000001.jpg").unlink()
    assert len(elsedu.load("celeba", root=tmp_path)) == 3


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "other"])
def test_damaged_decoded_cache_is_rebuilt(tmp_path, monkeypatch, damage):
    write_idx(tmp_path)
    good = elsedu.load("mnist", root=tmp_path)
    (name,) = cache_files()
    path = cache.cache_folder() / "decoded" / name
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes({
        "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "truncate": content[:middle],
        "empty": b"",
        "other": zipped({"key.npy": b"no array"}),
    }[damage])  # fmt: skip
    decodes = count_decodes(monkeypatch)
    assert elsedu.load("mnist", root=tmp_path).hash == good.hash and len(decodes) == 1
    assert zipfile.ZipFile(path).testzip() is None  # whole again
    assert elsedu.load("mnist", root=tmp_path).hash == good.hash and len(decodes) == 1


def test_unwritable_decoded_cache_costs_a_warning(tmp_path, monkeypatch):
    write_idx(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path / "file" / "below"))  # not even root can write there
    with pytest.warns(UserWarning, match=r"file.below.*ELSEDU_CACHE"):
        assert len(elsedu.load("mnist", root=tmp_path)) == 20


def test_full_disk_leaves_no_half_written_cache(tmp_path, monkeypatch):
    write_idx(tmp_path)

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.np, "savez", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert len(elsedu.load("mnist", root=tmp_path)) == 20
    assert not cache_files()


# -- what is on this machine --------------------------------------------------------------------------


def test_here_looks_without_downloading(tmp_path, monkeypatch):
    assert elsedu.data.here("digits") and not elsedu.data.here("mnist") and not elsedu.data.here("celeba")
    write_idx(tmp_path / "mnist", count=12)
    monkeypatch.setenv("ELSEDU_DATA", str(tmp_path))
    assert elsedu.data.here("mnist") and not elsedu.data.here("mnist", "test") and not elsedu.data.here("cifar10")
    monkeypatch.setenv("ELSEDU_DATA", str(tmp_path / "nowhere"))
    assert not elsedu.data.here("mnist")
    with pytest.raises(ValueError, match="cifar100"):
        elsedu.data.here("cifar100")


def test_a_chapter_takes_the_real_set_or_says_what_it_takes(tmp_path, monkeypatch, capsys):
    from elsedu.teaching.notebook import real_or

    assert real_or("mnist", "digits", size=8, limit_instead=30).name == "digits"
    said = capsys.readouterr().out
    assert "digits, 30 of them" in said and "elsedu data fetch mnist" in said
    write_idx(tmp_path / "mnist", count=12)
    monkeypatch.setenv("ELSEDU_DATA", str(tmp_path))
    assert real_or("mnist", "digits", size=8, limit=10).name == "mnist"
    assert "mnist, 10 of them" in capsys.readouterr().out
    assert "ELSEDU_DATA" not in capsys.readouterr().out
