"""`elsedu sample`: draw images with a machine and write them as one picture."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Annotated

from typer import Option

from elsedu.cli.options import Backend, Device, Limit, Root, Size, resolve_device

TILE, GAP = 96, 4  # pixels of one image in the picture, about, and between two images


def sample(
    data: Annotated[str, Option(help="Image set: see `elsedu data list`.")] = "mnist5k",
    size: Size = None,
    machine: Annotated[str, Option(help="A machine, such as is, es, ls, els or wiener.")] = "els",
    window: Annotated[int | None, Option(help="Odd side of the window of ls and els. Default: 5.")] = None,
    scales: Annotated[
        str | None, Option(help="Windows over time instead: a published or calibrated schedule, by name.")
    ] = None,
    n: Annotated[int, Option(help="How many images.")] = 16,
    out: Annotated[Path, Option(help="The picture to write, a .png file.")] = Path("grid.png"),
    steps: Annotated[int, Option(help="Steps of the reverse process.")] = 20,
    seed: Annotated[int, Option(help="Seed of the noise (and of --limit).")] = 0,
    label: Annotated[int | None, Option(help="Use the training images of this class only.")] = None,
    border: Annotated[str | None, Option(help="zero or circular, for ls and els. Default: zero.")] = None,
    backend: Backend = "auto",
    limit: Limit = None,
    root: Root = None,
    device: Device = "auto",
):
    """Draw N images from noise with one of the machines and write them as a grid."""
    # What can be wrong without the data is checked before the data are read.
    _check_out(out)
    if n < 1:
        raise ValueError(f"--n must be at least 1, got {n}")

    import torch

    import elsedu
    from elsedu import figures
    from elsedu._common.checks import check_choice, check_steps
    from elsedu.machines.lineup import LINEUP, MACHINES

    entry = LINEUP[check_choice(machine, MACHINES, "machine")]
    windows = _windows(entry, window, scales, border)
    if entry.linear and backend != "auto":
        raise ValueError(f"--backend {backend} has no meaning for the machine {machine!r}")

    check_steps(steps)
    device = resolve_device(device)
    images = elsedu.load(data, size=size, root=root, limit=limit, seed=seed)
    denoiser = entry.build(images, windows, border=border or "zero", backend=backend)
    generator = torch.Generator().manual_seed(seed)  # on the CPU, so that every device draws the same noise
    noise = torch.randn(n, *images.shape, generator=generator).to(device)
    start = time.perf_counter()
    samples = elsedu.sample(denoiser, noise, steps=steps, label=label)
    seconds = time.perf_counter() - start

    settings = {
        "elsedu": elsedu.__version__, "data": images.name, "hash": images.hash, "images": len(images),
        "shape": images.shape, "machine": machine, "window": window if scales else windows, "scales": scales,
        "border": getattr(denoiser, "border", None), "steps": steps, "seed": seed, "label": label, "limit": limit,
    }  # fmt: skip
    figures.save_grid(samples, out, columns=math.ceil(math.sqrt(n)), scale=max(1, TILE // max(images.shape[1:])),
                      gap=GAP, frame=GAP, settings=json.dumps(settings))
    print(f"{out}: {n} images by {denoiser!r}, {steps} steps, seed {seed}, {seconds:.1f} s")


def _check_out(out: Path) -> None:
    if out.suffix.lower() != ".png":
        raise ValueError(f"--out must be a .png file, got {str(out)!r}")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"the folder of --out {str(out)!r} does not exist")
    if out.is_dir():
        raise ValueError(f"--out {str(out)!r} is a folder, expected a .png file")


def _windows(entry, window, scales, border):
    """One window, a ScaleSchedule, or None for a machine without; ValueError for options that do not fit."""
    if entry.scales is None:
        given = {"--window": window, "--scales": scales, "--border": border}
        for option, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{option} {value} has no meaning for the machine {entry.name!r}, only for ls and els"
                )
        return None
    if scales is None:
        return 5 if window is None else window
    if window is not None:
        raise ValueError(f"give --window or --scales, not both (got {window} and {scales!r})")

    from elsedu import scales as known

    if scales in known.published_names():
        return known.published(scales)
    if scales in known.calibrated_names(entry.scales):
        return known.calibrated(scales, entry.scales)
    names = sorted({*known.published_names(), *known.calibrated_names(entry.scales)})
    raise ValueError(f"unknown scales {scales!r}; known for {entry.name}: {', '.join(names)}")
