"""Does a layer that sees everything look far? A local network with and without it (chapter on attention).

    python -m studies.attention digits

The UNet's own window covers a small image, so attention at its coarsest scale can add little that is new.
Here the convolutions see 7 x 7 pixels, and the only way farther is one self-attention layer. Two networks
that differ in nothing else are trained from several initialisations, and asked three things:

loss        is the error in predicting the noise below that of the best denoiser with their window? Only a
            network that uses what lies outside its window can be below (exact: theorem on boundary-broken
            machines)
outside     which share of the derivative of a pixel's belief lies outside its window
alike       Pearson's r of its drawings with those of the machines, and of the other networks
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from pathlib import Path

import numpy as np
import torch

import elsedu
from elsedu import training
from elsedu._common import records
from elsedu._common.files import write_bytes
from elsedu._common.progress import progress_wanted
from elsedu.analysis import statistics
from elsedu.analysis.metrics import pearson_r
from elsedu.diffusion import seeds
from elsedu.diffusion.sampling import sample
from elsedu.experiments.measurement import to_bytes
from elsedu.networks import ResNet
from elsedu.networks.unet import SelfAttention
from studies.provenance import made

KINDS = ("local", "attention")
SETTINGS = {"batch": 64, "lr": 3e-3, "lr_schedule": "short", "warmup": 200, "decay": 0.5, "stratified": True}
TIMES = tuple(k / 20 for k in range(1, 21))


class AttentiveResNet(ResNet):
    """The paper's ResNet with one self-attention layer before its last convolution.

    Arguments as for `elsedu.networks.ResNet`. Its convolutions see 2 (blocks + 2) + 1 pixels, the attention all.
    """

    kind = "resnet with attention"

    def __init__(self, *arguments, heads=4, **options):
        super().__init__(*arguments, **options)
        self.attention = SelfAttention(self.config["width"], heads)

    def forward(self, x, t, label=None):
        """Noise (B, C, H, W) in x (B, C, H, W) at times t (B,); unchecked."""
        vector = self.embedding(t, label)
        h = self.up(x)
        for shift, conv in zip(self.shifts, self.convolutions):
            h = h + torch.relu(conv(h + shift(vector)))
        return self.down(self.attention(h + self.shifts[-1](vector)))


def train(kind, data, steps, seed=0, width=32, blocks=1, progress=None):
    """One network ("local" or "attention") trained on `data`; its training_record has the losses."""
    maker = {"local": ResNet, "attention": AttentiveResNet}[kind]
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = maker(data.shape, width=width, blocks=blocks, embedding=128, time_scale=30.0)
        for _ in training.train(network, data, steps=steps, seed=seed, progress=progress, **SETTINGS):
            pass
    network.name = f"{kind}, seed {seed}"
    print(f"{network.name}: loss {np.mean(network.training_record['losses'][-200:]):.4f}", file=sys.stderr, flush=True)
    return network


def losses(networks, data, windows, samples=400, times=TIMES):
    """Mean squared error in predicting the noise of noisy training images, at each time.

    {"t", "networks": one list a network, "els": {window: list}, "is": list}; all on the same noisy images,
    made of `samples` images that are spread evenly over `data`.
    """
    clean = data.images[:: max(1, len(data) // samples)][:samples]
    eta = seeds.noise("denoising", range(len(clean)), data.shape)
    els, ideal = elsedu.EquivariantLocalScore(data, windows[-1]), elsedu.IdealScore(data)
    found = {"t": list(times), "networks": [[] for _ in networks], "els": {w: [] for w in windows}, "is": []}

    def error(eps):
        return float(((eps - eta) ** 2).mean())

    for t in times:
        x = els.schedule.add_noise(clean, t, eta)
        for row, network in zip(found["networks"], networks):
            row.append(error(network.noise(x, t)))
        for window, post in els.posterior(x, t, windows=list(windows), fields=("mean",)).items():
            found["els"][window].append(error(els.schedule.noise_from_x0(x, post.mean, t)))
        found["is"].append(error(ideal.noise(x, t)))
    return found


def outside(network, data, window, times=TIMES[1::2], samples=8):
    """Share of the absolute derivatives of the beliefs lying outside the window: {"t", "share"}.

    Summed over every second row and column of places and `samples` noisy images.
    """
    height, width = data.shape[1:]
    places = [(i, j) for i in range(0, height, 2) for j in range(0, width, 2)]
    rows, columns = torch.arange(height), torch.arange(width)
    distance = torch.stack([torch.maximum((rows - i).abs()[:, None], (columns - j).abs()[None]) for i, j in places])
    clean, eta = data.images[:samples], seeds.noise("jacobian", range(samples), data.shape)
    shares = []
    for t in times:
        x = network.schedule.add_noise(clean, t, eta)
        maps = torch.stack([elsedu.jacobian.heat_map(network, x, t, pixel=place) for place in places])
        shares.append(float((maps * (distance > window // 2)).sum() / maps.sum()))
    return {"t": list(times), "share": shares}


def study(data, steps=3000, initialisations=(0, 1), windows=(3, 5, 7), count=100, width=32, progress=None):
    """(measured, images): the whole study on one set of images; the networks see windows[-1] pixels."""
    blocks = (windows[-1] - 1) // 2 - 2
    progress = progress_wanted() if progress is None else progress
    found = {kind: [train(kind, data, steps, seed, width, blocks, progress) for seed in initialisations]
             for kind in KINDS}
    everyone = [network for kind in KINDS for network in found[kind]]
    curves = losses(everyone, data, windows)
    n = len(initialisations)
    measured = {
        "t": curves["t"],
        "loss": {"local": curves["networks"][:n], "attention": curves["networks"][n:],
                 **{f"els {window}": line for window, line in curves["els"].items()}, "is": curves["is"]},
        "outside": {kind: outside(found[kind][0], data, windows[-1]) for kind in KINDS},
    }
    noise = seeds.noise("test", range(count), data.shape)
    drawn = {f"{kind}-{k}": sample(network, noise, 150) for kind in KINDS for k, network in enumerate(found[kind])}
    scales = {kind: elsedu.calibrate(found[kind][0], "els", data, progress=progress) for kind in KINDS}
    machines = {f"els-{kind}": elsedu.EquivariantLocalScore(data, scales[kind]) for kind in KINDS}
    machines["is"] = elsedu.IdealScore(data)
    drawn |= {name: sample(machine, noise, 20) for name, machine in machines.items()}

    def r(a, b):
        return statistics.median(pearson_r(drawn[a], drawn[b]))

    measured["alike"] = {kind: {name: r(f"{kind}-0", name) for name in (f"els-{kind}", "is")} for kind in KINDS}
    for kind in KINDS:
        other = KINDS[1 - KINDS.index(kind)]
        measured["alike"][kind] |= {"same kind": r(f"{kind}-0", f"{kind}-1"),
                                        "other kind": r(f"{kind}-0", f"{other}-0")}
    measured["windows"] = {kind: list(scales[kind].windows) for kind in KINDS}
    measured["parameters"] = {kind: sum(p.numel() for p in found[kind][0].parameters()) for kind in KINDS}
    measured["cpu_minutes"] = {kind: [n.training_record["cpu_minutes"] for n in found[kind]] for kind in KINDS}
    kept = ("local-0", "attention-0", "els-local", "els-attention", "is")
    return measured, {name: to_bytes(drawn[name]) for name in kept}


def main(arguments=None):
    """Write FOLDER/attention-<data>.json and .npz."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="image set: digits")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("reproduced"))
    options = parser.parse_args(arguments)
    name, folder = options.name, options.folder
    records.check_writable(folder)
    data, start = elsedu.load(name), time.perf_counter()
    training = {"steps": 3000, "initialisations": [0, 1], "width": 32}
    measured, images = study(data, **training)
    provenance = {"data": {"name": data.name, "hash": data.hash}, "training": {**training, **SETTINGS},
                  "seeds": "noisy training images: stream denoising; drawings: stream test, 0 to 99; windows: "
                           "stream calibration; derivatives: stream jacobian",
                  **made("attention", [name], start)}
    records.write_json(folder / f"attention-{name}.json",
                       {"measured": records.rounded(measured), "provenance": provenance})
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **images)
    write_bytes(folder / f"attention-{name}.npz", buffer.getvalue())


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
