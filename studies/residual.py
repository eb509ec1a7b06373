"""What does ELS miss? Regressors with one window, trained as networks are, on the same noise ("Open questions").

    python -m studies.residual digits-resnet-zero [FOLDER] [KIND ...]

A network and ELS differ in three ways: the network may use another window than the machine's, it was found by
gradient descent and is smooth where the posterior mean is sharp, and it shares its weights between all places.
A local regressor separates them. It sees exactly P x P pixels and is otherwise free: a convolution with a P x P
kernel, and layers that act on one pixel alone, told the time. Trained on the same task,

shared     the same weights everywhere, as ELS has one dictionary; P = 5, 9, 15
by place   with a learned vector for each place, so that it may do another thing at each, as LS does; P = 9
deep       the paper's ResNet with so few blocks that it sees 9 x 9 pixels: many small convolutions for a large one

Named kinds are added to the file that is there.

If such a regressor is nearer to the network than ELS is, with a window that ELS has as well, then what ELS
misses there is not the window but what training makes of it. `removed` is the part of the squared difference
between network and ELS that is gone when the regressor stands in for ELS.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from elsedu import networks, training
from elsedu._common import records
from elsedu._common.checks import check_choice
from elsedu.analysis import statistics
from elsedu.analysis.metrics import pearson_r
from elsedu.diffusion import seeds
from elsedu.diffusion.sampling import sample
from elsedu.experiments.catalogue import experiment
from elsedu.machines.lineup import lineup
from elsedu.networks.base import Network
from elsedu.networks.embedding import Embedding, Shift
from elsedu.scales.shipped import calibrated
from studies.provenance import made

SETTINGS = {"batch": 64, "lr": 3e-3, "lr_schedule": "short", "warmup": 200, "decay": 0.6, "stratified": True}
KINDS = {   # what is built, and its options
    "shared, P = 5": ("regressor", {"window": 5}),
    "shared, P = 9": ("regressor", {"window": 9}),
    "shared, P = 15": ("regressor", {"window": 15}),
    "by place, P = 9": ("regressor", {"window": 9, "by_place": True}),
    "deep, P = 9": ("resnet", {"blocks": 2}),
}


class LocalRegressor(Network):
    """Any function of a window and the time, the same at all places or one for each.

    Args:
        image_shape: (C, H, W).
        window: P, odd; a pixel of the answer depends on the P x P pixels around it and on nothing else.
        by_place: whether a learned vector a place is added, so that places may differ.
        width: hidden units.
        layers: hidden layers after the first.
    """

    kind = "local regressor"

    def __init__(self, image_shape=(1, 8, 8), window=9, by_place=False, width=64, layers=3, padding="zero",
                 classes=None, embedding=128, time_scale=30.0, schedule="cosine"):
        super().__init__(image_shape, padding, classes, schedule,
                         {"window": window, "by_place": by_place, "width": width, "layers": layers,
                          "embedding": embedding, "time_scale": time_scale})
        channels = self.image_shape[0]
        self.embedding = Embedding(embedding, classes, time_scale)
        self.look = nn.Conv2d(channels, width, window, padding=window // 2,
                              padding_mode="circular" if padding == "circular" else "zeros")
        self.place = nn.Parameter(torch.zeros(width, *self.image_shape[1:])) if by_place else None
        self.shifts = nn.ModuleList(Shift(nn.Linear(embedding, width), nn.ReLU()) for _ in range(layers))
        self.think = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(layers))
        self.answer = nn.Conv2d(width, channels, 1)

    def forward(self, x, t, label=None):
        """Noise (B, C, H, W) in x (B, C, H, W) at times t (B,); unchecked."""
        vector = self.embedding(t, label)
        h = self.look(x)
        if self.place is not None:
            h = h + self.place
        for shift, think in zip(self.shifts, self.think):
            h = h + torch.relu(think(h + shift(vector)))
        return self.answer(torch.relu(h))


def train(data, kind, steps, seed=0, width=64):
    """One of KINDS trained on the ImageSet; its `training_record` has the losses."""
    what, options = KINDS[kind]
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        make = {"regressor": LocalRegressor, "resnet": networks.ResNet}[what]
        regressor = make(data.shape, width=width, embedding=128, time_scale=30.0, **options)
        for _ in training.train(regressor, data, steps=steps, seed=seed, progress=False, **SETTINGS):
            pass
    return regressor.eval()


@torch.no_grad()
def compare(network, second, data, els, regressors, index, network_steps=150, steps=20):
    """(measured, images) of regressors against network, second network and ELS, on test noises.

    measured: "r": with the network; "margin": `statistics.paired` of that less ELS's; "with_els": r of the
    regressor with ELS; "removed": medians; "per_seed": r with the network, noise by noise.
    """
    noise = seeds.noise("test", index, data.shape)
    drawn = {"network": sample(network, noise, network_steps), "ELS": sample(els, noise, steps)}
    if second is not None:
        drawn["second network"] = sample(second, noise, network_steps)
    drawn |= {name: sample(one, noise, network_steps) for name, one in regressors.items()}
    target, theory = drawn["network"], drawn["ELS"]
    missed = (target - theory).double().square().sum((1, 2, 3))
    block = {key: {} for key in ("r", "margin", "with_els", "removed", "per_seed")}
    for name, images in drawn.items():
        if name == "network":
            continue
        r = pearson_r(images, target).double().numpy()
        block["per_seed"][name] = r.tolist()
        block["r"][name] = statistics.median(r)
        if name != "ELS":
            left = (target - images).double().square().sum((1, 2, 3))
            block["margin"][name] = statistics.paired(r, np.array(block["per_seed"]["ELS"]))
            block["with_els"][name] = statistics.median(pearson_r(images, theory).double().numpy())
            block["removed"][name] = statistics.median((1 - left / missed).numpy())
    return block, drawn


def study(name, kinds=tuple(KINDS), steps=3000, count=100, width=64, note=print):
    """The whole study of one shipped network: (measured, images)."""
    entry = experiment(name)
    network, data = networks.network(name), entry.recipe.load_data()
    second = networks.network(entry.second.name) if entry.second is not None else None
    scales = {"els": calibrated(name), "ls": calibrated(name, "ls")}
    els = lineup(network, data, scales, ("els",))["els"]
    regressors, losses = {}, {}
    for kind in kinds:
        regressors[kind] = train(data, kind, steps, width=width)
        losses[kind] = float(np.mean(regressors[kind].training_record["losses"][-200:]))
        note(f"{kind}: loss {losses[kind]:.4f}")
    block, images = compare(network, second, data, els, regressors, list(range(count)))
    return {"loss": losses | {"network": network.provenance["loss"]}, "steps": steps, "width": width, **block}, images


def main(arguments=None):
    """Write FOLDER/residual-<name>.json and the drawings of the first noises beside it."""
    from elsedu.data.pixels import to_bytes

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="network, such as mnist16-resnet-zero")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("reproduced"))
    parser.add_argument("kinds", nargs="*", help="regressors to add to the file that is there; default: all, anew")
    options = parser.parse_args(arguments)
    name, folder = options.name, options.folder
    records.check_writable(folder)
    start = time.perf_counter()
    path, before, spent = folder / f"residual-{name}.json", {}, {}
    for kind in options.kinds:
        check_choice(kind, tuple(KINDS), "regressor")
    if options.kinds and path.exists():
        old = records.read_json(path)
        before, spent = old["measured"], {k: old["provenance"][k] for k in ("minutes", "processor minutes")}
    measured, images = study(name, tuple(options.kinds) or tuple(KINDS))
    for block, known in before.items():     # of the same seeds and settings, which are this module's
        if isinstance(known, dict):
            measured[block] = known | measured[block]
    for kind, r in measured["r"].items():
        print(kind, r["median"], measured["removed"].get(kind, {}).get("median"))
    data = experiment(name).recipe.load_data()
    provenance = {"network": {"name": name, "weights_hash": records.weights_hash(networks.network(name))},
                  "data": {"name": data.name, "hash": data.hash, "images": len(data)},
                  "seeds": {"stream": "test", "index": list(range(100))}, "settings": SETTINGS,
                  **made("residual", [name], start)}
    for key, minutes in spent.items():      # what is there already took its time as well
        provenance[key] = round(provenance[key] + minutes, 1)
    records.write_json(path, {"measured": records.rounded(measured), "provenance": provenance})
    pictures = {kind: to_bytes(found[:12]) for kind, found in images.items()}
    if before:
        with np.load(path.with_suffix(".npz")) as known:
            pictures = {key: known[key] for key in known.files} | pictures
    np.savez_compressed(path.with_suffix(".npz"), **pictures)


if __name__ == "__main__":
    main()
