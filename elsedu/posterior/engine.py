"""The sum over patches: one public function, several ways of computing it.

`partial_posterior` is what the machines call. The backends compute the same State:

definition   the formula as written, float64: slow, and the oracle of the tests
torch        attention over patches in PyTorch: any device and dtype, differentiable in x
native       a C++ kernel over shifts: CPU, float32, the fastest there
triton       a fused GPU kernel, where Triton and a CUDA device are present
"""

from __future__ import annotations

import functools
import importlib
import os
from dataclasses import dataclass, replace

import torch

from elsedu._common.checks import check_choice
from elsedu.posterior.borders import patch_counts
from elsedu.posterior.posterior import FIELDS
from elsedu.posterior.state import empty_state


@dataclass(frozen=True)
class Backend:
    """One way of computing the sum.

    Attributes:
        name: As users say it.
        module: Holds `partial_posterior`, and `available` if it may be missing.
        always: Why it is always there; None for one that may be missing.
        fast_on: The device on which "auto" prefers it, for float32 without gradients, the only thing it takes there;
            None for one that takes everything.
    """

    name: str
    module: str
    always: str | None = None
    fast_on: str | None = None


_TABLE = {
    backend.name: backend
    for backend in (
        Backend("definition", "elsedu.posterior.backends.definition", "float64 on the CPU, for small inputs"),
        Backend("torch", "elsedu.posterior.backends.attention_torch", "any device"),
        Backend("native", "elsedu.posterior.backends.native", fast_on="cpu"),
        Backend("triton", "elsedu.posterior.backends.attention_triton", fast_on="cuda"),
    )
}
BACKENDS = ("auto", *_TABLE)


def backends():
    """{backend: (usable here, why or why not)}.

    >>> import elsedu
    >>> elsedu.posterior.backends()["torch"][0]
    True
    """
    return {name: _available(name) for name in _TABLE}


def _available(name):
    if _TABLE[name].always:
        return True, _TABLE[name].always
    module = _import(name)
    return (False, f"not installed ({module})") if isinstance(module, ImportError) else module.available()


@functools.cache
def _import(name):
    """The backend's module, or the ImportError (looking for a missing package again and again takes milliseconds)."""
    try:
        return importlib.import_module(_TABLE[name].module)
    except ImportError as error:
        return error


def choose_backend(name, x):
    """The backend that serves the query x. ValueError if a named one cannot.

    "auto": native for float32 on the CPU without gradients, triton on CUDA, torch otherwise.
    """
    check_choice(name, BACKENDS, "backend")
    if name == "auto":
        plain = x.dtype == torch.float32 and not (x.requires_grad and torch.is_grad_enabled())
        for backend in _TABLE.values():
            if plain and x.device.type == backend.fast_on and _available(backend.name)[0]:
                return backend.name
        return "torch"
    usable, why = _available(name)
    if not usable:
        raise ValueError(f"backend {name!r} cannot be used here: {why}; use 'torch' or 'auto'")
    device = _TABLE[name].fast_on
    if device is not None:
        if x.requires_grad and torch.is_grad_enabled():
            raise ValueError(f"backend {name!r} computes no gradients, but x requires them; use 'torch'")
        if x.dtype != torch.float32 or (x.device.type != device and not _interpreted(name)):
            raise ValueError(f"backend {name!r} takes float32 on {device}, got {x.dtype} on {x.device}; use 'torch'")
    return name


def _interpreted(name):
    """Triton's interpreter runs GPU kernels on the CPU, for tests."""
    return name == "triton" and os.environ.get("TRITON_INTERPRET") == "1"


def partial_posterior(dictionary, x, alpha, sigma, kind, windows, fields=FIELDS, backend="auto"):
    """Sums over a dictionary of patches for a batch of noisy images: {window: State}.

    dictionary: Dictionary of images (N, C, H, W) on x's device and in its dtype; none give the neutral State.
    x: (B, C, H, W) noisy images. alpha, sigma: (B,) float64, sigma > 0.
    kind: which machine; windows: odd sides, all served from one pass (whole-image machines: [None]).
    fields: which of FIELDS the sums must serve. The States can be merged, then handed to `to_posterior`.
    """
    name = choose_backend(backend, x)
    if len(dictionary.images) == 0:  # a process whose part holds no image of a class (elsedu.distributed)
        count, *pixels = dictionary.images[:, 0].shape
        return {w: replace(empty_state(x, fields, kind.whole), n=patch_counts(kind, w, count, *pixels).to(x.device))
                for w in windows}
    return _import(name).partial_posterior(dictionary, x, alpha, sigma, kind, list(windows), frozenset(fields))
