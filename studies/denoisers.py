"""Other denoisers against the same network and the same noise (chapter "Other denoisers").

    python -m studies.denoisers mnist16-resnet-zero
    python -m studies.denoisers halves
    python -m studies.denoisers budget

The first compares the denoisers of `elsedu.other_denoisers` with a shipped network, seed by seed, and takes
what was measured of IS, LS, ELS, Wiener and the ceiling on the very same seeds from the stored comparison.
Every free parameter is chosen on images 0, 1, ... of the stream "calibration" and judged on "test":

smoothed     the spread, by the median r with the network's samples
patches      one window a step, along the network's reverse process, as for ELS and LS
covariance   the threshold, by the median r
edge         the number of effective patches to keep, by the median r

The second asks the question of Kadkhodaie et al. (2024) of machines: how alike are two that were built from
disjoint parts of the data (chapter "Open questions")? The third finds windows from nothing but the patches'
covariance and their number, and judges them as the study of calibrations did, on the same noises.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from elsedu._common import records
from elsedu.analysis import metrics, statistics
from elsedu.diffusion import seeds
from elsedu.diffusion.sampling import ddim, sample
from elsedu.diffusion.schedule import check_schedule
from elsedu.experiments import tables as results_table
from elsedu.experiments.catalogue import experiment
from elsedu.experiments.measurement import METRICS
from elsedu.machines.lineup import border_of
from elsedu.machines.others import CovarianceMasks, EdgeScore, PatchPosterior, SmoothedScore
from elsedu.machines.patches import EquivariantLocalScore, IdealScore, LocalScore
from elsedu.machines.wiener import WienerScore
from elsedu.machines.windows import ScaleSchedule
from elsedu.scales import methods
from elsedu.scales.rules import choose
from elsedu.scales.shipped import calibrated
from studies import calibration as studies
from studies.provenance import made

TUNED = {"smoothed": (SmoothedScore, (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4)),
         "covariance": (CovarianceMasks, (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)),
         "edge": (EdgeScore, (1.5, 2, 3, 5, 8, 12, 20, 40, 80))}
SIDES = (1, 3, 5, 7, 9, 11, 13, 15)
STORED = ("els", "ls", "is", "wiener", "ceiling")
SIZES = (100, 300, 1000, 2500)
BUDGET = ("digits-resnet-zero", "digits-resnet-circular", "mnist16-resnet-zero", "mnist16-resnet-circular",
          "mnist16-unet-zero", "mnist16-unet-attention")


def _note(line):
    print(line, flush=True)


def patch_windows(network, data, sides, index, steps=20):
    """ScaleSchedule for `PatchPosterior`: along the network's reverse process, most alike by the cosine."""
    noise, table = seeds.noise("calibration", seeds.as_index(index), data.shape), []
    machines = [PatchPosterior(data, side, schedule=network.schedule) for side in sides]
    for t, x, x0 in ddim(network, noise, steps):
        if t == 0:
            break
        target = network.schedule.score_from_x0(x, x0, t)
        table.append(torch.stack([methods.similarity(m.score(x, t), target, "cosine") for m in machines], -1))
    table = torch.stack(table[::-1], 1).numpy()
    return ScaleSchedule(choose(table, sides, "median", False), network.schedule)


def tune(network, data, kind, values, index, steps=20, network_steps=150):
    """(the best value, {value: median r}): the denoiser's samples against the network's."""
    noise = seeds.noise("calibration", seeds.as_index(index), data.shape)
    target = sample(network, noise, network_steps)
    found = {value: statistics.median(metrics.pearson_r(
        sample(kind(data, value, schedule=network.schedule), noise, steps), target))["median"] for value in values}
    return max(found, key=found.get), found


