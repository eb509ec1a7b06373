"""Comparison: what the network drew, and what the theory says it draws, seed by seed (chapter "Prediction").

`compare` sends the same noise through a network and through every machine and measures how alike the
images are: medians over the seeds with intervals, how often ELS beats the ideal score, the ceiling set by
a second network, the agreement at each single step, and how far everything is from the training set.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from elsedu._common import records
from elsedu._common.arrays import read_npz
from elsedu._common.checks import check_choice, check_steps
from elsedu._common.files import SHIPPED, write_bytes
from elsedu._common.lock import one_writer
from elsedu._common.progress import progress_wanted
from elsedu.analysis.statistics import above, bootstrap, median, paired, share, two_level
from elsedu.analysis.teacher_forcing import held_out, teacher_forced
from elsedu.data import ImageSet
from elsedu.diffusion import seeds
from elsedu.experiments.drawing import draw, draw_with_variance, sampling_jobs
from elsedu.experiments.measurement import METRICS, margins, measure, to_bytes
from elsedu.experiments.store import ResultStore
from elsedu.machines.lineup import LINEUP, MACHINES, border_of, clipped, lineup
from elsedu.posterior import choose_backend
from elsedu.scales.shipped import scales_for

__all__ = [
    "MACHINES",
    "METRICS",
    "Comparison",
    "above",
    "bootstrap",
    "border_of",
    "clipped",
    "compare",
    "draw",
    "draw_with_variance",
    "held_out",
    "lineup",
    "margins",
    "measure",
    "median",
    "paired",
    "sampling_jobs",
    "scales_for",
    "share",
    "teacher_forced",
    "to_bytes",
    "two_level",
]

LARGEST_IMAGES = 1 << 32  # bytes of the pictures of one comparison


@dataclass
class Comparison:
    """What a comparison found.

    measured: numbers only. provenance: what they were made from and with. images: {name: (S, C, H, W)
    uint8}, for pictures.
    """

    measured: dict
    provenance: dict
    images: dict = field(default_factory=dict, repr=False)

    def save(self, path, images=None):
        """Write <path> (JSON) and, beside it, <stem>.npz with the images called `images` (default: all).

        OSError if the folder cannot be written; earlier files then stay as they are.
        """
        path = Path(path)
        records.check_writable(path.parent)
        kept = {name: self.images[name] for name in (self.images if images is None else images)}
        with one_writer(path.parent, path.stem, wait=60):  # of two runs the numbers of one, and its pictures
            if kept:
                buffer = io.BytesIO()
                np.savez_compressed(buffer, **kept)
                write_bytes(path.with_suffix(".npz"), buffer.getvalue())
            blocks = json.loads(json.dumps({"measured": self.measured, "provenance": self.provenance}))
            records.write_json(path, blocks | {"hash": records.settings_hash(blocks)})
        return path

    def r(self, name, steps=150):
        """Pearson's r of a predictor's images with the network's, seed by seed.

        Args:
            name: Such as "els", "is" or "ceiling".
            steps: DDIM steps of the network.

        Returns:
            (S,) float64; NaN where r is not defined.

        Raises:
            ValueError: For a predictor or a number of steps that was not measured.
        """
        check_choice(str(steps), tuple(self.measured["per_seed"]), "number of steps")
        measured = self.measured["per_seed"][str(steps)]
        return np.array(measured[check_choice(name, tuple(measured), "predictor")]["pearson_r"], dtype=float)

    @staticmethod
    def load(path):
        """Read what `save` wrote. FileNotFoundError or ValueError if it is not there or not whole."""
        path = Path(path)
        record = records.read_json(path)
        records.check_result(record, path)
        archive = path.with_suffix(".npz")
        images = {}
        if archive.is_file():
            images = read_npz(archive, LARGEST_IMAGES)
        return Comparison(record["measured"], record["provenance"], images)


def result(name, folder=None):
    """A result that comes with elsedu: a comparison, or what a study found.

    Args:
        name: Such as "mnist16-resnet-zero", "cifar10-resnet-zero.laptop", "windows-budget".
        folder: Where to look, instead of the results in the package.

    Raises:
        ValueError: If there is none of this name; the message lists those there are.

    >>> import elsedu
    >>> found = elsedu.result("digits-resnet-zero")
    >>> found.r("els", steps=150).shape
    (100,)
    """
    folder = SHIPPED / "results" if folder is None else Path(folder)
    check_choice(name, sorted(path.stem for path in folder.glob("*.json")), "result")
    return Comparison.load(folder / f"{name}.json")


def compare(network, data, scales=None, *, seeds=100, steps=20, network_steps=(20, 150), second=None,
            machines=MACHINES, label=None, backend="auto", batch=20, folder=None, progress=None):
    """Compare a network with the theory, seed by seed: a `Comparison`.

    Parameters
    ----------
    network : Denoiser, or the name of a shipped network
    data : ImageSet the network was trained on (a UserWarning if its hash is another)
    scales : {"els": ScaleSchedule, "ls": ScaleSchedule}, one for both, or None for the shipped ones. LS has
        windows of its own; the plain ELS beside a zero-padded network takes those of "els", clipped to the
        image's side
    seeds : how many of the test seeds (stream "test" of `elsedu.seeds`), or which
    steps, network_steps : DDIM steps of the machines and of the network(s)
    second : a network that differs only in its initialisation, for the ceiling; or None
    machines : which of `MACHINES`
    label : the class of all seeds; by default a class-conditional network draws class k mod n for seed k
    backend : of the machines
    batch : seeds computed together
    folder : where finished batches are kept, so that a killed run goes on; None keeps nothing

    Raises ValueError for schedules that differ, missing scales, or a folder with results of other settings;
    OSError, before any work, if the folder cannot be written.
    """
    from elsedu import networks

    network = networks.network(network) if isinstance(network, str) else network
    second = networks.network(second) if isinstance(second, str) else second
    data = data if isinstance(data, ImageSet) else ImageSet(data)
    plan = Plan(network, data, scales_for(network, scales), seeds, steps, network_steps, second, machines, label,
                backend, batch)
    progress = progress_wanted() if progress is None else progress
    with ResultStore(folder, plan.settings()) as pieces:
        return plan.finish(pieces, *plan.draw(pieces, progress))


def _identity(denoiser):
    return records.weights_hash(denoiser) or repr(denoiser)


class Plan:
    """A comparison before and while it is run: `draw` fills the pieces, `finish` turns them into numbers."""

    def __init__(self, network, data, scales, samples=100, steps=20, network_steps=(20, 150), second=None,
                 machines=MACHINES, label=None, backend="auto", batch=20):
        from elsedu import networks

        self.index = seeds.as_index(samples, "seeds")
        self.steps = check_steps(steps)
        self.network_steps = tuple(check_steps(n) for n in network_steps)
        if not self.network_steps:
            raise ValueError("network_steps is empty; expected at least one number of steps")
        self.network, self.second, self.data, self.scales, self.label = network, second, data, scales, label
        self.machines = lineup(network, data, scales, machines, backend)
        self.batch = int(batch)
        if tuple(network.image_shape or data.shape) != tuple(data.shape):
            raise ValueError(f"the network draws images of shape {tuple(network.image_shape)}, "
                             f"the data has {data.shape}")
        if second is not None and second.schedule != network.schedule:
            raise ValueError("the two networks have different noise schedules")
        if getattr(network, "provenance", None):
            networks.check_data(network, data)
        self.backend = "none"
        if self.machines:
            self.backend = choose_backend(backend, data.images[:1].float().to(records.device_of(network)))

    def settings(self):
        """Everything that decides the numbers of a piece (not how many seeds there are)."""
        return {"network": _identity(self.network), "data": self.data.hash,
                "images": len(self.data), "scales": {k: list(s.windows) for k, s in self.scales.items()},
                "steps": self.steps, "machines": list(self.machines), "border": border_of(self.network),
                "label": self.label, "batch": self.batch, "schedule": self.network.schedule.name}

    def draw(self, pieces, progress=True):
        """Draw everything: (images, teacher-forced walks, held-out errors), each from pieces where they are there."""
        jobs, start = sampling_jobs(self.network, self.machines, self.data.shape, second=self.second,
                                    steps=self.steps, network_steps=self.network_steps, label=self.label)
        walked = {name: m for name, m in self.machines.items() if LINEUP[name].forced}

        def walk(part):
            noise, labels = start(part)
            return teacher_forced(self.network, walked, noise, self.steps, labels)

        others = {name: jobs.pop(name) for name in list(jobs) if name.startswith("second-")}
        found = draw(pieces, jobs | {"forced": walk}, self.index, self.batch, progress)
        if others:  # a second network may come later than the first results
            with pieces.part("second", {"second": _identity(self.second)}) as place:
                found |= draw(place, others, self.index, self.batch, progress)
            pieces.seconds += place.seconds
        forced, truth = found.pop("forced"), None
        if "els" in self.machines and len(self.data) >= 50:
            els = self.machines["els"]

            def build(rest):
                return type(els)(rest, els.window, border=els.border, schedule=els.schedule, backend=els.backend)

            known = self.network.label_required
            truth = pieces.get("held-out", lambda: held_out(build, self.data, self.steps, label_known=known,
                                                             device=records.device_of(self.network)))
        return found, forced, truth

    def finish(self, pieces, images, forced, truth):
        """The Comparison of what was drawn."""
        times = [k / self.steps for k in range(1, self.steps + 1)]
        measured = measure(images, self.data, forced, times, truth)
        provenance = {
            "network": {"name": records.name_of(self.network), "weights_hash": records.weights_hash(self.network)},
            "second": None if self.second is None else
            {"name": records.name_of(self.second), "weights_hash": records.weights_hash(self.second)},
            "data": {"name": self.data.name, "hash": self.data.hash, "images": len(self.data),
                     "shape": list(self.data.shape)},
            "scales": {kind: list(s.windows) for kind, s in self.scales.items()},
            "machines": {name: repr(machine) for name, machine in self.machines.items()},
            "steps": {"theory": self.steps, "network": list(self.network_steps)},
            "seeds": {"stream": "test", "index": self.index}, "batch": self.batch,
            "settings_hash": pieces.hash, "versions": records.versions(),
            "device": records.device_name(records.device_of(self.network)),
            "backend": self.backend, "minutes": round(pieces.seconds / 60, 2), "commit": records.commit(),
        }
        pictures = {name: to_bytes(found["images"]) for name, found in images.items()}
        return Comparison(measured, provenance, pictures)
