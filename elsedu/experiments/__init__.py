"""Network against theory, from noise to a row of the table (chapter "Prediction")."""

from elsedu.experiments.catalogue import PAPER, TIERS, Experiment, experiment, from_stem, names, recipe
from elsedu.experiments.comparison import Comparison, compare, result
from elsedu.experiments.recipes import recipes
from elsedu.training.recipe import Recipe

__all__ = [
    "PAPER",
    "TIERS",
    "Comparison",
    "Experiment",
    "Recipe",
    "compare",
    "experiment",
    "from_stem",
    "names",
    "recipe",
    "recipes",
    "result",
]