def judge(network, data, denoisers, index, steps=20, network_steps=(20, 150), note=_note):
    """{"alike", "per_seed", "nearest_distance", "forced", "seconds"} of {name: denoiser} on test seeds.

    The first three as in a comparison (elsedu/shipped/results/README.md; "agreement" there). forced: median r over
    seeds at each time, on the network's own noisy images. seconds: processor time of the reverse processes.
    """
    noise = seeds.noise("test", seeds.as_index(index), data.shape)
    targets = {str(count): sample(network, noise, count) for count in network_steps}
    walk = [(t, x, x0) for t, x, x0 in ddim(network, noise, steps) if t > 0]
    block = {key: {} for key in ("alike", "per_seed", "nearest_distance", "forced", "seconds")}
    for name, denoiser in denoisers.items():
        start = time.process_time()
        images = sample(denoiser, noise, steps)
        block["seconds"][name] = time.process_time() - start
        for count, target in targets.items():
            found = metrics.summary(images, target)
            block["alike"].setdefault(count, {})[name] = {m: statistics.median(found[m]) for m in METRICS}
            block["per_seed"].setdefault(count, {})[name] = {m: found[m].tolist() for m in METRICS}
        distance = metrics.nearest(data.images, images)[1] / np.sqrt(data.images[0].numel())
        block["nearest_distance"][name] = statistics.median(distance)
        block["forced"][name] = [float(metrics.pearson_r(denoiser.denoise(x, t), x0).median()) for t, x, x0 in walk]
        note(f"{name}: {block['seconds'][name]:.0f} s")
    block["forced"] = {"t": [t for t, _, _ in walk], **block["forced"]}
    return block


def stored(network, data, index):
    """The part of the shipped comparison that belongs to these seeds: (agreement, per_seed)."""
    record = records.read_json(results_table.FOLDER / f"{network.name}.json")
    made = record["provenance"]
    if (made["network"]["weights_hash"], made["data"]["hash"]) != (records.weights_hash(network), data.hash):
        raise ValueError(f"the stored comparison of {network.name} is of other weights or data")
    place = [made["seeds"]["index"].index(k) for k in index]
    agreement, per_seed = {}, {}
    for count, found in record["measured"]["per_seed"].items():
        for name in STORED:
            if name not in found:
                continue
            values = {m: [found[name][m][k] for k in place] for m in ("pearson_r", "determination")}
            values["squared_pearson"] = [v**2 for v in values["pearson_r"]]
            per_seed.setdefault(count, {})[name] = values
            agreement.setdefault(count, {})[name] = {m: statistics.median(values[m]) for m in METRICS}
    return agreement, per_seed


def denoiser_study(network, data, index=range(50), tuning=range(10), sides=SIDES, tuned=TUNED, note=_note):
    """(measured, chosen): every denoiser tuned on "calibration", judged on "test", and the stored ones beside it."""
    index, chosen, curves, denoisers = list(index), {}, {}, {}
    windows = patch_windows(network, data, sides, tuning)
    chosen["patches"], denoisers["patches"] = list(windows.windows), PatchPosterior(data, windows)
    note(f"patches: {chosen['patches']}")
    for name, (kind, values) in tuned.items():
        chosen[name], curves[name] = tune(network, data, kind, values, tuning)
        denoisers[name] = kind(data, chosen[name], schedule=network.schedule)
        note(f"{name}: {curves[name]}")
    block = judge(network, data, denoisers, index, note=note)
    agreement, per_seed = stored(network, data, index)
    for count in block["alike"]:
        block["alike"][count] = agreement[count] | block["alike"][count]
        block["per_seed"][count] = per_seed[count] | block["per_seed"][count]
    curves = {name: {"value": list(found), "r": list(found.values())} for name, found in curves.items()}
    return {"seeds": len(index), "tuning": curves, **block}, chosen


def halves_study(data, scales, sizes=SIZES, index=range(20), steps=20, note=_note):
    """{"sizes", "els": [...], "ls", "is", "wiener"}: median r of samples from two disjoint sets of each size.

    Also "<name>_nearest": the root mean squared distance from the first machine's samples to its own images.
    """
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seeds.seed_of("denoising", 0)))
    noise = seeds.noise("test", list(index), data.shape)
    makers = {"els": lambda d: EquivariantLocalScore(d, scales), "ls": lambda d: LocalScore(d, scales),
              "is": IdealScore, "wiener": WienerScore}
    found = {"sizes": list(sizes)} | {key: [] for name in makers for key in (name, f"{name}_nearest")}
    for size in sizes:
        parts = [data.take(order[:size]), data.take(order[size:2 * size])]
        for name, make in makers.items():
            one, two = (sample(make(part), noise, steps) for part in parts)
            found[name].append(statistics.median(metrics.pearson_r(one, two)))
            distance = metrics.nearest(parts[0].images, one)[1] / np.sqrt(one[0].numel())
            found[f"{name}_nearest"].append(statistics.median(distance))
        note(f"{size}: {[round(found[name][-1]['median'], 3) for name in makers]}")
    return found


