"""The posterior on the CPU in C++, images side by side in the vector registers (chapter "Computing it fast").

This file prepares arrays and calls the kernel; the method is explained in native/shift.cpp. The weights of
patches that together could change the result by less than 1e-7 are dropped before their exponential is
computed: a patch is dropped if it is more than log(number of patches) + 16 nats below the best one.
"""

from __future__ import annotations

import math
import os

import numpy as np
import torch

from elsedu.posterior.backends import attention_torch
from elsedu.posterior.state import Dictionary, Kind, State, patch_counts

try:
    from elsedu.posterior import _shift
except ImportError as error:  # built without a compiler
    _shift, _missing = None, str(error)

INSTRUCTION_SETS = ("avx512", "avx2", "base")


def available():
    """(usable, why)."""
    if _shift is None:
        return False, f"the C++ extension was not built ({_missing}); install a C++ compiler and reinstall elsedu"
    return True, f"C++, instruction set {instruction_set()}"


def instruction_set():
    """The best one this processor has, or the one in ELSEDU_NATIVE_ISA. ValueError if that one is not there."""
    wanted = os.environ.get("ELSEDU_NATIVE_ISA")
    if wanted:
        if wanted not in INSTRUCTION_SETS or not _shift.supports(wanted):
            known = ", ".join(isa for isa in INSTRUCTION_SETS if _shift.supports(isa))
            raise ValueError(f"ELSEDU_NATIVE_ISA={wanted!r} is not to be had here; usable: {known}")
        return wanted
    return next(isa for isa in INSTRUCTION_SETS if _shift.supports(isa))


def partial_posterior(dictionary: Dictionary, x, alpha, sigma, kind: Kind, windows, fields):
    """{window: State} in float32. Arguments as in `elsedu.posterior.partial_posterior`."""
    if kind.whole:  # one weight an image (and shift): a matrix product or an FFT is as fast
        return attention_torch.partial_posterior(dictionary, x, alpha, sigma, kind, windows, fields)
    images, x = dictionary.images.contiguous(), x.detach().contiguous()
    count, channels, height, width = images.shape
    batch, pixels = len(x), height * width
    full = bool(set(fields) & {"variance", "effective_patches", "source"})
    terms = 2 + 2 * channels if full else 1 + channels
    alpha, sigma = (np.ascontiguousarray(level.detach().double().cpu().numpy()) for level in (alpha, sigma))
    asked, windows = windows, sorted(windows)  # the kernel grows each window's sums from those of the next smaller one
    sides = np.array(windows, dtype=np.int32)
    shape = (batch, len(windows), height, width)
    m, sums = np.empty(shape), np.empty((*shape, terms))
    source, tied = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.uint8)
    reach = math.log(count * (pixels if kind.equivariant else 1)) + 16
    _shift.posterior(
        instruction_set(), images.data_ptr(), x.data_ptr(), count, batch, channels, height, width,
        alpha.ctypes.data, sigma.ctypes.data, sides.ctypes.data, len(windows),
        kind.equivariant, kind.border == "circular", kind.interior, full, reach, torch.get_num_threads(),
        m.ctypes.data, sums.ctypes.data, source.ctypes.data, tied.ctypes.data,
    )
    states = {}
    for k, window in enumerate(windows):
        part = torch.from_numpy(sums[:, k]).float()
        state = State(m=torch.from_numpy(m[:, k]), s=part[..., 0],
                      v=part[..., 1:1 + channels].permute(0, 3, 1, 2),
                      n=patch_counts(kind, window, count, height, width))
        if full:
            state.v2 = part[..., 1 + channels:1 + 2 * channels].permute(0, 3, 1, 2)
            state.u = part[..., -1] * math.log(2)  # the kernel works in powers of 2
            at = torch.from_numpy(source[:, k])
            state.source = torch.stack([at // pixels, at % pixels // width, at % width], -1)
            state.tied = torch.from_numpy(tied[:, k]).bool()
        states[window] = state
    return {window: states[window] for window in asked}
