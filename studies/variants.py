"""One network, the same noises, and the machine run in several ways: what do the choices decide?

    python -m studies.variants rules NAME [FOLDER] [--noises 40] [--only budget]
    python -m studies.variants shifts NAME [FOLDER] [--noises 20]
    python -m studies.variants conventions NAME [FOLDER] [--noises 50]

rules         windows fitted to the network step by step, found by denoising, by counting patches ("patches") and by
              the budget of information ("budget", `studies.denoisers`), and the fitted ones with 10 and with 40 steps
              of the theory. Nothing is chosen here: the windows are those of the study of calibrations.
shifts        the fitted windows read k steps noisier, k = -1, 0, 1, 2, 3. The best k is chosen end to end, by the
              median r of whole drawings on noises of the stream "calibration", and then judged once on "test".
conventions   the habits of the code released with the paper, one by one and together: windows read one step
              noisier, the step at t = 1 left out (the noise is taken for the image at t = 0.95), on the torus only
              patches from inside the images, and the network drawn in 20 steps instead of 150.

Everything is kept noise by noise, and every variant is compared with the first on the same noises (`margin`).
`rules` is judged on images 1000, 1001, ... of the stream "calibration"; `conventions`, which chooses nothing, on the
first test noises, so that its numbers can stand beside the comparison's.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from elsedu._common import records
from elsedu._common.files import SHIPPED
from elsedu.analysis import statistics
from elsedu.analysis.metrics import pearson_r
from elsedu.diffusion import seeds
from elsedu.diffusion.sampling import sample
from elsedu.experiments.catalogue import from_stem
from elsedu.machines.lineup import border_of, clipped
from elsedu.machines.patches import EquivariantLocalScore
from elsedu.machines.windows import ScaleSchedule
from elsedu.scales.shipped import calibrated
from studies.provenance import made

FITTED = "trajectory cosine median"     # the paper's way, as `studies.calibration windows` calls it
SHIFTS = (-1, 0, 1, 2, 3)
NETWORK_STEPS = (20, 150)


def shifted(scales, k):
    """The windows read k entries later, at more noise; the last entry serves for those that are missing.

    >>> import elsedu
    >>> list(shifted(elsedu.ScaleSchedule([3, 5, 7, 9]), 1).windows)
    [5, 7, 9, 9]
    """
    last = len(scales) - 1
    return ScaleSchedule([scales.windows[min(max(i + k, 0), last)] for i in range(last + 1)], scales.schedule)


@torch.no_grad()
def draw(machine, noise, steps=20, label=None, skip=0):
    """Images from noise in DDIM steps on the grid of `steps`, the first `skip` of them left out.

    skip: with 1 the noise is taken for the noisy image at t = 1 - 1/steps, as the released code does.
    """
    x = noise
    for k in range(steps - skip, 0, -1):
        x0, eps = machine.predict(x, k / steps, label)
        s = (k - 1) / steps
        x = machine.schedule.alpha(s) * x0 + machine.schedule.sigma(s) * eps
    return x


def judge(network, data, variants, stream, index, network_steps=NETWORK_STEPS, note=print):
    """{"variants", "per_seed", "alike", "margin"} of {name: {"windows", "steps", "skip", "dictionary"}}.

    Args:
        network: the network to be predicted.
        data: ImageSet of the machine.
        variants: the first is the one that all others are compared with, noise by noise.
        stream: of the noises.
        index: which of them.
        network_steps: steps of the network's own drawings.
        note: called with a line about each variant.

    Returns:
        Numbers only: r of every variant by network steps, noise by noise and as medians with intervals;
        "margin": `statistics.paired` of each variant less the first.
    """
    noise = seeds.noise(stream, index, data.shape)
    label = seeds.labels(index, network.classes if network.label_required else None)
    targets = {str(count): sample(network, noise, count, label) for count in network_steps}
    border = border_of(network)
    block = {"variants": {}, "per_seed": {count: {} for count in targets}}
    known = {}
    for name, options in variants.items():
        scales, steps, skip = options["windows"], options.get("steps", 20), options.get("skip", 0)
        dictionary = options.get("dictionary", "all")
        scales = clipped(scales, data.shape) if border == "circular" else scales
        key = (tuple(scales.windows), steps, skip, dictionary)
        if key not in known:
            machine = EquivariantLocalScore(data, scales, border=border, dictionary=dictionary,
                                            schedule=network.schedule)
            known[key] = draw(machine, noise, steps, label, skip)
        block["variants"][name] = {"windows": list(scales.windows), "steps": steps, "skip": skip,
                                   "dictionary": dictionary}
        for count, target in targets.items():
            block["per_seed"][count][name] = pearson_r(known[key], target).double().tolist()
        note(f"{name}: " + ", ".join(f"{c} steps {statistics.median(block['per_seed'][c][name])['median']:.3f}"
                                     for c in targets))
    first = next(iter(variants))
    block["alike"] = {c: {n: statistics.median(r) for n, r in found.items()}
                          for c, found in block["per_seed"].items()}
    block["margin"] = {c: {n: statistics.paired(r, found[first]) for n, r in found.items() if n != first}
                       for c, found in block["per_seed"].items()}
    return block


def rules(name, network, data, noises, only=None):
    """Windows of every rule, and the fitted ones with fewer and more steps (measured, provenance).

    only: names of the variants to keep beside "fitted"; None for all.
    """
    from studies.denoisers import budget_windows

    known = records.read_json(SHIPPED / "results" / f"windows-{name}.json")["measured"]

    def found(key):
        return {"windows": ScaleSchedule(known[key]["windows"], network.schedule)}

    sides = range(3, min(data.shape[1:]) + 1, 2)
    budget = budget_windows(data, sides, border=border_of(network), schedule=network.schedule)
    variants = {"fitted": found(FITTED), "denoising": found("denoising"), "patches": found("patches"),
                "budget": {"windows": budget}, "10 steps": found(FITTED) | {"steps": 10},
                "40 steps": found(FITTED) | {"steps": 40}}
    if only is not None:
        variants = {key: variants[key] for key in ("fitted", *only)}
    index = list(range(1000, 1000 + noises))
    return judge(network, data, variants, "calibration", index), {"stream": "calibration", "index": index}


def shifts(name, network, data, noises):
    """The best shift on calibration noises, and what it is worth on test noises (measured, provenance)."""
    fitted = calibrated(name)
    variants = {f"shift {k}": {"windows": shifted(fitted, k)} for k in sorted(SHIFTS, key=abs)}
    index = list(range(1000, 1000 + noises))
    chosen = judge(network, data, variants, "calibration", index)
    best = max(variants, key=lambda variant: chosen["alike"]["150"][variant]["median"])
    wanted = {key: variants[key] for key in dict.fromkeys(("shift 0", "shift 1", best))}
    tested = judge(network, data, wanted, "test", list(range(2 * noises)))
    return ({"chosen": best, "calibration": chosen, "test": tested},
            {"calibration": index, "test": list(range(2 * noises))})


def conventions(name, network, data, noises):
    """Habits of the released code, one by one and together (measured, provenance)."""
    fitted = calibrated(name)
    ways = {"ours": {}, "windows one step noisier": {"windows": shifted(fitted, 1)},
            "t = 1 left out": {"skip": 1}, "both": {"windows": shifted(fitted, 1), "skip": 1}}
    if border_of(network) == "circular":
        ways["interior patches"] = {"dictionary": "interior"}
        ways["all"] = {"windows": shifted(fitted, 1), "skip": 1, "dictionary": "interior"}
    variants = {key: {"windows": fitted} | way for key, way in ways.items()}
    index = list(range(noises))
    return judge(network, data, variants, "test", index), {"stream": "test", "index": index}


STUDIES = {"rules": rules, "shifts": shifts, "conventions": conventions}


def main(arguments=None):
    """Write FOLDER/<study>-<name>.json."""
    from elsedu import networks

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("name")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("reproduced"))
    parser.add_argument("--noises", type=int, default=40)
    parser.add_argument("--only", help="of the variants of `rules`: fitted and these, parted by commas")
    options = parser.parse_args(arguments)
    if options.noises < 2:
        parser.error(f"--noises must be at least 2, got {options.noises}")
    records.check_writable(options.folder)
    network, data = networks.network(options.name), from_stem(options.name).recipe.load_data()
    start = time.perf_counter()
    more = {"only": options.only.split(",")} if options.only else {}
    measured, index = STUDIES[options.study](options.name, network, data, options.noises, **more)
    provenance = {"network": {"name": options.name, "weights_hash": records.weights_hash(network)},
                  "data": {"name": data.name, "hash": data.hash, "images": len(data)}, "seeds": index,
                  "steps": {"network": list(NETWORK_STEPS)},
                  **made("variants", [options.study, options.name, "--noises", options.noises], start)}
    path = options.folder / f"{options.study}-{options.name}.json"
    records.write_json(path, {"measured": records.rounded(measured), "provenance": provenance})
    print(path)


if __name__ == "__main__":
    main()
