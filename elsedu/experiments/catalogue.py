"""Experiments as data: the rows of the paper's tables, and small ones without a download (chapter "Prediction").

An `Experiment` says what is trained on what, how its windows are calibrated, and how many seeds are
compared. `elsedu.reproduce` runs any of them in the same way. Tiers:

embedded   data that come with the package, networks shipped with it: minutes
laptop     the paper's data at 16x16 pixels, all images, networks of width 64: an hour or so a row
full       the paper's settings at 32x32 pixels: a GPU
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from elsedu._common.checks import check_choice
from elsedu.data import SOURCES
from elsedu.experiments.recipes import recipes
from elsedu.machines.lineup import MACHINES
from elsedu.training.recipe import Recipe
from elsedu.training.settings import Settings

TIERS = ("embedded", "laptop", "full")

# Paper, tables 1 (network with 150 steps) and 2 (20 steps): medians over 100 seeds of what the paper
# calls r^2 and its code computes as Pearson's r. Columns: ELS, LS, IS, share of seeds with ELS above IS
# (with LS above IS for celeba-unet-zero).
_PAPER = """
mnist-unet-zero            .89 .88 .70  .93    .84 .83 .69  .92
cifar10-unet-zero          .90 .87 .41  .92    .82 .80 .39  .99
fashion_mnist-unet-zero    .93 .93 .80 1.00    .91 .91 .80  .90
celeba-unet-zero           .85 .90 .55 1.00    .75 .81 .51 1.00
mnist-resnet-zero          .94 .82 .61 1.00    .94 .84 .62  .97
mnist-resnet-circular      .77 .36 .15  .92    .73 .33 .14  .99
cifar10-resnet-zero        .95 .90 .42 1.00    .90 .86 .43 1.00
cifar10-resnet-circular    .94 .83 .35 1.00    .90 .80 .36 1.00
fashion_mnist-resnet-zero  .94 .88 .68 1.00    .90 .88 .74  .97
celeba-resnet-zero         .96 .90 .47 1.00    .92 .88 .48 1.00
cifar10-unet-attention     .77 .77 .48  .95    .75 .74 .47  .92
"""
PAPER = {
    row[0]: {steps: dict(zip(("els", "ls", "is", "above_is"), map(float, row[1 + 4 * k:5 + 4 * k])))
             for k, steps in enumerate(("150", "20"))}
    for row in (line.split() for line in _PAPER.strip().splitlines())
}
# Twenty minutes or less on one core, where the paper's schedule (a rate of 1e-4 that halves every 50 epochs)
# would hardly have begun to learn. Also for a full-tier experiment whose number of epochs is changed.
SHORT = Settings(steps=10000, batch=64, lr=2e-3, lr_schedule="short", warmup=500, decay=0.6, stratified=True,
                 precision="bfloat16")
CONDITIONAL = ("fashion_mnist", "cifar10")          # the paper trains these with class labels
# The order of a long night: smallest images first; the UNet with attention takes the windows of the ResNet.
PRIORITY = ("mnist-unet-zero", "mnist-resnet-zero", "mnist-resnet-circular", "fashion_mnist-unet-zero",
            "fashion_mnist-resnet-zero", "cifar10-unet-zero", "cifar10-resnet-zero", "cifar10-resnet-circular",
            "cifar10-unet-attention", "celeba-unet-zero", "celeba-resnet-zero")
TRAINING_IMAGES = {"celeba": 10_000}                # as many faces as are used; elsewhere all


@dataclass(frozen=True)
class Experiment:
    """One row.

    name, tier : as above. recipe : what is trained and on what. second : the same from another seed, for
    the ceiling, or None. calibration : options of `elsedu.calibrate`, without network, machine and data.
    scales_from : the experiment (or stem) whose windows are used instead of a calibration of its own, or None.
    seeds, steps, network_steps, batch, machines : of `elsedu.compare`. paper_row : the row of `PAPER` to show beside.
    changes : what was changed from the declared settings; part of the names of result files.
    """

    name: str
    tier: str
    recipe: Recipe
    second: Recipe | None = None
    calibration: dict = field(default_factory=dict)
    scales_from: str | None = None
    seeds: int = 100
    steps: int = 20
    network_steps: tuple = (20, 150)
    batch: int = 20
    machines: tuple = MACHINES
    paper_row: str | None = None
    changes: dict = field(default_factory=dict)

    @property
    def stem(self):
        """File name of its results, without ending: name, name.laptop, name.full-w96, ..."""
        return self._named(self.name)

    def _named(self, name):
        changed = "".join(f"-{key[0]}{value}" for key, value in sorted(self.changes.items()))
        if self.tier == "laptop":
            return f"{name}.laptop{changed}"
        return f"{name}.{self.tier}{changed}" if changed else name

    @property
    def paper(self):
        """{"150": {"els", "ls", "is", "above_is"}, "20": ...} of the paper, or None."""
        return PAPER.get(self.paper_row)

    def changed(self, *, width=None, limit_images=None, epochs=None, seeds=None):
        """The experiment with other settings (None: as declared). ValueError for impossible ones.

        Another number of epochs at the full tier also means the short tiers' training settings (SHORT): the
        paper's learning rates belong to its 300 epochs.
        """
        for key, value in {"width": width, "limit_images": limit_images, "epochs": epochs, "seeds": seeds}.items():
            if value is not None and not value > 0:
                raise ValueError(f"{key} must be positive, got {value!r}")
        changes = {"width": width, "n_images": limit_images, "epochs": epochs}
        changes = {key: value for key, value in changes.items() if value is not None}
        entry = dataclasses.replace(self, seeds=self.seeds if seeds is None else seeds,
                                    changes={**self.changes, **changes})
        if not changes:
            return entry

        def altered(recipe):
            if recipe is None:
                return None
            options, settings = dict(recipe.data_options), recipe.settings
            if limit_images is not None:
                options["limit"] = limit_images
            network = dict(recipe.network)
            if epochs is not None:
                if self.tier == "full":
                    settings = dataclasses.replace(SHORT, seed=settings.seed)
                    network["time_scale"] = 30.0
                images = options.get("limit") or SOURCES[recipe.data].images
                settings = dataclasses.replace(settings, steps=max(1, round(epochs * images / settings.batch)))
            if width is not None:
                network["width"] = width
            name = entry._named(recipe.name.partition(".")[0])
            return dataclasses.replace(recipe, name=name, data_options=options, network=network, settings=settings)

        return dataclasses.replace(entry, recipe=altered(entry.recipe), second=altered(entry.second))


def with_changes(entry, changes):
    """The experiment with the changes that a result's provenance names, {"width", "n_images", "epochs"}."""
    return entry.changed(width=changes.get("width"), limit_images=changes.get("n_images"), epochs=changes.get("epochs"))


