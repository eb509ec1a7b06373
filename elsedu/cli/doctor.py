"""`elsedu doctor`: what is there, whether it computes rightly, how fast it is, and what is missing, in words.

It needs nothing but the package itself (not typer), because it is what one runs when something is wrong.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import statistics
import sys
import time
from importlib import metadata
from pathlib import Path

TOLERANCE = 1e-4  # of a posterior mean in float32, relative to 1 + its size
MACHINES = ("IS", "LS, zeros beyond the border", "ELS, zeros beyond the border", "ELS, circular")
TIMED = "ELS, 1,000 images of 16x16, window 5, one noisy image"


def doctor():
    """Say what this machine has, try every backend against the definition, and name what is slow or missing.

    Exit status: 0 if every backend that runs computes rightly, 1 if one does not.
    """
    advice = []
    _title("versions")
    for line in _versions(advice):
        print(f"  {line}")
    _title("machine")
    for line in _machine(advice):
        print(f"  {line}")
    _title("backends", f"error against the definition; time for {TIMED}")
    wrong = _backends(advice)
    _title("data sets")
    for line in _data_sets(advice):
        print(f"  {line}")
    _title("in words")
    for line in advice or ["Nothing is missing, and every backend agrees with the definition."]:
        print(f"  {line}")
    if wrong:
        sys.exit(1)


def _title(name, more=""):
    print(f"{name}{f' ({more})' if more else ''}", flush=True)


# -- what is there -----------------------------------------------------------------------------------------


def _versions(advice):
    import elsedu

    yield f"elsedu {elsedu.__version__} in {_short(Path(elsedu.__file__).parent)}"
    yield f"Python {platform.python_version()} ({_short(sys.executable)}), {platform.platform()}"
    for requirement in requirements():
        name, least = re.match(r"([\w.-]+)(?:\s*>=\s*([\w.]+))?", requirement).groups()
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            if "extra ==" not in requirement:
                advice.append(f"{name} is missing: python -m pip install {name}")
            yield f"{name}: not installed" + (" (optional)" if "extra ==" in requirement else "")
            continue
        old = least and _numbers(found) < _numbers(least)
        if old:
            advice.append(f"{name} {found} is older than {least}, the oldest that is tested: "
                          f'python -m pip install "{name}>={least}"')
        yield f"{name} {found}" + (f" (older than {least})" if old else "")


def requirements():
    """What the package needs, and of its extras what changes what can be computed."""
    try:
        declared = metadata.requires("elsedu") or []
    except metadata.PackageNotFoundError:  # the folder on the path, never installed
        declared = ["torch", "numpy", "scipy", "matplotlib"]
    wanted = re.compile(r"""extra == ['"](cli|gpu|pretrained|compiler)['"]""")
    return [line for line in declared if "extra ==" not in line or wanted.search(line)]


def _numbers(version):
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _machine(advice):
    import torch

    from elsedu._common.records import processor
    from elsedu.posterior.native import build, library

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    yield f"{processor() or platform.processor() or platform.machine()}: {cores} processors, {threads} threads in use"
    if threads == 1 and cores > 1:
        asked = os.environ.get("OMP_NUM_THREADS", "unset")
        advice.append(f"One thread of {cores} is in use (OMP_NUM_THREADS={asked}): "
                      f"torch.set_num_threads({cores}) uses all.")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            capability = ".".join(map(str, torch.cuda.get_device_capability(index)))
            free, whole = torch.cuda.mem_get_info(index)
            yield (f"GPU {index}: {torch.cuda.get_device_name(index)}, capability {capability}, "
                   f"{free / 2**30:.1f} of {whole / 2**30:.1f} GiB free")
    elif torch.version.cuda and not shutil.which("nvidia-smi"):
        yield f"GPU: none; PyTorch is the build for CUDA {torch.version.cuda}"
    elif torch.version.cuda:
        yield f"GPU: PyTorch (CUDA {torch.version.cuda}) finds none, but NVIDIA's driver is installed"
        advice.append("The GPU is not seen: its driver may be older than this PyTorch (compare with `nvidia-smi`).")
    else:
        yield "GPU: none that this PyTorch (CPU build) knows"
        if shutil.which("nvidia-smi"):
            advice.append("There is a GPU's driver (`nvidia-smi`), but this PyTorch is a CPU build and cannot use it")
    try:
        yield "compilers: " + ", ".join(_short(" ".join(c.command)) for c in build.compilers())
    except build.BuildError as error:
        yield f"compilers: {error}"
    try:
        yield f"engine's library: {_short(library.load(again=True).path)}"
    except build.BuildError as error:
        yield "engine's library: none"
        advice.append(f"The C++ engine is missing, and PyTorch computes instead, several times slower: {error}")


