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
from elsedu.posterior.borders import patch_counts
from elsedu.posterior.dictionary import Constraints, Dictionary
from elsedu.posterior.native import library
from elsedu.posterior.native.build import BuildError
from elsedu.posterior.state import State

INSTRUCTION_SETS = ("avx512", "avx2", "base")


def available():
    """(usable, why). Compiles the engine if it is missing and a compiler is there."""
    try:
        return True, f"C++, instruction set {instruction_set()}"
    except BuildError as error:
        return False, f"the C++ engine is missing: {error}"


def instruction_set():
    """The best one this processor has, or the one in ELSEDU_NATIVE_ISA. ValueError if that one is not there."""
    engine, wanted = library.load(), os.environ.get("ELSEDU_NATIVE_ISA")
    usable = [isa for isa in INSTRUCTION_SETS if engine.supports(isa)]
    if wanted and wanted not in usable:
        raise ValueError(f"ELSEDU_NATIVE_ISA={wanted!r} is not to be had here; usable: {', '.join(usable)}")
    return wanted or usable[0]


def partial_posterior(dictionary: Dictionary, x, alpha, sigma, kind: Constraints, windows, fields):
    """{window: State} in float32. Arguments as in `elsedu.posterior.partial_posterior`."""
    if kind.whole:  # one weight an image (and shift): a matrix product or an FFT is as fast
        return attention_torch.partial_posterior(dictionary, x, alpha, sigma, kind, windows, fields)
    images, x = dictionary.images.contiguous(), x.detach().contiguous()
    count, channels, height, width = images.shape
    batch, pixels = len(x), height * width
    full = bool(set(fields) & {"variance", "effective_patches", "source"})
    terms = 2 + 2 * channels if full else 1 + channels
    alpha, sigma = (np.ascontiguousarray(level.detach().double().cpu().numpy()) for level in (alpha, sigma))
    asked, windows = windows, sorted(set(windows))  # the kernel grows a window's sums from the next smaller one's
    sides = np.array(windows, dtype=np.int32)
    shape = (batch, len(windows), height, width)
    m, sums = np.empty(shape), np.empty((*shape, terms))
    source, tied = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.uint8)
    reach = math.log(count * (pixels if kind.equivariant else 1)) + 16
    job = {
        "dictionary": images.data_ptr(), "queries": x.data_ptr(), "images": count, "batch": batch,
        "channels": channels, "height": height, "width": width, "alpha": alpha.ctypes.data,
        "sigma": sigma.ctypes.data, "windows": sides.ctypes.data, "window_count": len(windows),
        "equivariant": kind.equivariant, "circular": kind.border == "circular", "interior": kind.interior,
        "full": full, "reach": reach,
    }
    library.load().posterior(instruction_set(), torch.get_num_threads(), job, m=m.ctypes.data, sums=sums.ctypes.data,
                             source=source.ctypes.data, tied=tied.ctypes.data)
    states = {}
    for k, window in enumerate(windows):
        part = torch.from_numpy(sums[:, k]).float()
        state = State(m=torch.from_numpy(m[:, k]), s=part[..., 0], v=part[..., 1:1 + channels],
                      n=patch_counts(kind, window, count, height, width))
        if full:
            state.v2 = part[..., 1 + channels:1 + 2 * channels]
            state.u = part[..., -1] * math.log(2)  # the kernel works in powers of 2
            at = torch.from_numpy(source[:, k])
            state.source = torch.stack([at // pixels, at % pixels // width, at % width], -1)
            state.tied = torch.from_numpy(tied[:, k]).bool()
        states[window] = state
    return {window: states[window] for window in asked}
