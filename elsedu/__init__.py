"""elsedu: the analytic theory of creativity in convolutional diffusion models, derived and run.

M. Kamb and S. Ganguli, "An analytic theory of creativity in convolutional diffusion models", ICML 2025.
Names are loaded when first used, so that `import elsedu` is quick.
"""

import importlib

__version__ = "0.1.0"

# Names of the package itself, by the module that they live in.
_NAMES = {
    "elsedu.data": ("load", "ImageSet"),
    "elsedu.machines": (
        "IdealScore",
        "EquivariantScore",
        "LocalScore",
        "EquivariantLocalScore",
        "WienerScore",
        "StationaryWienerScore",
        "ScaleSchedule",
    ),
    "elsedu.diffusion": ("Denoiser", "Schedule", "sample", "ddim"),
    "elsedu.posterior": ("Posterior",),
    "elsedu.analysis": ("pearson_r", "squared_pearson", "determination"),
    "elsedu.networks": ("network",),
    "elsedu.scales": ("calibrate",),
    "elsedu.experiments": ("compare", "result"),
}
# Short names of modules: `elsedu.sampling` is elsedu.diffusion.sampling.
_MODULES = {
    "calibration": "scales.calibration",
    "comparison": "experiments.comparison",
    "comparison_figures": "figures.comparison",
    "data": "data",
    "distributed": "_common.processes",
    "exercises": "teaching.exercises",
    "experiments": "experiments",
    "explorers": "figures.explorers",
    "figures": "figures",
    "jacobian": "scales.jacobian",
    "machines": "machines",
    "metrics": "analysis.metrics",
    "mosaic": "analysis.mosaic",
    "networks": "networks",
    "notebook": "teaching.notebook",
    "other_denoisers": "machines.others",
    "posterior": "posterior",
    "records": "_common.records",
    "reproduce": "experiments.stages",
    "results_table": "experiments.tables",
    "sampling": "diffusion.sampling",
    "scales": "scales",
    "schedule": "diffusion.schedule",
    "seeds": "diffusion.seeds",
    "training": "training",
    "wiener": "machines.wiener",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name):
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"elsedu.{_MODULES[name]}")
    else:
        raise AttributeError(f"module 'elsedu' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
