"""elsedu: the analytic theory of creativity in convolutional diffusion models, derived and run.

M. Kamb and S. Ganguli, "An analytic theory of creativity in convolutional diffusion models", ICML 2025.
Names are loaded when first used, so that `import elsedu` is quick.
"""

import importlib

__version__ = "0.1.0"

_NAMES = {
    "elsedu.data": ("load", "ImageSet"),
    "elsedu.machines": ("IdealScore", "EquivariantScore", "LocalScore", "EquivariantLocalScore"),
    "elsedu.wiener": ("WienerScore",),
    "elsedu.scales": ("ScaleSchedule",),
    "elsedu.schedule": ("Schedule",),
    "elsedu.denoiser": ("Denoiser",),
    "elsedu.posterior": ("Posterior",),
    "elsedu.sampling": ("sample", "ddim"),
    "elsedu.metrics": ("pearson_r", "squared_pearson", "determination"),
    "elsedu.networks": ("network",),
    "elsedu.calibration": ("calibrate",),
    "elsedu.comparison": ("compare",),
}
_MODULES = (
    "calibration", "comparison", "data", "distributed", "exercises", "experiments", "explorers", "figures", "jacobian",
    "machines", "metrics", "mosaic", "networks", "other_denoisers", "posterior", "reproduce", "sampling", "scales",
    "schedule", "training", "wiener",
)
_HOME = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name):
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"elsedu.{name}")
    raise AttributeError(f"module 'elsedu' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
