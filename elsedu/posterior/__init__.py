"""The sum over patches: one public function, several ways of computing it (part II, chapter "Computing it fast")."""

import elsedu.posterior.backends  # noqa: F401  the folder; before `backends`, the function, takes its name here
from elsedu.posterior.engine import BACKENDS, backends, choose_backend, partial_posterior
from elsedu.posterior.state import (
    FIELDS,
    Dictionary,
    Kind,
    Posterior,
    State,
    finish,
    merge,
    patch_counts,
    window_sizes,
)

__all__ = [
    "BACKENDS",
    "FIELDS",
    "Dictionary",
    "Kind",
    "Posterior",
    "State",
    "backends",
    "choose_backend",
    "finish",
    "merge",
    "partial_posterior",
    "patch_counts",
    "window_sizes",
]
