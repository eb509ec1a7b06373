"""What there is, what is missing, and what comes next. All of it is read off the files of a work folder:

state.json                    minutes planned and used, calls, failures, how the kernels did
data/<set>/, data/<set>.json  official files that arrived, and the hash that was found
kernels/                      correctness and timing
rows/<row>.plan.json          how long this row is trained: chosen once, then kept
rows/<stem>/, rows/<stem>.json  the row's stages and its result, as `elsedu reproduce` writes them
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from elsedu._common import records
from elsedu.experiments.catalogue import PAPER, experiment

# Smallest images first; the UNet with attention takes the windows of the ResNet, so it follows it.
ROWS = ("mnist-unet-zero", "mnist-resnet-zero", "mnist-resnet-circular", "fashion_mnist-unet-zero",
        "fashion_mnist-resnet-zero", "cifar10-unet-zero", "cifar10-resnet-zero", "cifar10-resnet-circular",
        "cifar10-unet-attention", "celeba-unet-zero", "celeba-resnet-zero")
ATTEMPTS = 3        # of a row that fails
PAPER_EPOCHS = 300
DEFAULTS = {"format": 1, "rehearse": False, "seeds": 100, "total": 27.0, "used": 0.0, "call": 0, "failures": {},
            "kernels": None}
if set(ROWS) != set(PAPER):
    raise ImportError("the rows of full_scale are not those of the paper's table")


def set_of(row):
    """The image set of a row."""
    return row.partition("-")[0]


class Work:
    """A work folder and its state."""

    def __init__(self, folder, rows=ROWS):
        self.folder = Path(folder)
        self.rows = tuple(rows)
        path = self.folder / "state.json"
        self.state = {**DEFAULTS, **records.read_json(path)} if path.exists() else dict(DEFAULTS)

    def save(self):
        """Write the state, whole or not at all."""
        records.write_json(self.folder / "state.json", self.state)

    # -- a row ---------------------------------------------------------------------------------------------

    def plan(self, row):
        """{"epochs", ...} of a row, or None while nothing was chosen."""
        path = self.folder / "rows" / f"{row}.plan.json"
        return records.read_json(path) if path.exists() else None

    def entry(self, row, plan=None):
        """The experiment as it is run here, or as the paper declares it while no length is chosen."""
        plan = self.plan(row) if plan is None else plan
        entry = declared(row, self.state["rehearse"])
        if plan is None:
            return entry
        if self.state["rehearse"]:
            entry = dataclasses.replace(entry, changes={"epochs": plan["epochs"]})
            entry = dataclasses.replace(entry, recipe=dataclasses.replace(entry.recipe, name=entry.stem))
        else:
            epochs = None if plan["epochs"] >= PAPER_EPOCHS else plan["epochs"]
            entry = entry.changed(epochs=epochs, seeds=self.state["seeds"])
        if entry.scales_from is not None and self.plan(entry.scales_from) is not None:
            entry = dataclasses.replace(entry, scales_from=self.entry(entry.scales_from).stem)
        return entry

    def result(self, row):
        """The path of the row's result, which may not exist yet."""
        return self.folder / "rows" / f"{self.entry(row).stem}.json"

    def done(self, row):
        """Whether the row's result is there."""
        return self.plan(row) is not None and self.result(row).exists()

    def weights(self, row):
        """The path of the row's weights, which may not exist yet."""
        entry = self.entry(row)
        return self.folder / "rows" / entry.stem / "weights" / f"{entry.recipe.name}.safetensors"

    def checkpoint(self, row):
        """The folder of the row's checkpoint."""
        return self.weights(row).with_suffix(".checkpoint")

    # -- what comes next -------------------------------------------------------------------------------------

    def has_data(self, row):
        """Whether the row's images have arrived."""
        return (self.folder / "data" / f"{set_of(row)}.json").exists()

    def hindrance(self, row):
        """Why a row cannot be worked on now, or None."""
        if self.done(row):
            return "done"
        if len(self.state["failures"].get(row, [])) >= ATTEMPTS:
            return f"failed {ATTEMPTS} times: {self.state['failures'][row][-1]}"
        if not self.has_data(row):
            return f"the images of {set_of(row)} have not arrived"
        source = declared(row).scales_from
        if source is not None and not self.done(source):
            return f"needs the windows of {source}"
        return None

    def next_row(self):
        """The first row that can be worked on, or None."""
        return next((row for row in self.rows if self.hindrance(row) is None), None)

    def training_seconds(self, used=None):
        """How long a row that begins now may train: half of its equal share of the minutes that are left."""
        left = max(1, sum(not self.done(row) for row in self.rows))
        used = self.state["used"] if used is None else used
        return max(20.0, 30 * max(0.0, self.state["total"] - used) / left)

    def failed(self, row, why):
        """Remember a failure."""
        self.state["failures"].setdefault(row, []).append(why)
        self.save()

    # -- for people --------------------------------------------------------------------------------------------

    def describe(self):
        """Lines that say what is done and what is missing."""
        state = self.state
        lines = [f"{state['call']} calls, {state['used']:.1f} of {state['total']:g} minutes"
                 + (", a rehearsal" if state["rehearse"] else ""),
                 f"kernels: {'not tested yet' if state['kernels'] is None else state['kernels']['said']}"]
        return lines + [f"{row:27s} {self._describe(row)}" for row in self.rows]

    def _describe(self, row):
        plan = self.plan(row)
        if plan is None:
            return self.hindrance(row) or "to be done"
        length = f"{plan['epochs']} epochs"
        if self.done(row):
            r = records.read_json(self.result(row))["measured"]["agreement"]
            last = str(max(map(int, r)))
            medians = ", ".join(f"{name} {r[last][name]['pearson_r']['median']:.3f}" for name in ("els", "ls", "is")
                                if r[last].get(name, {}).get("pearson_r", {}).get("median") is not None)
            return f"done, {length}; median r with {last} steps: {medians}"
        folder, stem = self.folder / "rows" / self.entry(row).stem, self.entry(row).stem
        pieces = len(list((folder / "pieces").glob("*.safetensors")))
        windows = [m for m in ("els", "ls") if (folder / f"{stem}.{m}.json").exists()]
        stage = (f"{pieces} batches drawn" if pieces else f"calibrated {' and '.join(windows)}" if windows
                 else "trained" if self.weights(row).exists()
                 else "in training" if self.checkpoint(row).exists() else "planned")
        why = self.hindrance(row)
        return f"{stage}, {length}" + (f"; {why}" if why else "")


def declared(row, rehearse=False):
    """The paper's row at full scale; for a rehearsal the same one in miniature."""
    entry = experiment(row, "full")
    if not rehearse:
        return entry
    recipe = entry.recipe
    network = {**recipe.network, "width": 4, "embedding": 8, "time_scale": 30.0}
    network |= {"blocks": 1} if network["kind"] == "resnet" else {}
    network |= {"heads": 2} if network.get("attention") else {}
    options = {**recipe.data_options, "size": 8}
    if "limit" in options:
        options["limit"] = REHEARSED_FACES
    settings = dataclasses.replace(recipe.settings, steps=8, batch=4)
    return dataclasses.replace(entry, recipe=dataclasses.replace(recipe, network=network, data_options=options,
                                                                 settings=settings),
                               calibration={"samples": 1, "windows": [3, 5]}, seeds=2, steps=2, network_steps=(2,),
                               batch=1)


REHEARSED_FACES = 12


def minutes_since(start):
    """Minutes by the clock since time.monotonic() was `start`."""
    return (time.monotonic() - start) / 60
