"""The smallest experiments: two networks of eight channels on forty digits, and the paper's rows in miniature."""

import dataclasses

from elsedu.experiments import stages
from elsedu.experiments.catalogue import Experiment, experiment
from elsedu.training import Settings
from elsedu.training.recipe import Recipe


def tiny():
    recipe = Recipe("tiny", "digits", {"kind": "resnet", "width": 8, "blocks": 1, "embedding": 16},
                    Settings(steps=4, batch=8, lr=1e-3), {"limit": 40})
    second = dataclasses.replace(recipe, name="tiny-b", settings=dataclasses.replace(recipe.settings, seed=1))
    return Experiment("tiny", "embedded", recipe, second, {"samples": 2, "windows": [3, 5]}, seeds=4, steps=3,
                      network_steps=(3, 20), batch=2)


def run(output, entry=None, **options):
    return stages.run(entry or tiny(), output=output, progress=False, say=lambda line: None, **options)


def miniature(name, tier="full"):
    """A row of the paper with a network of four channels, eight steps of training and images of 8x8 pixels."""
    entry = experiment(name, tier)
    recipe = entry.recipe
    network = {**recipe.network, "width": 4, "embedding": 8, "time_scale": 30.0}
    network |= {"blocks": 1} if network["kind"] == "resnet" else {}
    network |= {"heads": 2} if network.get("attention") else {}
    options = {**recipe.data_options, "size": 8} | ({"limit": 12} if "limit" in recipe.data_options else {})
    settings = dataclasses.replace(recipe.settings, steps=8, batch=4)
    recipe = dataclasses.replace(recipe, network=network, data_options=options, settings=settings)
    return dataclasses.replace(entry, recipe=recipe, calibration={"samples": 1, "windows": [3, 5]}, seeds=2, steps=2,
                               network_steps=(2,), batch=1)
