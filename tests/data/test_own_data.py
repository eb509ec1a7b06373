"""Your own images: folders of pictures of all kinds, files of arrays, data sets of other libraries."""

import io
import os
import warnings

import numpy as np
import pytest
import torch
from data_files import face, random_bytes, write_folder
from PIL import Image

import elsedu
from elsedu.data import cache, to_bytes
from elsedu.data.formats import folder as pictures


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path_factory.mktemp("cache")))


def encoded(array, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **options)
    return stream.getvalue()


def silently(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return elsedu.load(*arguments, **options)


def said(*arguments, **options):
    with pytest.warns(UserWarning) as caught:
        images = elsedu.load(*arguments, **options)
    return images, " ".join(str(one.message) for one in caught)


# -- folders ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix,kind", [("png", "PNG"), ("bmp", "BMP"), ("webp", "WEBP"), ("gif", "GIF")])
def test_small_pictures_are_taken_pixel_by_pixel(tmp_path, suffix, kind):
    pixels = [random_bytes(9, 12, seed=k) for k in range(3)]  # gray, not square: 12 wide, 9 high
    lossless = {"lossless": True} if kind == "WEBP" else {}
    write_folder(tmp_path / "mine", {f"{k}.{suffix}": encoded(p, kind, **lossless) for k, p in enumerate(pixels)})
    images = silently(tmp_path / "mine")
    assert images.name == "mine" and images.labels is None and images.shape[1:] == (9, 12)
    assert (to_bytes(images.images)[:, 0] == np.stack(pixels)).all()
    assert len(silently(str(tmp_path / "mine"))) == 3  # a path as text


def test_subfolders_are_classes(tmp_path):
    files = {f"{c}/deep/{k}.png": encoded(random_bytes(8, 8, 3, seed=k)) for c in ("dog", "cat") for k in range(3)}
    write_folder(tmp_path, files | {".hidden/x.png": b"no picture", "__MACOSX/dog/x.png": b"no picture"})
    images = silently(tmp_path)
    assert images.classes == ("cat", "dog") and images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    part = silently(tmp_path, limit=4, seed=1)
    assert torch.equal(part.images, images.images[elsedu.data.loading.subset(6, 4, 1)])
    write_folder(tmp_path, {"loose.png": encoded(random_bytes(8, 8))})
    with pytest.raises(ValueError, match=r"1 pictures beside its subfolders \(as loose.png\) and 6 in them"):
        elsedu.load(tmp_path)


def test_sizes_colours_and_alpha_are_handled_and_said(tmp_path):
    clear = np.dstack([np.zeros((40, 40, 3), np.uint8), np.full((40, 40), 0, np.uint8)])  # black, invisible
    files = {
        "a.jpg": face(1, 80, 60), "b.png": encoded(clear), "c.png": encoded(random_bytes(30, 30)),
        "d.png": encoded(random_bytes(20, 20).astype(np.uint16) * 257), "notes.txt": b"text",
    }  # fmt: skip
    write_folder(tmp_path, files)
    images, words = said(tmp_path)
    assert images.shape == (3, 32, 32)
    for expected in ("20x20 to 80x60", "centres cut out", "32x32", "size= chooses", "1 with transparent parts, laid on "
                     "white", "3 of 4 are gray", "1 other file left out"):  # fmt: skip
        assert expected in words, words
    assert (images.images[1] == 1).all()  # transparent: white, not the black beneath
    expected = Image.open(io.BytesIO(files["a.jpg"])).convert("RGB").crop((10, 0, 70, 60))
    expected = np.asarray(expected.resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert (to_bytes(images.images[0]) == expected).all()
    squashed, words = said(tmp_path, size=16, crop="none")
    assert squashed.shape == (3, 16, 16) and "squashed" in words and "size=" not in words
    _, again = said(tmp_path)  # from the cache it is said as well
    assert "laid on white" in again and "1 other file" in again


def test_turned_and_animated_pictures(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    upright = np.zeros((8, 8, 3), np.uint8)
    upright[:, :4] = 255
    frames = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (10, 200)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    write_folder(tmp_path, {"a.png": encoded(upright, exif=exif), "b.gif": stream.getvalue()})
    images, words = said(tmp_path)
    assert "1 turned upright" in words and "1 animated" in words
    assert (images.images[0, :, :4] == 1).all() and (images.images[0, :, 4:] == -1).all()
    assert (to_bytes(images.images[1]) == 10).all()


def test_corrupt_pictures_are_named_and_skipped_only_on_request(tmp_path):
    files = {f"{c}/{k}.png": encoded(random_bytes(8, 8, seed=k)) for c in "xy" for k in range(3)}
    files["y/0.png"] = files["y/0.png"][:60]
    files["x/1.png"] = b"no picture"
    write_folder(tmp_path, files)
    with pytest.raises(ValueError, match=r"x/1\.png cannot be decoded.*y/0\.png cannot be decoded.*skip_corrupt=True"):
        elsedu.load(tmp_path)
    images, words = said(tmp_path, skip_corrupt=True)
    assert images.labels.tolist() == [0, 0, 1, 1] and "2 left out that cannot be decoded" in words
    assert (to_bytes(images.images[1, 0]) == random_bytes(8, 8, seed=2)).all()
    with pytest.raises(ValueError, match="skip_corrupt is for your own folder"):
        elsedu.load("digits", skip_corrupt=True)
    for name in files:
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"cannot be decoded.*\(and 1 more\)"):
        elsedu.load(tmp_path, skip_corrupt=True)


def test_decoded_once_by_content(tmp_path, monkeypatch):
    calls = []
    real = pictures.read_folder
    monkeypatch.setattr(pictures, "read_folder", lambda *a: calls.append(a) or real(*a))
    files = {f"{k}.png": encoded(random_bytes(8, 8, seed=k)) for k in range(3)}
    write_folder(tmp_path / "one", files)
    first = silently(tmp_path / "one")
    assert silently(tmp_path / "one").hash == first.hash and len(calls) == 1
    write_folder(tmp_path / "two", files)  # a copy elsewhere, with other times
    os.utime(tmp_path / "two" / "0.png", (1, 1))
    assert silently(tmp_path / "two").hash == first.hash and len(calls) == 1
    write_folder(tmp_path / "two", {"0.png": encoded(random_bytes(8, 8, seed=9))})
    os.utime(tmp_path / "two" / "0.png", (1, 1))
    assert silently(tmp_path / "two").hash != first.hash and len(calls) == 2
    assert len(list((cache.cache_folder() / "decoded").iterdir())) == 2


def test_paths_that_hold_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no .*nothing: expected a folder of pictures"):
        elsedu.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="expected a folder"):
        elsedu.load("./no such folder")
    with pytest.raises(ValueError, match="holds no pictures"):
        elsedu.load(tmp_path)
    with pytest.raises(ValueError, match=r"unknown data set .digit.\. Did you mean 'digits'"):
        elsedu.load("digit")
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(ValueError, match=r"a\.csv is neither a folder"):
        elsedu.load(tmp_path / "a.csv")
    with pytest.raises(TypeError, match="cannot load images from int"):
        elsedu.load(3)


# -- arrays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 8, 8, 3), (4, 3, 8, 8), (4, 8, 8, 1)])
def test_arrays_in_every_layout_and_file(tmp_path, shape):
    pixels, labels = random_bytes(*shape), np.array([1, 0, 2, 1])
    wanted = pixels[:, None] if pixels.ndim == 3 else pixels if shape[1] == 3 else pixels.transpose(0, 3, 1, 2)
    np.save(tmp_path / "a.npy", pixels)
    np.savez_compressed(tmp_path / "a.npz", y_train=labels, x_train=pixels)
    torch.save({"data": torch.from_numpy(pixels), "targets": torch.from_numpy(labels)}, tmp_path / "a.pt")
    sources = [pixels, torch.from_numpy(pixels), (pixels, labels), tmp_path / "a.npy", tmp_path / "a.npz",
               str(tmp_path / "a.pt")]  # fmt: skip
    for source in sources:
        images = silently(source)
        assert (to_bytes(images.images) == wanted).all()
        assert images.labels is None or images.labels.tolist() == labels.tolist()
    assert silently(sources[-1]).labels is not None and silently(sources[-2]).labels is not None
    assert said(pixels, size=4)[0].shape[1:] == (4, 4)


def test_ranges_of_numbers():
    values = torch.rand(3, 1, 6, 6)
    images, words = said(values)
    assert torch.allclose(images.images, 2 * values - 1) and "[0, 1] are mapped" in words
    assert torch.equal(silently(2 * values - 1).images, 2 * values - 1)
    assert (to_bytes(silently(values.numpy() > 0.5).images) == 255 * (values.numpy() > 0.5)).all()
    assert (to_bytes(silently(np.full((2, 4, 4), 7, np.int64)).images) == 7).all()
    for bad in (values * 255, values - 3, np.full((2, 4, 4), 256), np.zeros((2, 4, 4), complex)):
        with pytest.raises(ValueError, match=r"expected bytes|must be numbers"):
            elsedu.load(bad)
    clear = np.zeros((2, 5, 5, 4), np.uint8)
    images, words = said(clear)
    assert (images.images == 1).all() and "laid on white" in words
    for shape in ((2, 5), (2, 5, 5, 7), (0, 5, 5)):
        with pytest.raises(ValueError, match="images must have"):
            elsedu.load(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="2 images need as many"):
        elsedu.load((np.zeros((2, 5, 5), np.uint8), np.zeros(3, int)))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_files_of_arrays_run_nothing(tmp_path):
    for new in (True, False):
        path = tmp_path / f"a{new}.pt"
        torch.save({"images": torch.zeros(2, 1, 4, 4), "x": Bomb(tmp_path / "owned")}, path,
                   _use_new_zipfile_serialization=new)  # fmt: skip
        with pytest.raises(ValueError, match=r"\.pt is damaged or holds more than tensors"):
            elsedu.load(path)
        assert not (tmp_path / "owned").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "owned").exists()  # the attack is real
    torch.save(torch.zeros(1).expand(10**6, 1, 100, 100), tmp_path / "wide.pt")  # one number that claims to be many
    with pytest.raises(ValueError, match="promises more values than are stored"):
        elsedu.load(tmp_path / "wide.pt")
    torch.save(3, tmp_path / "three.pt")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    for name, words in (("three.pt", "holds a int"), ("other.npz", r"it holds weights \(3,\)")):
        with pytest.raises(ValueError, match=words):
            elsedu.load(tmp_path / name)


