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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from elsedu._common import processes, records
from elsedu._common.checks import check_choice
from elsedu._common.files import SHIPPED
from elsedu._common.lock import one_writer
from elsedu._common.progress import progress_wanted
from elsedu.experiments.catalogue import PRIORITY, Experiment, experiment, names
from elsedu.experiments.comparison import Plan
from elsedu.experiments.store import OutOfTime, ResultStore, check_time_left, difference
from elsedu.experiments.tables import rows
from elsedu.machines.windows import ScaleSchedule
from elsedu.scales.calibration import calibrate
from elsedu.training.run import run as train

__all__ = ["STAGES", "RunOptions", "run", "run_all", "table"]

STAGES = ("train", "calibrate", "sample", "compare", "figures")
ALONE = ("train", "figures")  # of several processes the first does these, and the others wait
STOPPED = "stopped"


@dataclass(frozen=True)
class RunOptions:
    """How experiments are run, whichever they are.

    Attributes:
        output: Folder of the results.
        retrain: Train from scratch although weights are shipped.
        backend: Of the machines.
        minutes: Stop after so long; the next call goes on.
        ceiling: Also draw with the second network, where the experiment has one.
        device: Of networks and machines, "cpu", "cuda", ...
        progress: Whether bars are shown; None leaves it to ELSEDU_PROGRESS.
        say: Called with a line of text at each stage.
    """

    output: Path | str = "reproduced"
    retrain: bool = False
    backend: str = "auto"
    minutes: float | None = None
    ceiling: bool = True
    device: object = "cpu"
    progress: bool | None = None
    say: Callable[[str], None] = print


def run(name, tier=None, output="reproduced", *, stage=None, width=None, limit_images=None, epochs=None, seeds=None,
        **options):
    """Run an experiment, or one stage of it.

    Args:
        name: Of the experiment (`elsedu.experiments.names()`), or an `Experiment`.
        tier: Of the paper's rows, "laptop" or "full".
        output: Folder of the results.
        stage: One of `STAGES`, or several; None for all that is missing. A stage needs the earlier ones' files.
        width: Channels of the network, instead of the declared number; likewise `limit_images`, `epochs`, `seeds`.
        **options: The other fields of `RunOptions`.

    Returns:
        The path of the result, or None while it is not finished.

    Raises:
        OSError: Before any work, if `output` cannot be written, or if another process runs the same experiment there.
        ValueError: For unknown names, impossible settings, or files of other settings.
    """
    options = RunOptions(Path(output), **options)
    entry = name if isinstance(name, Experiment) else experiment(name, tier)
    entry = entry.changed(width=width, limit_images=limit_images, epochs=epochs, seeds=seeds)
    stages = STAGES if stage is None else (stage,) if isinstance(stage, str) else tuple(stage)
    for one in stages:
        check_choice(one, STAGES, "stage")
    folder = options.output / entry.stem
    processes.on_main_process(lambda: records.check_writable(folder))
    with contextlib.ExitStack() as held:
        processes.on_main_process(lambda: held.enter_context(one_writer(folder)))
        return _Job(entry, options, held).run(stages)


def run_all(tier="laptop", output="reproduced", *, minutes=None, only=None, say=print, width=None, limit_images=None,
            epochs=None, seeds=None, **options):
    """Run every experiment of a tier, the quickest first, within a budget of time; what is done is skipped.

    An experiment that cannot be run, because its images are not at hand, is named, and the others go on. Called again
    with the same settings it goes on where it was, so that an hour now and an hour tomorrow make two hours.

    Args:
        tier: "embedded", "laptop" or "full".
        output: Folder of the results.
        minutes: The budget; None for as long as it takes.
        only: Names of some experiments instead of all.
        say: Called with a line of text at each stage.
        width: Channels of the networks, instead of the declared number; likewise `limit_images`, `epochs`, `seeds`.
        **options: The other fields of `RunOptions`.

    Returns:
        {name: path of the result, or None while it is not finished}, of those that were come to.
    """
    changes = {"width": width, "limit_images": limit_images, "epochs": epochs, "seeds": seeds}
    end = None if minutes is None else time.monotonic() + 60 * minutes
    order = sorted(names(tier), key=lambda name: PRIORITY.index(name) if name in PRIORITY else -1)
    unknown = sorted(set(only or ()) - set(order))
    if unknown:
        check_choice(unknown[0], tuple(order), f"experiment of the tier {tier}")
    found = {}
    for name in (name for name in order if only is None or name in only):
        left = None if end is None else (end - time.monotonic()) / 60
        if left is not None and not processes.on_main_process(lambda left=left: left > 0):
            break
        entry = experiment(name, None if tier == "embedded" else tier).changed(**changes)
        found[name] = processes.on_main_process(lambda entry=entry: _finished(entry, Path(output)))
        if found[name] is not None:
            continue
        try:
            found[name] = run(entry, output=output, minutes=left, say=say, **options)
        except FileNotFoundError as error:
            found[name] = None
            if processes.is_main_process():
                say(f"{name}: {error}")
    return found