def _data_sets(advice):
    from elsedu.data.cache import cache_folder
    from elsedu.data.catalogue import SOURCES
    from elsedu.data.loading import here

    present = [name for name in SOURCES if here(name)]
    yield "here: " + ", ".join(present)
    yield "not here: " + (", ".join(name for name in SOURCES if name not in present) or "none")
    yield f"ELSEDU_DATA: {_short(os.environ.get('ELSEDU_DATA') or 'not set')}"
    folder = cache_folder()
    parent = next(place for place in (folder, *folder.parents) if place.exists())
    good = os.access(parent, os.W_OK)
    yield f"cache: {_short(folder)}" + ("" if good else " (cannot be written)")
    if not good:
        advice.append("The cache cannot be written, so everything is decoded anew: ELSEDU_CACHE=FOLDER names another.")


def _short(path):
    """A path without the user's name, so that the report can be shown to anybody."""
    return str(path).replace(str(Path.home()), "~") if len(str(Path.home())) > 1 else str(path)


# -- does it compute rightly, and how fast -----------------------------------------------------------------


def _backends(advice):
    """Print a line for each backend and device; returns how many compute wrongly."""
    from elsedu.posterior import backends

    usable, times, wrong = backends(), {}, 0
    for name, device in _places(usable):
        if not usable[name][0]:
            print(f"  {name:10}      no: {usable[name][1]}", flush=True)
            if name == "triton" and "triton" not in usable[name][1].lower() and "CUDA" not in usable[name][1]:
                advice.append(f"The GPU kernels are not used: {usable[name][1]}.")
            continue
        error, worst = error_of(name, device)
        right = error < TOLERANCE
        words = f"{error:.0e}" + ("" if right else f" WRONG ({MACHINES[worst]})")
        if not right:
            wrong += 1
            advice.append(f"The backend {name} computes wrongly on {device} ({MACHINES[worst]}: error {error:.1e}). "
                          "Please open an issue with this report; meanwhile backend='torch' or 'definition'.")
        if name != "definition":
            times[name, device] = seconds_of(name, device)
            ratio = times["torch", "cpu"] / times[name, device]
            words += f"   {1e3 * times[name, device]:8.1f} ms"
            words += "" if ratio == 1 else f"   {ratio:.1f} x torch on the CPU"
        print(f"  {name:10} {device:4} {words}   {usable[name][1]}", flush=True)
    native = times.get(("native", "cpu"))
    if native and native > times["torch", "cpu"]:
        advice.append("The C++ engine is slower than PyTorch here: please open an issue with this report.")
    return wrong


def _places(usable):
    import torch

    gpu = torch.cuda.is_available()
    for name in usable:
        if name != "triton":
            yield name, "cpu"
        if name == "triton" or (name == "torch" and gpu):
            interpreted = name == "triton" and not gpu
            yield name, "cpu" if interpreted else "cuda"


def _questions():
    """Small random dictionaries, one machine each, and a noisy image."""
    import torch

    import elsedu

    generator = torch.Generator().manual_seed(0)
    images = torch.randn(40, 1, 7, 6, generator=generator).tanh()
    x = torch.randn(2, 1, 7, 6, generator=generator)

    def machines(backend, dtype):
        data = images.to(dtype)
        return (elsedu.IdealScore(data, backend=backend), elsedu.LocalScore(data, 3, backend=backend),
                elsedu.EquivariantLocalScore(data, 3, backend=backend),
                elsedu.EquivariantLocalScore(data, 3, border="circular", backend=backend))

    return machines, x


def error_of(backend, device="cpu"):
    """(largest error of the posterior mean relative to 1 + its size, at which of MACHINES), in float32."""
    import torch

    machines, x = _questions()
    kind = torch.float64 if backend == "definition" else torch.float32
    # the definition itself is checked against torch in float64, which is written differently
    oracle = machines("torch" if backend == "definition" else "definition", torch.float64)
    worst = (0.0, 0)
    for number, (machine, true) in enumerate(zip(machines(backend, kind), oracle)):
        expected = true.posterior(x.double(), 0.4).mean
        got = machine.posterior(x.to(device, kind), 0.4).mean.cpu().double()
        error = float(((got - expected).abs() / (1 + expected.abs())).max())
        worst = max(worst, (error if error == error else float("inf"), number))
    return worst


def seconds_of(backend, device="cpu", repeats=3):
    """Median seconds of one posterior mean of the timed case, after a first one that is not counted."""
    import torch

    import elsedu

    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1000, 1, 16, 16, generator=generator).tanh()
    x = torch.randn(1, 1, 16, 16, generator=generator).to(device)
    machine, taken = elsedu.EquivariantLocalScore(images, 5, backend=backend), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        machine.denoise(x, 0.5)
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])
