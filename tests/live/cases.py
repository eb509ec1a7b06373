"""Random questions to the machines of the page, with Python's answers."""

import base64
import functools

import numpy as np
import torch

import elsedu
from elsedu.data.pixels import to_bytes

TORUS = "circular"


def _some(images, count):
    return elsedu.ImageSet(images.images[:count], labels=None if images.labels is None else images.labels[:count])


SETS = ("digits", "mnist16", "faces25", "photos32", "rectangle", "single")
SMALL = {"digits": 60, "mnist16": 12, "faces25": 3, "photos32": 2}


@functools.cache
def image_set(name):
    """An ImageSet: embedded data, and awkward shapes (not square; a single image); "small ..." holds fewer images."""
    if name.startswith("small "):
        name = name.removeprefix("small ")
        return _some(image_set(name), SMALL[name]) if name in SMALL else image_set(name)
    if name == "digits":
        return elsedu.load("digits")
    if name == "mnist16":
        return _some(elsedu.load("mnist5k", size=16), 300)
    if name == "faces25":
        return _some(elsedu.load("faces25"), 25)
    if name == "photos32":
        return _some(elsedu.load("photos32"), 24)
    generator = torch.Generator().manual_seed(0)
    shape, classes = {"rectangle": ((23, 3, 7, 9), 3), "single": ((1, 1, 6, 5), 1)}[name]
    levels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, classes, shape[:1], generator=generator)
    return elsedu.ImageSet(elsedu.data.pixels.to_values(levels.numpy()), labels=labels)


def machine(data, case):
    """The Python machine of a case."""
    name, window, border = case["machine"], case["window"], case["border"]
    if name == "is":
        return elsedu.IdealScore(data)
    if name == "es":
        return elsedu.EquivariantScore(data)
    kind = elsedu.LocalScore if name == "ls" else elsedu.EquivariantLocalScore
    return kind(data, window, border=border)


def random_case(seed, small=False):
    """Case `seed`: a dict for the page, with the noisy image x (C, H, W) as an array; `small`: of few images."""
    random = np.random.default_rng(seed)
    name = small * "small " + SETS[random.integers(len(SETS))]
    data = image_set(name)
    channels, height, width = data.images.shape[1:]
    border = ("zero", TORUS)[random.integers(2)]
    largest = min(height, width) if border == TORUS else min(21, 2 * max(height, width) - 1)
    label = None
    if data.labels is not None and random.random() < 0.5:
        label = int(data.labels[random.integers(len(data))])
    t = float(random.uniform(0.02, 1))
    schedule = elsedu.schedule.cosine()
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    x = random.standard_normal((channels, height, width)) * sigma
    if random.random() < 0.8:  # else noise that no image is behind
        x += alpha * data.images[random.integers(len(data))].numpy()
    return {
        "set": name,
        "machine": ("is", "es", "ls", "els", "els")[random.integers(5)],
        "window": 1 + 2 * int(random.integers((largest + 1) // 2)),
        "border": border,
        "label": label,
        "t": t,
        "alpha": alpha,
        "sigma": sigma,
        "x": x.astype(np.float32),
    }


def answer(case):
    """Python's Posterior for a case."""
    data = image_set(case["set"])
    return machine(data, case).posterior(torch.from_numpy(case["x"])[None], case["t"], case["label"])


def distance_at(case, source):
    """Squared distances (H, W), float64, between the windows of x and the patches at `source` (H, W, 3)."""
    images, x = image_set(case["set"]).images.double().numpy(), case["x"].astype(np.float64)
    height, width = x.shape[1:]
    wraps = case["border"] == TORUS or case["machine"] in ("is", "es")
    result = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            image, i, j = source[row, column]
            if case["machine"] in ("is", "es"):
                rows, columns = np.meshgrid(np.arange(height) - row, np.arange(width) - column, indexing="ij")
            else:
                reach = np.arange(case["window"]) - case["window"] // 2
                rows, columns = np.meshgrid(reach, reach, indexing="ij")
            inside = (row + rows >= 0) & (row + rows < height) & (column + columns >= 0) & (column + columns < width)
            rows, columns = (rows.ravel(), columns.ravel()) if wraps else (rows[inside], columns[inside])
            own = x[:, (row + rows) % height, (column + columns) % width]
            theirs = images[image][:, (i + rows) % height, (j + columns) % width]
            result[row, column] = ((own - case["alpha"] * theirs) ** 2).sum()
    return result


def packed(array):
    """Base64 of an array's bytes."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def unpacked(text, dtype, shape):
    """The array of a base64 text."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


def packed_set(name):
    """An image set for the page (tests/live/driver.js)."""
    data = image_set(name)
    count, channels, height, width = data.images.shape
    return {
        "images": packed(to_bytes(data.images)),
        "count": count,
        "channels": channels,
        "height": height,
        "width": width,
        "labels": None if data.labels is None else data.labels.tolist(),
    }


def packed_case(case):
    return {**case, "x": packed(case["x"])}
