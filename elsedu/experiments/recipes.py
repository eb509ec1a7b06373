"""How each shipped network was trained, as one table: `elsedu train <name>` runs an entry again.

Names are <data>-<network>-<padding>; "-b" is the same from another seed (initialisation, order of the
images, times and noise), for the ceiling of any prediction: how well two networks agree with each other.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from elsedu.training.settings import Settings


@dataclass(frozen=True)
class Recipe:
    """A named training.

    name : of the network; data, data_options : `elsedu.load(data, **data_options)`;
    network : configuration for `elsedu.networks.build`, without image_shape; settings : Settings
    """

    name: str
    data: str
    network: dict
    settings: Settings
    data_options: dict = field(default_factory=dict)

    def load_data(self):
        """The ImageSet it is trained on."""
        import elsedu

        return elsedu.load(self.data, **self.data_options)

    def build(self, data):
        """The untrained network, initialised from the recipe's seed; the caller's random state is kept."""
        import torch

        from elsedu import networks

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            network = networks.build({**self.network, "image_shape": list(data.images.shape[1:])})
        network.name = self.name
        return network


_RESNET = {"kind": "resnet", "width": 64, "blocks": 6, "embedding": 256, "time_scale": 30.0}
_UNET = {"kind": "unet", "width": 32, "embedding": 256, "time_scale": 30.0}
_MNIST16 = {"data": "mnist5k", "data_options": {"size": 16}}
_SHORT = Settings(steps=20000, batch=64, lr=2e-3, lr_schedule="short", warmup=500, decay=0.5,
                  stratified=True, precision="bfloat16")


def _entry(name, network, steps, seed=0, data="digits", data_options=None, **settings):
    return Recipe(name, data, network, dataclasses.replace(_SHORT, steps=steps, seed=seed, **settings),
                  data_options or {})


_TABLE = [
    _entry("digits-resnet-zero", {**_RESNET, "padding": "zero"}, 14000),
    _entry("digits-resnet-zero-b", {**_RESNET, "padding": "zero"}, 14000, seed=1),
    _entry("digits-resnet-circular", {**_RESNET, "padding": "circular"}, 8000),
    _entry("mnist16-resnet-zero", {**_RESNET, "padding": "zero"}, 18000, **_MNIST16),
    _entry("mnist16-resnet-zero-b", {**_RESNET, "padding": "zero"}, 18000, seed=1, **_MNIST16),
    _entry("mnist16-resnet-circular", {**_RESNET, "padding": "circular"}, 6000, **_MNIST16),
    _entry("mnist16-unet-zero", {**_UNET, "padding": "zero"}, 6000, **_MNIST16),
    _entry("mnist16-unet-attention", {**_UNET, "padding": "zero", "attention": True}, 6000, **_MNIST16),
]


def recipes() -> dict[str, Recipe]:
    """All recipes by name."""
    return {entry.name: entry for entry in _TABLE}


def recipe(name: str) -> Recipe:
    """The recipe of that name: one of `recipes()`, or a row of the paper ("mnist-resnet-zero.laptop").

    ValueError lists the known ones.
    """
    from elsedu.experiments import catalogue as experiments  # which are made of recipes

    known = recipes()
    if name in known:
        return known[name]
    try:
        return experiments.from_stem(name).recipe
    except ValueError as error:
        raise ValueError(f"no recipe for {name!r}; known: {', '.join(sorted(known))}, and the paper's rows, "
                         f"{', '.join(experiments.PAPER)}, also with .laptop behind") from error
