"""`elsedu calibrate`: find the windows P(t) of a machine and write them as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def calibrate(
    network: Annotated[
        str | None, Argument(help="A shipped network, or a .safetensors file; none for denoising, patches.")
    ] = None,
    machine: Annotated[str, Option(help="els or ls.")] = "els",
    method: Annotated[str, Option(help="trajectory, denoising or patches.")] = "trajectory",
    data: Annotated[str | None, Option(help="Image set. Default: the one the network was trained on.")] = None,
    size: Annotated[int | None, Option(help="Resize the images to SIZE x SIZE.")] = None,
    limit: Annotated[int | None, Option(help="Use this many training images.")] = None,
    samples: Annotated[int | None, Option(help="Reverse processes (10), or held-out images (50).")] = None,
    steps: Annotated[int, Option(help="Steps of the reverse process, windows of the schedule.")] = 20,
    rule: Annotated[str | None, Option(help="median or mean over the samples.")] = None,
    criterion: Annotated[str, Option(help="cosine or squared_error.")] = "cosine",
    monotone: Annotated[bool, Option("--monotone", help="P(t) must not fall as the noise grows.")] = False,
    out: Annotated[Path | None, Option(help="The file to write. Default: <network or data>.<machine>.json.")] = None,
    root: Annotated[Path | None, Option(help="Folder of the official files. Default: ELSEDU_DATA.")] = None,
):
    """Calibrate windows and write them as a scale schedule."""
    import elsedu
    from elsedu._common.records import check_writable
    from elsedu.cli.inputs import load_data, load_network

    denoiser = None if network is None else load_network(network)
    if denoiser is None and data is None:
        raise ValueError("give a network or --data")
    images, _ = load_data(denoiser, data, size, limit, root)
    out = Path(f"{denoiser.name if denoiser else images.name}.{machine}.json") if out is None else out
    check_writable(out.absolute().parent)
    scales = elsedu.calibrate(denoiser, machine, images, method, steps=steps, samples=samples, rule=rule,
                              criterion=criterion, monotone=monotone)
    scales.save(out)
    print(f"{out}: {' '.join(map(str, scales.windows))}  (t = 1/{steps} ... 1)")
