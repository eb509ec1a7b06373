"""What another training would have given: networks that differ in their seed alone (chapter "Prediction").

    python -m studies.trainings digits-resnet-zero [FOLDER] [--seeds 2,3]

The shipped network, its second, and as many more as seeds are given are trained alike, from other first weights and
with another order of the images. All draw from the same test noises, and so do ELS, LS, IS and Wiener, which know
nothing of the training; ELS and LS keep the windows that were calibrated on the first. `two_level` then says
how sure a number is if the network is trained anew (`elsedu.analysis.statistics.two_level`), and `ceiling` how
alike the networks are, each pair once. Trainings that were stopped go on.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np
import torch

from elsedu import networks
from elsedu._common import records
from elsedu.analysis import statistics
from elsedu.analysis.metrics import pearson_r
from elsedu.diffusion import seeds
from elsedu.diffusion.sampling import sample
from elsedu.experiments.catalogue import experiment
from elsedu.machines.lineup import lineup
from elsedu.scales.shipped import calibrated
from elsedu.training.run import run as train
from studies.provenance import made

MACHINES = ("els", "ls", "is", "wiener")


@torch.no_grad()
def compare(trained, machines, shape, index, network_steps=150, steps=20):
    """{"per_seed", "two_level", "margin", "ceiling"} of {name: network} and {name: machine}, on test noises.

    per_seed: {machine: {network: r, noise by noise}}. margin: two levels of r of ELS less r of each other machine.
    ceiling: {"a, b": median record}, for each pair of networks, and "two_level" over the pairs.
    """
    noise = seeds.noise("test", index, shape)
    targets = {name: sample(one, noise, network_steps) for name, one in trained.items()}
    drawn = {name: sample(machine, noise, steps) for name, machine in machines.items()}
    per_seed = {name: {k: pearson_r(images, y).double().tolist() for k, y in targets.items()}
                for name, images in drawn.items()}
    tables = {name: np.array(list(found.values())) for name, found in per_seed.items()}
    pairs = {f"{a}, {b}": pearson_r(targets[a], targets[b]).double().numpy()
             for a, b in itertools.combinations(targets, 2)}
    return {"per_seed": per_seed, "two_level": {name: statistics.two_level(table) for name, table in tables.items()},
            "margin": {name: statistics.two_level(tables["els"] - table) for name, table in tables.items()
                       if name != "els"},
            "ceiling": {pair: statistics.median(r) for pair, r in pairs.items()}}


def main(arguments=None):
    """Write FOLDER/trainings-<name>.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("reproduced"))
    parser.add_argument("--seeds", default="2,3", help="of the further trainings, parted by commas")
    parser.add_argument("--noises", type=int, default=100)
    options = parser.parse_args(arguments)
    records.check_writable(options.folder)
    entry, start = experiment(options.name), time.perf_counter()
    data, trained = entry.recipe.load_data(), {}
    for recipe in (entry.recipe, entry.second):
        if recipe is not None:
            trained[recipe.name] = networks.network(recipe.name)
    for seed in map(int, options.seeds.split(",")):
        recipe = dataclasses.replace(entry.recipe, name=f"{options.name}-seed{seed}",
                                     settings=dataclasses.replace(entry.recipe.settings, seed=seed))
        trained[recipe.name] = networks.load(train(recipe, options.folder / "trainings", progress=False))
    minutes = {name: one.provenance.get("cpu_minutes") for name, one in trained.items()}
    first = trained[options.name]
    machines = lineup(first, data, {kind: calibrated(options.name, kind) for kind in ("els", "ls")}, MACHINES)
    index = list(range(options.noises))
    measured = compare(trained, machines, data.shape, index)
    measured["loss"] = {name: one.provenance.get("loss") for name, one in trained.items()}
    provenance = {"networks": {name: records.weights_hash(one) for name, one in trained.items()},
                  "training minutes": minutes, "data": {"name": data.name, "hash": data.hash, "images": len(data)},
                  "seeds": {"stream": "test", "index": index}, "windows of": options.name,
                  **made("trainings", [options.name, "--seeds", options.seeds, "--noises", options.noises], start)}
    path = options.folder / f"trainings-{options.name}.json"
    records.write_json(path, {"measured": records.rounded(measured), "provenance": provenance})
    print(path)


if __name__ == "__main__":
    main()
