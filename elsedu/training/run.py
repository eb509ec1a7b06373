"""`elsedu train <name>`: run a recipe, and leave the weights and their card."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from elsedu._common import records
from elsedu._common.lock import one_writer
from elsedu.training.loop import train
from elsedu.training.provenance import provenance
from elsedu.training.recipe import Recipe


def run(entry: Recipe, output, *, checkpoint=None, minutes: float | None = None, every: float = 60.0,
        device=None, progress: bool | None = None, threads: int | None = None) -> Path | None:
    """Train a recipe and write <output>/<name>.safetensors and <name>.md.

    checkpoint : folder for checkpoints (default <output>/<name>.checkpoint)
    minutes : stop after so many minutes of wall-clock time; then nothing is written but the checkpoint,
        None is returned, and the same call goes on
    If the weights of this very run are there already, they are left as they are. Raises FileExistsError if
    others are, BlockingIOError if another process is training a network of this name there, and what
    `elsedu.training.train` raises.
    """
    from elsedu import networks
    from elsedu.networks.cards import write_card

    if threads is not None:
        torch.set_num_threads(threads)
    output = Path(output)
    path = output / f"{entry.name}.safetensors"
    records.check_writable(output)
    with one_writer(output, entry.name):
        data = entry.load_data()
        network = entry.build(data)
        if path.exists():
            _check_same(networks.load(path), network, entry, data, path)
            return path
        revision = records.commit()  # of the code that is loaded, not of what the folder may hold at the end
        folder = output / f"{entry.name}.checkpoint" if checkpoint is None else checkpoint
        for _ in train(network, data, entry.settings, checkpoint=folder, minutes=minutes, every=every,
                       device=device, progress=progress):
            pass
        record = network.training_record
        if not record["finished"]:
            return None
        network.cpu()
        network.provenance = provenance(entry, data, record, revision)
        write_card(network, path.with_suffix(".md"))
        return networks.save(network, path)


def _check_same(found, network, entry, data, path):
    """FileExistsError unless the weights already there are of this very run."""
    known = found.provenance
    same = (found.config == network.config and known.get("settings") == entry.settings.as_dict()
            and known.get("data", {}).get("hash") == data.hash)
    if not same:
        raise FileExistsError(f"{path} exists and is of another run: move it away, or use another output folder")


def with_changes(entry: Recipe, **changes) -> Recipe:
    """The recipe with some settings replaced (those that are not None)."""
    wanted = {key: value for key, value in changes.items() if value is not None}
    return dataclasses.replace(entry, settings=dataclasses.replace(entry.settings, **wanted))
