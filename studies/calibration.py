"""Three questions about calibration, answered with numbers (chapter "Scales").

    python -m studies.calibration kappa digits-resnet-zero
    python -m studies.calibration windows mnist16-resnet-zero
    python -m studies.calibration published cifar10-resnet-zero.full-e8-w48

kappa     how many effective patches must a window keep, for windows found without a network ("patches")
          to be closest to those found along a network's own reverse process? Asked of the digits only.
windows   do the ways of calibrating, rules, criteria and numbers of steps predict a network differently well?
published do the windows that the paper released for its own network predict ours of the same kind?

The first two do not touch the 100 test seeds: windows are chosen on the first images of the stream
"calibration", and judged on its images 1000, 1001, ... The third chooses nothing, and is judged on test seeds,
those of the network's comparison, so that its number can stand beside the one for the network's own windows.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from elsedu._common import records
from elsedu._common.files import SHIPPED
from elsedu._common.progress import progress_wanted
from elsedu.analysis import statistics
from elsedu.analysis.metrics import pearson_r
from elsedu.diffusion import seeds
from elsedu.diffusion.sampling import sample
from elsedu.experiments.catalogue import experiment, from_stem
from elsedu.machines.lineup import border_of, lineup
from elsedu.machines.windows import ScaleSchedule
from elsedu.scales import methods
from elsedu.scales.calibration import calibrate, window_distance
from elsedu.scales.rules import choose
from elsedu.scales.shipped import published
from studies.provenance import made

KAPPAS = (1.5, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 400)
JUDGES = range(1000, 1040)


def kappa_study(network, data, windows, target, kappas=KAPPAS, samples=10, progress=None):
    """{"kappa", "loss", "distance", "windows": lists over kappas, "best": the kappa with the smallest loss}.

    target: the trajectory calibration. loss: by how much the network's score is less similar to the machine's
    under those windows than under the best ones, averaged over time (from the target's table of
    mean similarities). distance: mean distance of the windows to the target's, in candidates; it counts
    the noisiest times in full, where all large windows give nearly the same score.
    """
    candidates, quality = target.info["candidates"], np.array(target.info["quality"])
    found = [calibrate(network, "els", data, "patches", windows=windows, kappa=kappa, samples=samples,
                       progress=progress) for kappa in kappas]
    chosen = [[row[candidates.index(w)] for row, w in zip(quality, scales.windows)] for scales in found]
    loss = [float(np.mean(quality.max(1) - values)) for values in chosen]
    return {"kappa": list(kappas), "loss": loss, "distance": [window_distance(scales, target) for scales in found],
            "windows": [list(s.windows) for s in found], "best": kappas[int(np.argmin(loss))]}


def variants(network, data, windows, samples=10, folds=5, progress=None):
    """{name: ScaleSchedule}: trajectory calibrations under each rule and criterion, and the two without a network."""
    index, steps = seeds.as_index(samples), 20
    progress = progress_wanted() if progress is None else progress
    build = lineup(network, data, dict.fromkeys(("els", "ls"), ScaleSchedule(windows[:1])), ("els",))["els"]
    label = seeds.labels(index, network.classes if network.label_required else None)
    found = {}
    for criterion in ("cosine", "squared_error"):
        table = methods.trajectory(network, build, windows, steps, index, label, criterion, progress).numpy()
        for rule in ("median", "mean"):
            for monotone in (False, True):
                name = f"trajectory {criterion} {rule}{' monotone' if monotone else ''}"
                found[name] = ScaleSchedule(choose(table, windows, rule, monotone), network.schedule)
    for method in ("denoising", "patches"):
        found[method] = calibrate(network, "els", data, method, windows=windows, progress=progress)
    return found


def judge(network, data, schedules, index=JUDGES, steps=20, network_steps=(20, 150), stream="calibration"):
    """{name: {"20": median record, "150": ...}}: `agreements`, as medians over the images."""
    found = agreements(network, data, schedules, index, steps, network_steps, stream)
    return {name: {count: statistics.median(values) for count, values in by.items()} for name, by in found.items()}


def agreements(network, data, schedules, index, steps=20, network_steps=(20, 150), stream="calibration"):
    """{name: {"20": (S,), "150": ...}}: Pearson's r of ELS with each schedule and the network, image by image.

    The images are numbers `index` of the stream. Equal schedules are drawn once.
    """
    noise = seeds.noise(stream, index, data.shape)
    label = seeds.labels(index, network.classes if network.label_required else None)
    drawn = {str(count): sample(network, noise, count, label) for count in network_steps}
    known, result = {}, {}
    for name, scales in schedules.items():
        if scales.windows not in known:
            machine = lineup(network, data, {"els": scales, "ls": scales}, ("els",))["els"]
            images = sample(machine, noise, steps, label)
            known[scales.windows] = {count: pearson_r(images, target).double().cpu().numpy()
                                     for count, target in drawn.items()}
        result[name] = known[scales.windows]
    return result


def window_study(network, data, windows, progress=None):
    """Every variant, judged; and the theory with 10 and 40 steps under the default windows."""
    schedules = variants(network, data, windows, progress=progress)
    agreement = judge(network, data, schedules)
    default = "trajectory cosine median"
    for steps in (10, 40):
        name = f"{default}, {steps} theory steps"
        agreement[name] = judge(network, data, {name: schedules[default]}, steps=steps)[name]
        schedules[name] = schedules[default]
    return {name: {"windows": list(schedules[name].windows),
                   "distance": window_distance(schedules[name], schedules[default]), **agreement[name]}
            for name in schedules}


def published_study(name, network, data, network_steps=(20, 150), count=None):
    """The paper's windows on another network, on the seeds of its comparison.

    {"windows", "seeds", "own": medians of the comparison, "published": medians, "above": share of the seeds that
    the paper's windows predict better, "gain": median of the difference}; the last four by network steps.

    count: only the first so many of the seeds.

    ValueError if the paper released no windows for this kind of network or they are for other images.
    """
    row = experiment(name.partition(".")[0], "full").paper_row
    if tuple(data.shape[1:]) != (32, 32):
        raise ValueError(f"released windows are for images of 32x32 pixels, {name} has {data.shape[1:]}")
    released = published(row)
    record = records.read_json(SHIPPED / "results" / f"{name}.json")
    index = record["provenance"]["seeds"]["index"][:count]
    found = agreements(network, data, {"it": released}, index, network_steps=network_steps, stream="test")["it"]
    before = record["measured"]["per_seed"]
    own = {steps: np.array(before[steps]["els"]["pearson_r"][:count], dtype=float) for steps in found}
    return {"windows": list(released.windows), "seeds": len(index),
            "own": {steps: statistics.median(values) for steps, values in own.items()},
            "published": {steps: statistics.median(values) for steps, values in found.items()},
            "above": {steps: statistics.above(values, own[steps]) for steps, values in found.items()},
            "gain": {steps: statistics.median(values - own[steps]) for steps, values in found.items()}}


def main(arguments=None):
    """Write FOLDER/<study>-<name>.json."""
    from elsedu import networks

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=("kappa", "windows", "published"))
    parser.add_argument("name", help="network, such as mnist16-resnet-zero")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("reproduced"))
    options = parser.parse_args(arguments)
    study, name, folder = options.study, options.name, options.folder
    records.check_writable(folder)
    entry = from_stem(name)
    network, data, start = networks.network(name), entry.recipe.load_data(), time.perf_counter()
    windows = [w for w in entry.calibration["windows"] if border_of(network) == "zero" or w <= min(data.shape[1:])]
    if study == "kappa":
        target = calibrate(network, "els", data, steps=entry.steps, **entry.calibration)
        measured = kappa_study(network, data, windows, target) | {"trajectory": list(target.windows)}
    elif study == "windows":
        measured = window_study(network, data, windows)
    else:
        measured = published_study(name, network, data)
    judges = "stream test, the comparison's seeds" if study == "published" else f"stream calibration, {JUDGES}"
    provenance = {"network": {"name": name, "weights_hash": records.weights_hash(network)},
                  "data": {"name": data.name, "hash": data.hash}, "judged on": judges,
                  **made("calibration", [study, name], start)}
    result = {"measured": records.rounded(measured), "provenance": provenance}
    records.write_json(folder / f"{study}-{name}.json", result)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