def from_stem(stem):
    """The experiment whose files have this stem ("cifar10-resnet-zero.full-e10-w96"); ValueError if there is none.

    >>> import elsedu
    >>> elsedu.experiments.from_stem("cifar10-resnet-zero.full-w96").recipe.network["width"]
    96
    """
    name, _, rest = stem.partition(".")
    tier, *marks = rest.split("-") if rest else ["full" if name in PAPER else "embedded"]
    keys = {"e": "epochs", "n": "limit_images", "w": "width"}
    if not all(mark[:1] in keys and mark[1:].isdigit() for mark in marks):
        raise ValueError(f"{stem!r} is not the stem of an experiment, such as cifar10-resnet-zero.full-e10-w96")
    return experiment(name, tier).changed(**{keys[mark[0]]: int(mark[1:]) for mark in marks})


def _network(kind, padding, width, classes, time_scale):
    shared = {"classes": classes, "embedding": 256, "time_scale": time_scale}
    if kind == "resnet":
        return {"kind": "resnet", "width": width, "blocks": 6, "padding": padding, **shared}
    return {"kind": "unet", "width": width, "padding": "zero", "attention": padding == "attention", **shared}


def _windows(kind, side):
    """Candidates: up to what the ResNet sees (17, as in the paper), for the UNet up to the whole image."""
    return list(range(3, min(17 if kind == "resnet" else 33, 2 * side - 1) + 1, 2))