def budget_windows(data, windows, steps=20, border="zero", schedule=None):
    """ScaleSchedule: at each time the largest window whose information does not exceed its budget.

    A noisy patch carries at most 1/2 sum log(1 + alpha^2 lambda / sigma^2) nats, lambda the eigenvalues of the
    patches' covariance; the budget is the logarithm of the number of patches (chapter "Other denoisers",
    prop-edge). Patches that lie inside the images; on a torus those that wrap around as well.
    """
    schedule, limits = check_schedule(schedule), {}
    for side in windows:
        images = data.images.double()
        if border == "circular":
            images = torch.nn.functional.pad(images, (0, side - 1, 0, side - 1), mode="circular")
        patches = torch.nn.functional.unfold(images, side).mT.flatten(0, 1)
        covariance = torch.cov(patches.T, correction=0).reshape(patches.shape[1], -1)
        limits[side] = torch.linalg.eigvalsh(covariance).clamp_min(0), np.log(len(patches))
    found = []
    for t in (k / steps for k in range(1, steps + 1)):
        ratio = (schedule.alpha(t) / schedule.sigma(t))**2
        kept = [side for side, (spread, budget) in limits.items() if torch.log1p(ratio * spread).sum() / 2 <= budget]
        found.append(max(kept, default=min(windows)))
    return ScaleSchedule(found, schedule)


def budget_study(names=BUDGET, note=_note):
    """{network: {"windows", "20", "150"}}: the windows, and the median r of ELS with them as in `studies.judge`."""
    from elsedu import networks

    found = {}
    for name in names:
        network, data = networks.network(name), experiment(name).recipe.load_data()
        sides = range(3, min(data.shape[1:]) + 1, 2)
        scales = budget_windows(data, sides, border=border_of(network), schedule=network.schedule)
        found[name] = {"windows": list(scales.windows), **studies.judge(network, data, {"budget": scales})["budget"]}
        note(f"{name}: {found[name]}")
    return found


def main(arguments=None):
    """Write one JSON file into the folder."""
    from elsedu import networks

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a network, such as mnist16-resnet-zero, or halves, or budget")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("reproduced"))
    options = parser.parse_args(arguments)
    name, folder = options.name, options.folder
    records.check_writable(folder)
    start = time.perf_counter()
    if name == "budget":
        measured, path = budget_study(), folder / "windows-budget.json"
        provenance = {"networks": list(BUDGET), "judged on": f"stream calibration, {studies.JUDGES}"}
    else:
        of = "mnist16-resnet-zero" if name == "halves" else name
        network, data = networks.network(of), experiment(of).recipe.load_data()
        provenance = {"network": {"name": of, "weights_hash": records.weights_hash(network)},
                      "data": {"name": data.name, "hash": data.hash, "images": len(data)}}
    if name == "halves":
        scales = calibrated(of)
        measured, path = halves_study(data, scales), folder / f"halves-{of}.json"
        provenance |= {"scales": list(scales.windows), "seeds": {"stream": "test", "index": list(range(20))}}
    elif name != "budget":
        measured, chosen = denoiser_study(network, data)
        provenance |= {"chosen": chosen, "seeds": {"test": list(range(50)), "calibration": list(range(10))},
                       "steps": {"theory": 20, "network": [20, 150]}, "perturbations": 64,
                       "edge": repr(EdgeScore(data, 2).machine), "edge windows": EdgeScore(data, 2).windows}
        path = folder / f"denoisers-{of}.json"
    provenance |= made("denoisers", [name], start)
    records.write_json(path, {"measured": records.rounded(measured), "provenance": provenance})


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
