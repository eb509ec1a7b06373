"""`elsedu compare`: a network against the theory, seed by seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from elsedu.cli.options import Backend, Data, Device, Limit, Root, Size, load_data, load_network, resolve_device


def compare(
    name: Annotated[str | None, Argument(help="A shipped network, or what --network takes.")] = None,
    network: Annotated[
        str | None, Option(help="FILE.py:function, weights.safetensors, a folder of diffusers, or a shipped name.")
    ] = None,
    second: Annotated[str | None, Option(help="The same from another initialisation, for the ceiling.")] = None,
    els: Annotated[Path | None, Option(help="Windows of ELS. Default: shipped, or calibrated now.")] = None,
    ls: Annotated[Path | None, Option(help="Windows of LS. Default: shipped, or calibrated now.")] = None,
    data: Data = None,
    size: Size = None,
    limit: Limit = None,
    seeds: Annotated[int, Option(help="How many of the test seeds.")] = 100,
    steps: Annotated[int, Option(help="Steps of the machines.")] = 20,
    samples: Annotated[int, Option(help="Reverse processes for calibrating windows, where there are none.")] = 10,
    backend: Backend = "auto",
    out: Annotated[Path | None, Option(help="The JSON file to write. Default: <network>.json.")] = None,
    report: Annotated[bool, Option(help="Write a report beside it, one HTML file.")] = True,
    folder: Annotated[Path | None, Option(help="Keep finished batches here, to go on after a kill.")] = None,
    root: Root = None,
    device: Device = "auto",
):
    """Compare a network with the theory: windows, numbers, and a report as one HTML file.

    elsedu compare --network MY.py:build --data FOLDER
    """
    import shlex
    import sys

    import elsedu
    from elsedu._common.records import check_writable
    from elsedu.experiments.own import windows_of

    if (els is None) != (ls is None):
        raise ValueError("give both --els and --ls, or neither")
    if (name is None) == (network is None):
        raise ValueError("give one network: a name, or --network")
    place = resolve_device(device)
    denoiser = load_network(name or network, place)
    other = None if second is None else load_network(second, place)
    out = Path(f"{denoiser.name}.json") if out is None else out
    if out.suffix != ".json":
        raise ValueError(f"--out must be a .json file, got {str(out)!r}")
    check_writable(out.absolute().parent)
    sides = denoiser.image_shape[1:] if denoiser.image_shape else (None, 0)
    if size is None and data is not None and sides[0] == sides[1]:
        size = sides[0]
    images, _ = load_data(denoiser, data, size, limit, root)
    if els is not None:
        scales = {"els": elsedu.ScaleSchedule.load(els), "ls": elsedu.ScaleSchedule.load(ls)}
    else:
        scales = windows_of(denoiser, images, out, steps=steps, samples=samples)
    found = elsedu.compare(denoiser, images, scales, seeds=seeds, steps=steps, second=other, backend=backend,
                           folder=folder)
    found.save(out)
    for count, block in found.measured["agreement"].items():
        print(f"network with {count} steps, {found.measured['seeds']} seeds: median r [95 % interval]")
        for machine, entry in block.items():
            r = entry["pearson_r"]
            if r["median"] is not None:
                print(f"  {machine:13s} {r['median']:.3f} [{r['low']:.3f}, {r['high']:.3f}]")
    print(out)
    if report:
        print(_write_report(out.with_suffix(".html"), found, denoiser, images, scales, backend,
                            shlex.join(["elsedu", *sys.argv[1:]])))


def _write_report(path, found, denoiser, images, scales, backend, command):
    from elsedu.diffusion import seeds
    from elsedu.figures.report import EXHIBITS, write_report
    from elsedu.machines.lineup import lineup

    machine = lineup(denoiser, images, scales, ("els",), backend)["els"]
    labels = None
    if getattr(denoiser, "label_required", False):
        labels = seeds.labels(found.provenance["seeds"]["index"][:EXHIBITS], denoiser.classes)
    return write_report(path, found, images, machine, labels=labels, command=command)
