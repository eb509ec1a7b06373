"""`elsedu train`: train a network by its recipe, and leave its weights and its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from elsedu.cli.options import Device, Minutes, resolve_device


def train(
    name: Annotated[str | None, Argument(help="Recipe, e.g. digits-resnet-zero; --list names them.")] = None,
    listing: Annotated[bool, Option("--list", help="Print the recipes, and stop.")] = False,
    output: Annotated[Path, Option(help="Folder of weights, card and checkpoints.")] = Path("trained"),
    steps: Annotated[int | None, Option(help="Steps, instead of the recipe's.")] = None,
    batch: Annotated[int | None, Option(help="Images a step, instead of the recipe's.")] = None,
    lr: Annotated[float | None, Option(help="Largest learning rate, instead of the recipe's.")] = None,
    seed: Annotated[int | None, Option(help="Seed, instead of the recipe's.")] = None,
    precision: Annotated[str | None, Option(help="float32, bfloat16 or auto, instead of the recipe's.")] = None,
    minutes: Minutes = None,
    device: Device = "auto",
    threads: Annotated[int | None, Option(help="CPU threads. Default: torch's.")] = None,
):
    """Train a network by its recipe. Killed at any moment, the same command goes on where it was."""
    from elsedu.experiments.catalogue import PAPER, recipe
    from elsedu.experiments.recipes import recipes

    if listing:
        rows = [recipe(row + tier) for tier in (".laptop", "") for row in PAPER]
        for entry in [*recipes().values(), *rows]:
            kind, settings = entry.network, entry.settings
            print(f"{entry.name:32} {entry.data:13} {kind['kind']} of width {kind['width']}, "
                  f"{settings.steps:,} steps of {settings.batch} images")
        return
    if name is None:
        raise ValueError("give the name of a recipe; `elsedu train --list` names them")
    from elsedu.training.run import run, with_changes

    entry = with_changes(recipe(name), steps=steps, batch=batch, lr=lr, seed=seed, precision=precision)
    path = run(entry, output, minutes=minutes, device=resolve_device(device), threads=threads)
    print(path or "not finished: run the same command again")
