"""Data sets and results in pieces of at most 16 MiB, for a GPU that only small files reach.

    python scripts/full_scale.py pack mnist cifar10 --out pieces       at home: the images of a tier
    python scripts/full_scale.py unpack pieces --into data             there: official files again
    ELSEDU_DATA=data elsedu reproduce --all --tier full --minutes 50   there: as far as the time goes
    python scripts/full_scale.py bundle reproduced --out home          there: what was made, finished or not
    python scripts/full_scale.py collect home --into reproduced        at home, or on the next machine
    elsedu reproduce --all --tier full --publish                       at home: finished rows into the package

Where files of any size travel, as to a notebook in the cloud, none of this is needed: the third line is enough.
Images travel as .npz, results as a .zip that is cut into pieces; any of them may be sent twice or in any order.
"""

import argparse
import io
import re
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

LIMIT = 16 * 2**20
HEADERS = 64 * 2**10  # room for what .npz adds to the arrays
PIECE = re.compile(r"(.+)\.zip\.(\d{3})-of-(\d{3})")


# -- image sets --------------------------------------------------------------------------------------------


def pack(names, out, tier="full"):
    """Write the training images of some sets as .npz pieces.

    Args:
        names: Image sets that experiments of the tier are trained on.
        out: Folder of the pieces.
        tier: "full" or "laptop".

    Returns:
        The files written.
    """
    from elsedu.experiments import experiment
    from elsedu.experiments import names as experiments

    entries = [experiment(name, tier) for name in experiments(tier)]
    recipes = {entry.recipe.data: entry.recipe for entry in entries}
    written = []
    for name in names:
        if name not in recipes:
            raise ValueError(f"no experiment of the tier {tier} uses {name!r}; they use {', '.join(recipes)}")
        pixels, labels, identity = _images(recipes[name])
        per_piece = max(1, (LIMIT - HEADERS) // (pixels[0].nbytes + 1))
        starts = range(0, len(pixels), per_piece)
        for k, start in enumerate(starts):
            part = slice(start, start + per_piece)
            path = Path(out) / f"{name}.{k + 1:03d}-of-{len(starts):03d}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(path, pixels=pixels[part], labels=labels[part], hash=identity)
            written.append(path)
    return written


def _images(recipe):
    """Pixels (N, C, H, W) and labels (N,) as bytes, and the hash of the set that the recipe makes of them."""
    from elsedu.data import load, to_bytes
    from elsedu.data.loading import subset

    wanted = recipe.load_data()
    if recipe.data != "celeba":
        whole = load(recipe.data)
        return to_bytes(whole.images), whole.labels.numpy().astype(np.uint8), wanted.hash
    # Only the faces that are used, already small, at the places where the same draw will look for them.
    pixels, options = np.empty((len(wanted), *wanted.shape), np.uint8), recipe.data_options
    places = subset(len(wanted), len(wanted), options.get("seed", 0)) if "limit" in options else slice(None)
    pixels[places] = to_bytes(wanted.images)
    return pixels, np.zeros(len(pixels), np.uint8), wanted.hash


def unpack(folder, into):
    """Write the official files of every set whose pieces are all there.

    Returns:
        {set: hash of the images that `pack` saw}.

    Raises:
        ValueError: If pieces of a set are missing.
    """
    found = {}
    for path in sorted(Path(folder).glob("*.npz")):
        name, number, count = re.fullmatch(r"(.+)\.(\d{3})-of-(\d{3})\.npz", path.name).groups()
        found.setdefault((name, int(count)), {})[int(number)] = path
    if not found:
        raise ValueError(f"there are no pieces of image sets in {folder}")
    hashes = {}
    for (name, count), paths in found.items():
        _complete(name, paths, count)
        parts = [np.load(paths[k]) for k in range(1, count + 1)]
        pixels, labels = (np.concatenate([part[key] for part in parts]) for key in ("pixels", "labels"))
        write = {"cifar10": _write_cifar, "celeba": _write_faces}.get(name, _write_idx)
        write(Path(into) / name, pixels, labels)
        hashes[name] = str(parts[0]["hash"])
    return hashes


def _complete(name, paths, count):
    missing = sorted(set(range(1, count + 1)) - set(paths))
    if missing:
        raise ValueError(f"{name}: pieces {', '.join(map(str, missing))} of {count} are missing")


def _write_idx(place, pixels, labels):
    place.mkdir(parents=True, exist_ok=True)
    for name, array in (("train-images-idx3-ubyte", pixels[:, 0]), ("train-labels-idx1-ubyte", labels)):
        head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (place / name).write_bytes(head + np.ascontiguousarray(array).tobytes())


def _write_cifar(place, pixels, labels):
    folder = place / "cifar-10-batches-bin"
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.concatenate([labels[:, None], pixels.reshape(len(pixels), -1)], 1)
    for k, part in enumerate(np.array_split(rows, 5), 1):
        (folder / f"data_batch_{k}.bin").write_bytes(part.tobytes())


def _write_faces(place, pixels, labels):
    folder = place / "img_align_celeba"
    folder.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(pixels.transpose(0, 2, 3, 1), 1):
        Image.fromarray(image).save(folder / f"{k:06d}.png", "PNG", compress_level=1)


# -- results -----------------------------------------------------------------------------------------------


def bundle(folder, out):
    """Cut a folder of results, with everything that a run needs to go on, into pieces.

    Returns:
        The files written.
    """
    folder, stream = Path(folder), io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                archive.write(path, path.relative_to(folder))
    content = stream.getvalue()
    parts = [content[start : start + LIMIT] for start in range(0, len(content), LIMIT)]
    Path(out).mkdir(parents=True, exist_ok=True)
    for path in Path(out).glob(f"{folder.name}.zip.*"):
        path.unlink()  # of an earlier bundle, which may have had more pieces
    paths = [Path(out) / f"{folder.name}.zip.{k:03d}-of-{len(parts):03d}" for k in range(1, len(parts) + 1)]
    for path, part in zip(paths, parts):
        path.write_bytes(part)
    return paths


def collect(folder, into):
    """Put the pieces of `bundle` together again.

    Returns:
        Names of the files written under `into`.

    Raises:
        ValueError: If pieces are missing or damaged; nothing is written then.
    """
    found = {}
    for path in sorted(Path(folder).iterdir()):
        match = PIECE.fullmatch(path.name)
        if match:
            found.setdefault((match[1], int(match[3])), {})[int(match[2])] = path
    if len(found) != 1:
        raise ValueError(f"expected the pieces of one bundle in {folder}, found {len(found)}")
    ((name, count), paths), names = found.popitem(), []
    _complete(name, paths, count)
    try:
        with zipfile.ZipFile(io.BytesIO(b"".join(paths[k].read_bytes() for k in range(1, count + 1)))) as archive:
            damaged = archive.testzip()
            if damaged:
                raise ValueError(f"{damaged} in the bundle {name} is damaged: send its pieces again")
            names = archive.namelist()
            archive.extractall(into)  # names that lead out of the folder are made harmless by zipfile
    except zipfile.BadZipFile as error:
        raise ValueError(f"the bundle {name} is damaged ({error}): send its pieces again") from error
    return names


def main(arguments=None):
    """Run one command; the exit status."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True)
    one = commands.add_parser("pack", help="image sets to pieces")
    one.add_argument("names", nargs="+")
    one.add_argument("--tier", default="full", choices=("full", "laptop"))
    one.add_argument("--out", type=Path, default=Path("pieces"))
    for name, what, key, default in (
        ("unpack", "pieces to official files", "into", "data"),
        ("bundle", "results to pieces", "out", "home"),
        ("collect", "pieces to results", "into", "reproduced"),
    ):
        one = commands.add_parser(name, help=what)
        one.add_argument("folder", type=Path)
        one.add_argument(f"--{key}", type=Path, default=Path(default))
    given = vars(top.parse_args(arguments))
    try:
        for line in globals()[given.pop("command")](**given):
            print(line)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
