"""Run a notebook as on a machine with a GPU: `python tests/on_pretended_gpu.py NOTEBOOK`, one line a failing cell.

The sums over patches, which are PyTorch on a GPU, are left to the C++ kernel here, or it would take too long.
"""

import dataclasses
import io
import json
import os
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path

os.environ.update(ELSEDU_PROGRESS="0", MPLBACKEND="agg")

import matplotlib.pyplot as plt
import matplotlib_inline.backend_inline
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from pretended_gpu import IN_GENERAL, OnGPU, inner, placed, pretended_gpu

from elsedu.posterior import Dictionary
from elsedu.posterior.backends import attention_torch
from elsedu.posterior.backends import native as shift_native

in_torch, packed = attention_torch.partial_posterior, {}


def in_cpp(dictionary, x, alpha, sigma, kind, windows, fields):
    plain = isinstance(x, OnGPU) and x.dtype == torch.float32 and not (x.requires_grad and torch.is_grad_enabled())
    if not plain or not shift_native.available()[0]:
        return in_torch(dictionary, x, alpha, sigma, kind, windows, fields)
    assert isinstance(dictionary.images, OnGPU), "a dictionary on the CPU, noisy images on the GPU"
    if id(dictionary) not in packed:
        packed[id(dictionary)] = dictionary, Dictionary(inner(dictionary.images), inner(dictionary.centre))
    with IN_GENERAL():
        states = shift_native.partial_posterior(packed[id(dictionary)][1], inner(x), inner(alpha), inner(sigma), kind,
                                                windows, fields)
    return {window: dataclasses.replace(state, **{name: placed(value) for name, value in vars(state).items()})
            for window, state in states.items()}


def failing_cells(path, monkeypatch):
    monkeypatch.setattr(attention_torch, "partial_posterior", in_cpp)
    monkeypatch.setattr(matplotlib_inline.backend_inline, "set_matplotlib_formats", lambda *formats: None)
    monkeypatch.chdir(path.parent)
    shell, failing = InteractiveShell.instance(), []
    with pretended_gpu(monkeypatch):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] != "code":
                continue
            with redirect_stdout(io.StringIO()):
                result = shell.run_cell("".join(cell["source"]), store_history=False)
            error = result.error_before_exec or result.error_in_exec
            if error is not None:
                at = [f"{Path(step.filename).name}:{step.lineno}" for step in traceback.extract_tb(error.__traceback__)]
                failing.append(f"cell {cell.get('id')}: {type(error).__name__}: {error} ({', '.join(at[-4:])})")
            plt.close("all")
    if "device" in shell.user_ns and torch.device(shell.user_ns["device"]).type != "cuda":
        failing.append("the notebook did not choose the GPU")
    return failing


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        found = failing_cells(Path(sys.argv[1]).resolve(), patch)
    print("\n".join(found))
    sys.exit(len(found))
