"""`elsedu train <name>`: run a recipe, and leave the weights and their card."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from elsedu.training.loop import train
from elsedu.training.provenance import provenance
from elsedu.training.recipes import Recipe, recipe


def run(entry: Recipe | str, output, *, checkpoint=None, minutes: float | None = None, every: float = 60.0,
        device=None, progress: bool | None = None, threads: int | None = None) -> Path | None:
    """Train a recipe and write <output>/<name>.safetensors and <name>.md.

    checkpoint : folder for checkpoints (default <output>/<name>.checkpoint)
    minutes : stop after so many minutes of wall-clock time; then nothing is written but the checkpoint,
        None is returned, and the same call goes on
    Raises what `elsedu.training.train` raises.
    """
    from elsedu import networks
    from elsedu.networks.cards import write_card

    if threads is not None:
        torch.set_num_threads(threads)
    entry = recipe(entry) if isinstance(entry, str) else entry
    output = Path(output)
    data = entry.load_data()
    network = entry.build(data)
    folder = output / f"{entry.name}.checkpoint" if checkpoint is None else checkpoint
    for _ in train(network, data, entry.settings, checkpoint=folder, minutes=minutes, every=every,
                   device=device, progress=progress):
        pass
    record = network.training_record
    if not record["finished"]:
        return None
    network.cpu()
    network.provenance = provenance(entry, data, record)
    path = networks.save(network, output / f"{entry.name}.safetensors")
    write_card(network, output / f"{entry.name}.md")
    return path


def with_changes(entry: Recipe, **changes) -> Recipe:
    """The recipe with some settings replaced (those that are not None)."""
    wanted = {key: value for key, value in changes.items() if value is not None}
    return dataclasses.replace(entry, settings=dataclasses.replace(entry.settings, **wanted))
