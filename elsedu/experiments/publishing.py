"""What of a finished experiment goes into the package, where the book reads it (chapter "Prediction").

Result, pictures and windows always; the weights with their card where their size and their data allow it.
Nothing is written before everything has been looked at, so that the package never holds the result of one
network beside the weights of another.
"""

from __future__ import annotations

from pathlib import Path

from elsedu._common import records
from elsedu._common.files import SHIPPED, write_bytes, write_text
from elsedu.experiments.catalogue import experiment

LIMIT = 5 * 2**20       # bytes of a weights file in the package
NOT_SHARED = ("celeba",)  # images for non-commercial research only: numbers and windows, no weights


def publish(name, tier=None, output="reproduced", *, weights=True, into=None, entry=None, **changes):
    """Copy a finished experiment's result, windows and own weights into the package; the files written.

    weights : False leaves the weights out, for networks of more than 5 MB; CelebA's are never copied
    into : another folder instead of the package's
    entry : the Experiment itself, instead of the one of that name and tier
    changes : as they were given to `run`

    FileNotFoundError if the experiment is not finished. ValueError if result, windows and weights are not of
    one network, or if the weights are too large even in half precision. Nothing is written then.
    """
    entry = (entry or experiment(name, tier)).changed(**changes)
    output, into = Path(output), Path(into or SHIPPED)
    result = output / f"{entry.stem}.json"
    known = _read(result, entry)["provenance"]
    contents = {into / "results" / result.name: result.read_bytes()}
    if result.with_suffix(".npz").exists():
        contents[into / "results" / f"{entry.stem}.npz"] = result.with_suffix(".npz").read_bytes()
    for machine in ("els", "ls"):
        path = output / entry.stem / f"{entry.stem}.{machine}.json"
        if _read(path, entry)["windows"] != known["scales"][machine]:
            raise ValueError(f"{path} holds other windows than {result} was computed with: nothing was published")
        contents[into / "scales" / path.name] = path.read_bytes()
    if weights and entry.recipe.data not in NOT_SHARED:
        for recipe, of in ((entry.recipe, known["network"]), (entry.second, known["second"])):
            if recipe is not None and of is not None:
                contents |= _weights(output / entry.stem / "weights" / f"{recipe.name}.safetensors", of,
                                     into / "weights")
    for path, content in contents.items():
        (write_text if isinstance(content, str) else write_bytes)(path, content)
    return list(contents)


def _read(path, entry):
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}: run `elsedu reproduce {entry.name}` first")
    return records.read_json(path)


def _weights(path, of, folder):
    """{target: content} of a weights file and its card; {} if the network was not trained in this run."""
    from elsedu import networks
    from elsedu.networks import cards
    from elsedu.networks import storage as files

    if not path.exists():
        return {}
    network = networks.load(path)
    measured = network.provenance.get("stored", {}).get("weights_hash") or records.weights_hash(network)
    if measured != of["weights_hash"]:
        raise ValueError(f"{path} is not the network that the result was computed with: nothing was published")
    try:
        content, network = files.compact(network, path.read_bytes(), LIMIT)
    except ValueError as error:
        raise ValueError(f"{path}: {error}. Nothing was published; without weights: publish(..., weights=False), "
                         "or `elsedu reproduce ... --publish --no-weights`") from error
    return {folder / path.name: content, folder / f"{path.stem}.md": cards.card(network)}
