"""`elsedu compare`: a network against the theory, seed by seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from elsedu.cli.options import Backend, Data, Device, Limit, Root, Size, load_data, load_network, resolve_device


def compare(
    network: Annotated[str, Argument(help="A shipped network, or a .safetensors file.")],
    second: Annotated[str | None, Option(help="The same from another initialisation, for the ceiling.")] = None,
    els: Annotated[Path | None, Option(help="Windows of ELS (from `elsedu calibrate`). Default: shipped.")] = None,
    ls: Annotated[Path | None, Option(help="Windows of LS. Default: shipped.")] = None,
    data: Data = None,
    size: Size = None,
    limit: Limit = None,
    seeds: Annotated[int, Option(help="How many of the test seeds.")] = 100,
    steps: Annotated[int, Option(help="Steps of the machines.")] = 20,
    backend: Backend = "auto",
    out: Annotated[Path | None, Option(help="The JSON file to write. Default: <network>.json.")] = None,
    folder: Annotated[Path | None, Option(help="Keep finished batches here, to go on after a kill.")] = None,
    root: Root = None,
    device: Device = "auto",
):
    """Compare and write the results; the medians are printed."""
    import elsedu
    from elsedu._common.records import check_writable
    from elsedu.scales import scales_for

    if (els is None) != (ls is None):
        raise ValueError("give both --els and --ls, or neither")
    place = resolve_device(device)
    denoiser = load_network(network).to(place)
    other = None if second is None else load_network(second).to(place)
    out = Path(f"{denoiser.name}.json") if out is None else out
    check_writable(out.absolute().parent)
    scales = None if els is None else {"els": elsedu.ScaleSchedule.load(els), "ls": elsedu.ScaleSchedule.load(ls)}
    scales = scales_for(denoiser, scales)
    images, _ = load_data(denoiser, data, size, limit, root)
    found = elsedu.compare(denoiser, images, scales, seeds=seeds, steps=steps, second=other, backend=backend,
                           folder=folder)
    found.save(out)
    for count, block in found.measured["agreement"].items():
        print(f"network with {count} steps, {found.measured['seeds']} seeds: median r [95 % interval]")
        for name, entry in block.items():
            r = entry["pearson_r"]
            if r["median"] is not None:
                print(f"  {name:13s} {r['median']:.3f} [{r['low']:.3f}, {r['high']:.3f}]")
    print(out)
