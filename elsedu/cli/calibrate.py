"""`elsedu calibrate`: find the windows P(t) of a machine and write them as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from elsedu.cli.options import Data, Device, Limit, Root, Size, load_data, load_network, resolve_device


def calibrate(
    network: Annotated[
        str | None, Argument(help="A shipped network, or a .safetensors file; none for denoising, patches.")
    ] = None,
    machine: Annotated[str, Option(help="els or ls.")] = "els",
    method: Annotated[str, Option(help="trajectory, denoising or patches.")] = "trajectory",
    data: Data = None,
    size: Size = None,
    limit: Limit = None,
    samples: Annotated[int | None, Option(help="Reverse processes (10), or held-out images (50).")] = None,
    steps: Annotated[int, Option(help="Steps of the reverse process, windows of the schedule.")] = 20,
    out: Annotated[Path | None, Option(help="The file to write. Default: <network or data>.<machine>.json.")] = None,
    root: Root = None,
    device: Device = "auto",
):
    """Calibrate windows and write them as a scale schedule."""
    import elsedu
    from elsedu._common.records import check_writable

    denoiser = None if network is None else load_network(network, resolve_device(device))
    if denoiser is None and data is None:
        raise ValueError("give a network or --data")
    images, _ = load_data(denoiser, data, size, limit, root)
    out = Path(f"{denoiser.name if denoiser else images.name}.{machine}.json") if out is None else out
    check_writable(out.absolute().parent)
    scales = elsedu.calibrate(denoiser, machine, images, method, steps=steps, samples=samples)
    scales.save(out)
    print(f"{out}: {' '.join(map(str, scales.windows))}  (t = 1/{steps} ... 1)")