def _row(name, tier):
    data, kind, padding = name.split("-")
    side = {"laptop": 16, "full": 32}[tier]
    options = {"size": side}
    if data in TRAINING_IMAGES:
        options["limit"] = TRAINING_IMAGES[data]
    images = TRAINING_IMAGES.get(data, SOURCES[data].images)
    if tier == "full":  # paper, appendix C: 300 epochs of 128 images, AdamW, 1e-4
        settings = Settings(steps=round(300 * images / 128), batch=128, lr=1e-4, lr_schedule="paper")
        width = 256 if kind == "resnet" else 64
    else:
        settings = SHORT
        width = 64 if kind == "resnet" else 32
    classes = 10 if data in CONDITIONAL else None
    suffix = ".laptop" if tier == "laptop" else ""
    # with few steps the paper's raw t is learnt too slowly (elsedu.networks.embedding)
    network = _network(kind, padding, width, classes, 30.0 if tier == "laptop" else 1.0)
    recipe = Recipe(name + suffix, data, network, settings, options)
    windows = _windows(kind, side)
    if padding == "circular":
        windows = [w for w in windows if w <= side]
    # The plain machine beside the zero-border one costs more than all others together: on the largest
    # dictionaries it is left out (the smaller rows show what the border is worth).
    largest = tier == "full" or (data == "mnist" and padding == "zero")
    machines = tuple(m for m in MACHINES if not (largest and m == "els_circular"))
    return Experiment(
        name, tier, recipe, calibration={"samples": 8 if tier == "laptop" else 10, "windows": windows},
        scales_from="cifar10-resnet-zero" if padding == "attention" else None,
        seeds=50 if tier == "laptop" else 100, paper_row=name,
        # the CPU computes up to 16 images of one class together: a small batch of ten classes would waste that
        batch=50 if classes else 25, machines=machines)


def _embedded(name):
    """A recipe on data that come with the package, beside the paper's row of the same name if there is one."""
    recipe = recipes()[name]
    side = recipe.data_options.get("size") or SOURCES[recipe.data].shape[1]
    row = name.replace("mnist16-", "mnist-")
    windows = _windows(recipe.network["kind"], side)
    if recipe.network["padding"] == "circular":
        windows = [w for w in windows if w <= side]
    return Experiment(name, "embedded", recipe, recipes().get(f"{name}-b"),
                      calibration={"samples": 10, "windows": windows}, paper_row=row if row in PAPER else None)


def names(tier=None):
    """Names of the experiments, of one tier or of all."""
    small = [name for name in recipes() if not name.endswith("-b")]
    if tier is None:
        return [*small, *PAPER]
    check_choice(tier, TIERS, "tier")
    return small if tier == "embedded" else list(PAPER)


def experiment(name, tier=None):
    """The experiment called `name`. tier: "laptop" (default) or "full" for the paper's rows.

    ValueError names the known ones.

    >>> import elsedu
    >>> elsedu.experiments.experiment("cifar10-resnet-zero", "full").recipe.network["width"]
    256
    """
    check_choice(name, names(), "experiment")
    if name in PAPER:
        tier = check_choice(tier or "laptop", ("laptop", "full"), f"tier of {name!r}")
        return _row(name, tier)
    check_choice(tier or "embedded", ("embedded",), f"tier of {name!r}")
    return _embedded(name)


def recipe(name: str) -> Recipe:
    """The recipe of that name: one of `recipes()`, or a row of the paper ("mnist-resnet-zero.laptop").

    ValueError lists the known ones.
    """
    known = recipes()
    if name in known:
        return known[name]
    try:
        return from_stem(name).recipe
    except ValueError as error:
        raise ValueError(f"no recipe for {name!r}; known: {', '.join(sorted(known))}, and the paper's rows, "
                         f"{', '.join(PAPER)}, also with .laptop behind") from error