def _finished(entry, output):
    """The path of the experiment's result, if it is there with all its seeds and figures."""
    path = output / f"{entry.stem}.json"
    if not path.exists() or not list((output / entry.stem).glob("*.png")):
        return None
    return path if records.read_json(path)["measured"]["seeds"] == entry.seeds else None


class _Job:
    """One experiment and its files."""

    def __init__(self, entry, options, held):
        self.entry, self.options, self.output, self.held = entry, options, options.output, held
        self.folder = self.output / entry.stem
        self.progress = progress_wanted() if options.progress is None else options.progress
        self.deadline = None if options.minutes is None else time.monotonic() + 60 * options.minutes
        self.data = processes.main_process_first(entry.recipe.load_data)

    @property
    def result(self):
        return self.output / f"{self.entry.stem}.json"

    def run(self, stages):
        """The stages in order; the result's path, or None if the time was over before."""
        for stage in stages:
            start, work = time.perf_counter(), getattr(self, stage)
            try:
                done = processes.on_main_process(work) if stage in ALONE else work()
            except OutOfTime:
                done = STOPPED
            if processes.is_main_process():
                self.options.say(f"{self.entry.stem}: {stage} {done} ({time.perf_counter() - start:.0f} s)")
            if done == STOPPED:
                return None
        return self.result if processes.on_main_process(self.result.exists) else None

    # -- stages; each returns a word for the log --------------------------------------------------------

    def train(self):
        """Both networks (the second only for the ceiling), unless they are shipped."""
        first = self._weights(self.entry.recipe)
        if first is not None and self.folder not in first.parents:
            return "not needed"     # shipped; a ceiling that is not shipped is left out
        for recipe in self._recipes():
            if self._weights(recipe) is None and train(recipe, self.folder / "weights", minutes=self._minutes_left(),
                                                       device=self.options.device, progress=self.progress) is None:
                return STOPPED
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
            processes.on_main_process(lambda: check_time_left(self.deadline))
            start = time.perf_counter()
            scales = calibrate(network, machine, self.data, progress=self.progress, steps=self.entry.steps,
                               **self.entry.calibration)
            info = {**scales.info, "made_with": wanted, "minutes": round((time.perf_counter() - start) / 60, 2),
                    "device": records.device_name(self.options.device)}
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

    def _minutes_left(self):
        return None if self.deadline is None else max(0.0, (self.deadline - time.monotonic()) / 60)

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
        second = self.entry.second if self.options.ceiling else None
        return [recipe for recipe in (self.entry.recipe, second) if recipe is not None]

    def _weights(self, recipe):
        """Path of the trained network, own training before shipped weights; None if there is none."""
        from elsedu.networks.storage import FOLDER

        own = self.folder / "weights" / f"{recipe.name}.safetensors"
        shipped = FOLDER / f"{recipe.name}.safetensors"
        return own if own.exists() else shipped if shipped.exists() and not self.options.retrain else None

    def _network(self, recipe):
        return processes.on_main_process(lambda: self._load(recipe)).to(self.options.device)

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
        if entry.second is not None and self.options.ceiling and processes.on_main_process(
                lambda: self._weights(entry.second) is not None):
            second = self._network(entry.second)
        scales = processes.on_main_process(lambda: {m: self._scales(m) for m in ("els", "ls")})
        plan = Plan(self._network(entry.recipe), self.data, scales, entry.seeds,
                    entry.steps, entry.network_steps, second, entry.machines, backend=self.options.backend,
                    batch=entry.batch)
        store = ResultStore(self.folder / "pieces", plan.settings(), self.deadline)
        return plan, self.held.enter_context(store)

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
