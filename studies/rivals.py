"""Rivals that a stored comparison lacks, and the margins of ELS over all of them (chapter "Prediction").

    python -m studies.rivals FOLDER [STEM ...]

Completes results that were measured before a machine joined the line-up: the network is drawn once more from
the same noises, which must give the stored pictures again, then the missing machines are drawn from them and
added to `agreement` and `per_seed`, and the paired margins are computed anew. What is there stays as it is, to the
last digit. Without stems: every comparison in the folder whose network and data are at hand.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from elsedu._common import records
from elsedu.analysis import metrics
from elsedu.analysis.statistics import above, median
from elsedu.experiments.catalogue import from_stem
from elsedu.experiments.comparison import Comparison
from elsedu.experiments.drawing import draw, sampling_jobs
from elsedu.experiments.measurement import METRICS, margins, to_bytes
from elsedu.experiments.store import ResultStore
from elsedu.experiments.tables import stored
from elsedu.machines.lineup import LINEUP, border_of, lineup
from elsedu.machines.windows import ScaleSchedule

RIVALS = ("stationary",)    # what later line-ups have and earlier results may lack; they need no windows


def missing(record, border):
    """The rivals that belong to a network of this border and are not in the record."""
    known = next(iter(record["measured"]["agreement"].values()))
    return [name for name in RIVALS if LINEUP[name].beside in (None, border) and name not in known]


def complete(record, pictures, network, data):
    """(the completed record, the new machines' pictures as bytes).

    Args:
        record: of a comparison, as stored; it is changed in place.
        pictures: its stored pictures, {name: (S, C, H, W) uint8}.
        network: the network that was compared.
        data: the ImageSet of its machines.

    Raises:
        ValueError: If the network no longer draws the stored pictures.
    """
    measured, made, start = record["measured"], record["provenance"], time.perf_counter()
    names = missing(record, border_of(network))
    drawn = {}
    if names:
        any_scales = dict.fromkeys(("els", "ls"), ScaleSchedule([3] * made["steps"]["theory"]))
        machines = lineup(network, data, any_scales, names)
        jobs, _ = sampling_jobs(network, machines, data.shape, steps=made["steps"]["theory"],
                                network_steps=made["steps"]["network"])
        drawn = draw(ResultStore(None, {}), jobs, made["seeds"]["index"], made["batch"], False)
        drawn = {name: found["images"] for name, found in drawn.items()}
    for steps, block in measured["agreement"].items() if names else ():
        target = drawn[f"network-{steps}"]
        before = pictures.get(f"network-{steps}")
        if before is not None and np.abs(before.astype(int) - to_bytes(target)).max() > 2:
            raise ValueError(f"the network draws other pictures with {steps} steps than those that are stored")
        ideal = measured["per_seed"][steps]["is"]["pearson_r"]
        for name in names:
            found = metrics.summary(drawn[name], target)
            block[name] = records.rounded({metric: median(found[metric]) for metric in METRICS}
                                          | {"above_is": above(found["pearson_r"], np.array(ideal, dtype=float))})
            measured["per_seed"][steps][name] = {
                metric: records.rounded(found[metric]) for metric in ("pearson_r", "determination")}
    measured["margin"] = records.rounded(margins(measured["per_seed"]))
    if names:
        made["machines"] |= {name: repr(machine) for name, machine in machines.items()}
        made["added"] = made.get("added", {}) | {name: {
            "commit": records.commit(), "versions": records.versions(), "device": records.device_name(),
            "minutes": round((time.perf_counter() - start) / 60, 2)} for name in names}
    return record, {name: to_bytes(drawn[name]) for name in names}


def main(arguments=None):
    """Complete FOLDER/<stem>.json and its .npz, for each stem or for all that can be completed."""
    from elsedu import networks

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("stems", nargs="*", help="runs, such as cifar10-resnet-zero.laptop; default: all")
    options = parser.parse_args(arguments)
    folder = options.folder
    for stem in options.stems or stored(folder):
        entry = from_stem(stem)
        found = Comparison.load(folder / f"{stem}.json")
        border = "circular" if entry.recipe.network["padding"] == "circular" else "zero"
        network = data = None
        if missing({"measured": found.measured}, border):
            network, data = networks.network(stem), entry.recipe.load_data()
            _, more = complete({"measured": found.measured, "provenance": found.provenance}, found.images, network,
                               data)
            found.images |= more
        else:
            found.measured["margin"] = records.rounded(margins(found.measured["per_seed"]))
        found.save(folder / f"{stem}.json")
        print(stem, {name: value["median"] for name, value in found.measured["margin"]["150"].items()}, flush=True)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
