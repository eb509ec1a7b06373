"""`elsedu reproduce`: an experiment from noise to table, in stages that survive a kill (chapter "Prediction").

    train -> calibrate -> sample -> compare -> figures

Shipped networks are not trained again unless asked. Every stage leaves its files in <output>/<stem>/ and
is skipped, as far as it got, the next time. Files of other settings are refused, never mixed or
overwritten. Inside `elsedu.distributed.shard()` (on the command line: under torchrun) several processes share
the training images. The result is <output>/<stem>.json, with the pictures in <stem>.npz beside it.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from elsedu._common import processes, records
from elsedu._common.checks import check_choice
from elsedu._common.files import SHIPPED
from elsedu._common.lock import one_writer
from elsedu._common.progress import progress_wanted
from elsedu.experiments.catalogue import Experiment, experiment
from elsedu.experiments.comparison import Plan
from elsedu.experiments.publishing import publish
from elsedu.experiments.store import Pieces, difference
from elsedu.experiments.tables import METRICS, cells, html, markdown, plain, rows
from elsedu.machines.windows import ScaleSchedule
from elsedu.scales.calibration import calibrate

__all__ = ["METRICS", "STAGES", "cells", "html", "markdown", "plain", "publish", "rows", "run", "table"]

STAGES = ("train", "calibrate", "sample", "compare", "figures")
ALONE = ("train", "figures")  # of several processes the first does these, and the others wait


def run(name, tier=None, *, stage=None, output="reproduced", retrain=False, backend="auto", width=None,
        limit_images=None, epochs=None, seeds=None, minutes=None, ceiling=True, device="cpu", progress=None, say=print):
    """Run an experiment, or one stage of it: the path of the result, or None while it is not finished.

    Parameters
    ----------
    name : of the experiment (`elsedu.experiments.names()`), or an Experiment; tier : of the paper's rows
    stage : one of STAGES, or several; None for all that is missing. A stage needs the earlier ones' files.
    output : folder of the results
    retrain : train from scratch although weights are shipped
    width, limit_images, epochs, seeds : changes to the declared settings
    minutes : stop training after so long; the next call goes on
    ceiling : also draw with the second network, where the experiment has one
    device : of networks and machines, "cpu", "cuda", ...
    say : called with a line of text at each stage

    Raises OSError, before any work, if `output` cannot be written or another process runs the same experiment
    there; ValueError for unknown names, impossible
    settings, or files of other settings.
    """
    entry = name if isinstance(name, Experiment) else experiment(name, tier)
    entry = entry.changed(width=width, limit_images=limit_images, epochs=epochs, seeds=seeds)
    stages = STAGES if stage is None else (stage,) if isinstance(stage, str) else tuple(stage)
    for one in stages:
        check_choice(one, STAGES, "stage")
    folder = Path(output) / entry.stem
    processes.on_main_process(lambda: records.check_writable(folder))
    with contextlib.ExitStack() as held:
        processes.on_main_process(lambda: held.enter_context(one_writer(folder)))
        job = _Job(entry, Path(output), folder, retrain, backend, minutes, ceiling, device,
                   progress_wanted() if progress is None else progress, say)
        job.held = held
        return job.run(stages)


class _Job:
    def __init__(self, entry, output, folder, retrain, backend, minutes, ceiling, device, progress, say):
        self.entry, self.output, self.folder, self.say = entry, output, folder, say
        self.retrain, self.backend, self.minutes, self.progress = retrain, backend, minutes, progress
        self.ceiling, self.device = ceiling, device
        self.data = processes.main_process_first(entry.recipe.load_data)

    @property
    def result(self):
        return self.output / f"{self.entry.stem}.json"

    def run(self, stages):
        for stage in stages:
            start = time.perf_counter()
            work = getattr(self, stage)
            done = processes.on_main_process(work) if stage in ALONE else work()
            if processes.is_main_process():
                self.say(f"{self.entry.stem}: {stage} {done} ({time.perf_counter() - start:.0f} s)")
            if stage == "train" and done == "stopped":
                return None
        return self.result if processes.on_main_process(self.result.exists) else None

    # -- stages; each returns a word for the log --------------------------------------------------------

    def train(self):
        """Both networks (the second only for the ceiling), unless they are shipped."""
        from elsedu.training.run import run as train

        first = self._weights(self.entry.recipe)
        if first is not None and self.folder not in first.parents:
            return "not needed"     # shipped; a ceiling that is not shipped is left out
        for recipe in self._recipes():
            if self._weights(recipe) is None and train(recipe, self.folder / "weights", minutes=self.minutes,
                                                       device=self.device, progress=self.progress) is None:
                return "stopped"
        return "done"

    def calibrate(self):
        """Windows of ELS and of LS."""
        source = self.entry.scales_from
        if source is not None:
            processes.on_main_process(lambda: self._borrow(source))
            return f"windows of {source}"
        network = self._network(self.entry.recipe)
        for machine in ("els", "ls"):
            path = self._scales_path(machine)
            wanted = {"weights_hash": records.weights_hash(network), "data_hash": self.data.hash,
                      "options": dict(self.entry.calibration)}
            if processes.on_main_process(lambda path=path, wanted=wanted: self._calibrated(path, wanted)):
                continue
            start = time.perf_counter()
            scales = calibrate(network, machine, self.data, progress=self.progress, steps=self.entry.steps,
                               **self.entry.calibration)
            info = {**scales.info, "made_with": wanted, "minutes": round((time.perf_counter() - start) / 60, 2),
                    "device": records.device_name(self.device)}
            found = ScaleSchedule(scales.windows, scales.schedule, info)
            processes.on_main_process(lambda path=path, found=found: found.save(path))
        return "done"

    def sample(self):
        """All images, batch by batch."""
        plan, pieces = self._plan()
        plan.draw(pieces, self.progress)
        return "done"

    def compare(self):
        """The numbers. Draws what is missing first."""
        plan, pieces = self._plan()
        drawn, (_, world) = plan.draw(pieces, self.progress), processes.rank_and_world()
        processes.on_main_process(lambda: self._finish(plan, pieces, drawn, world))
        return "done"

    def _finish(self, plan, pieces, drawn, world):
        comparison = plan.finish(pieces, *drawn)
        trained = plan.network.provenance
        jacobian = self._jacobian(plan, pieces)
        comparison.measured["jacobian"] = jacobian
        comparison.provenance |= {
            "experiment": self.entry.name, "tier": self.entry.tier, "changes": self.entry.changes,
            "calibration": {m: {k: v for k, v in plan.scales[m].info.items() if k not in ("choices", "quality")}
                            for m in ("els", "ls")},
            "training": {k: trained[k] for k in ("epochs", "steps", "loss", "cpu_minutes") if k in trained}
            | {"width": plan.network.config.get("width")},
        }
        if world > 1:
            comparison.provenance["processes"] = world
        comparison.save(self.result, images=self._publishable(comparison.images))

    def figures(self):
        """PNG files beside the result."""
        import matplotlib.pyplot as plt

        from elsedu.experiments.comparison import Comparison
        from elsedu.figures import comparison as draw
        from elsedu.figures import use_style

        use_style()
        found = Comparison.load(self.result)
        last = str(max(self.entry.network_steps))
        names = [n for n in (f"network-{last}", "els", "ls", "is") if n in found.images]
        makers = {"agreement": lambda: draw.agreement(found, last).figure, "forced": lambda: draw.forced(found).figure,
                  "error": lambda: draw.reliability(found).figure,
                  "windows": lambda: draw.windows({m.upper(): self._scales(m) for m in ("els", "ls")}).figure}
        if names:
            makers["pictures"] = lambda: draw.pictures(found, names)
        for name, make in makers.items():
            figure = make()
            figure.savefig(self.folder / f"{name}.png", dpi=160, bbox_inches="tight")
            plt.close(figure)
        return f"in {self.folder}"

    # -- helpers ----------------------------------------------------------------------------------------

    def _calibrated(self, path, wanted):
        """Whether the windows are there; ValueError if they were found under other settings."""
        if not path.exists():
            return False
        found = ScaleSchedule.load(path).info.get("made_with", {})
        if found != wanted:
            raise ValueError(f"{path} was calibrated under other settings: {difference(found, wanted)}. "
                             "Use another output folder, or remove it")
        return True

    def _recipes(self):
        second = self.entry.second if self.ceiling else None
        return [recipe for recipe in (self.entry.recipe, second) if recipe is not None]

    def _weights(self, recipe):
        """Path of the trained network, own training before shipped weights; None if there is none."""
        from elsedu.networks.storage import FOLDER

        own = self.folder / "weights" / f"{recipe.name}.safetensors"
        shipped = FOLDER / f"{recipe.name}.safetensors"
        return own if own.exists() else shipped if shipped.exists() and not self.retrain else None

    def _network(self, recipe):
        return processes.on_main_process(lambda: self._load(recipe)).to(self.device)

    def _load(self, recipe):
        from elsedu import networks

        path = self._weights(recipe)
        if path is None:
            raise FileNotFoundError(f"there are no weights of {recipe.name!r} yet: run the stage 'train' first "
                                    f"(elsedu reproduce {self.entry.name} --stage train)")
        return networks.load(path)

    def _scales_path(self, machine):
        return self.folder / f"{self.entry.stem}.{machine}.json"

    def _scales(self, machine):
        path = self._scales_path(machine)
        if not path.exists():
            raise FileNotFoundError(f"there is no {path} yet: run the stage 'calibrate' first")
        return ScaleSchedule.load(path)

    def _borrow(self, source):
        """Copy the windows of another experiment of the same tier (the paper's attention row does so)."""
        other = source if "." in source else experiment(source, self.entry.tier).stem
        for machine in ("els", "ls"):
            found = [place for place in (self.output / other / f"{other}.{machine}.json",
                                         SHIPPED / "scales" / f"{other}.{machine}.json")
                     if place.exists()]
            if not found:
                raise FileNotFoundError(f"{self.entry.name} uses the windows of {source}: reproduce that first")
            if not self._scales_path(machine).exists():
                ScaleSchedule.load(found[0]).save(self._scales_path(machine))

    def _plan(self):
        entry = self.entry
        second = None
        if entry.second is not None and self.ceiling and processes.on_main_process(
                lambda: self._weights(entry.second) is not None):
            second = self._network(entry.second)
        scales = processes.on_main_process(lambda: {m: self._scales(m) for m in ("els", "ls")})
        plan = Plan(self._network(entry.recipe), self.data, scales, entry.seeds,
                    entry.steps, entry.network_steps, second, entry.machines, backend=self.backend,
                    batch=entry.batch)
        return plan, self.held.enter_context(Pieces(self.folder / "pieces", plan.settings()))

    def _jacobian(self, plan, pieces):
        """Widths of the network's heat maps over time; the maps themselves go into the pieces."""
        from elsedu.scales import jacobian

        def compute():
            import torch

            times, maps = jacobian.over_time(plan.network, 8, plan.steps)
            return {"times": torch.tensor(times), "maps": maps}

        found = pieces.get("jacobian", compute)
        maps = found["maps"]
        return records.rounded({
            "t": [round(t, 6) for t in found["times"].double().tolist()],
            "covering_window": [jacobian.covering_window(m) for m in maps],
            "effective_width": [jacobian.effective_width(m) for m in maps],
            "maps": (maps / maps.amax((1, 2), keepdim=True)),
        }, 3)

    def _publishable(self, images):
        """Which pictures may lie in the repository: not those that show training images, and no faces."""
        if self.entry.tier == "embedded":
            return list(images)
        if self.entry.recipe.data == "celeba":
            return []
        return [name for name in images if name not in ("is", "es")]


def table(folder=None, steps=150, metric="pearson_r", missing=True):
    """Paper against measured, as rows (`elsedu.results_table.rows`); `markdown`, `html`, `plain` render them.

    >>> import elsedu
    >>> rows = elsedu.reproduce.table()
    >>> rows[-1]["paper"]["els"]
    0.77
    """
    return rows(folder, steps, metric, missing)
