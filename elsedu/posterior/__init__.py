"""The sum over patches: one public function, several ways of computing it (part II, chapter "Computing it fast")."""

import elsedu.posterior.backends  # noqa: F401  the folder; before `backends`, the function, takes its name here
from elsedu.posterior.borders import comparable, patch_counts, window_sizes
from elsedu.posterior.dictionary import Constraints, Dictionary
from elsedu.posterior.engine import BACKENDS, backends, choose_backend, partial_posterior
from elsedu.posterior.posterior import FIELDS, Posterior, to_posterior
from elsedu.posterior.state import State, merge

__all__ = [
    "BACKENDS",
    "FIELDS",
    "Constraints",
    "Dictionary",
    "Posterior",
    "State",
    "backends",
    "choose_backend",
    "comparable",
    "merge",
    "partial_posterior",
    "patch_counts",
    "to_posterior",
    "window_sizes",
]