# -- data sets of other libraries ---------------------------------------------------------------------


class Pairs:
    """In the manner of torchvision: (picture, label)."""

    classes = ["no", "yes"]

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, k):
        if not 0 <= k < len(self.images):
            raise IndexError(k)
        return self.images[k], k % 2


class Named:
    names = ["cat", "dog"]


class Rows(Pairs):
    """In the manner of Hugging Face: dictionaries, and features that name the classes."""

    classes = property(lambda self: (_ for _ in ()).throw(AttributeError))
    features = {"img": None, "label": Named()}

    def __getitem__(self, k):
        image, label = super().__getitem__(int(k))
        return {"img": image, "label": label}


@pytest.mark.parametrize("kind", [Pairs, Rows])
def test_data_sets_are_taken_as_they_are(kind):
    pixels = random_bytes(5, 8, 8, 3)
    forms = {
        "pictures": [Image.fromarray(p) for p in pixels],
        "arrays": list(pixels),
        "tensors": [2 * torch.from_numpy(p).float().permute(2, 0, 1) / 255 - 1 for p in pixels],
    }
    for name, images in forms.items():
        found = silently(kind(images))
        assert (to_bytes(found.images) == pixels.transpose(0, 3, 1, 2)).all(), name
        assert found.labels.tolist() == [0, 1, 0, 1, 0] and found.name == kind.__name__
        assert found.classes == (("no", "yes") if kind is Pairs else ("cat", "dog"))
    assert len(silently(kind(forms["pictures"]), limit=2)) == 2
    assert silently({"train": kind(forms["pictures"])}).hash == silently(kind(forms["pictures"])).hash
    with pytest.raises(ValueError, match="no split 'test', only train"):
        elsedu.load({"train": kind(forms["pictures"])}, split="test")
    with pytest.raises(ValueError, match=r"item 1 has shape \(7, 8, 3\)"):
        elsedu.load(kind([pixels[0], pixels[1][:7]]))
    small, words = said(kind([Image.fromarray(random_bytes(90, 70, 3))]))
    assert small.shape == (3, 32, 32) and "70x90" in words
    with pytest.raises(ValueError, match="holds no images"):
        elsedu.load(kind([]))


def test_an_image_set_again():
    digits = elsedu.load("digits", limit=20)
    assert silently(digits) is digits and silently(digits, size=4).shape == (1, 4, 4)
    assert len(silently(digits, limit=5)) == 5


def test_own_data_through_machines(tmp_path):
    write_folder(tmp_path, {f"{c}/{k}.png": encoded(random_bytes(8, 8, 3, seed=k)) for c in "ab" for k in range(4)})
    images = elsedu.load(tmp_path)
    noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for machine in (elsedu.IdealScore(images), elsedu.LocalScore(images, 3), elsedu.EquivariantLocalScore(images, 3)):
        assert torch.isfinite(elsedu.sample(machine, noise, steps=3, label=torch.tensor([0, 1]))).all()
