"""How each shipped network was trained, as one table: `elsedu train <name>` runs an entry again.

Names are <data>-<network>-<padding>; "-b" is the same from another seed (initialisation, order of the
images, times and noise), for the ceiling of any prediction: how well two networks agree with each other.
"""

from __future__ import annotations

import dataclasses

from elsedu.training.recipe import Recipe
from elsedu.training.settings import Settings

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
