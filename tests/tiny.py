"""The smallest experiment: a network of eight channels on forty digits, two of them for the ceiling."""

import dataclasses

from elsedu.experiments import stages
from elsedu.experiments.catalogue import Experiment
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
