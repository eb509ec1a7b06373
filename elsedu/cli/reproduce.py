"""`elsedu reproduce`: run an experiment, or print the table of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from elsedu.cli.options import Backend, Device, Minutes, resolve_device


def reproduce(
    name: Annotated[str | None, Argument(help="Experiment, e.g. digits-resnet-zero; --list names them.")] = None,
    everything: Annotated[bool, Option("--all", help="All experiments of a tier, the quickest first.")] = False,
    tier: Annotated[str | None, Option(help="laptop (default) or full, for the paper's rows.")] = None,
    stage: Annotated[str | None, Option(help="train, calibrate, sample, compare or figures. Default: all.")] = None,
    retrain: Annotated[bool, Option("--retrain", help="Train from scratch, not from the shipped weights.")] = False,
    table: Annotated[bool, Option("--table", help="Print paper against measured, and stop.")] = False,
    listing: Annotated[bool, Option("--list", help="Print the names of the experiments, and stop.")] = False,
    metric: Annotated[str, Option(help="Of the table: pearson_r, squared_pearson, determination or all.")] = "all",
    network_steps: Annotated[int, Option(help="Of the table: steps of the network, 150 or 20.")] = 150,
    output: Annotated[Path, Option(help="Folder of stage files and results.")] = Path("reproduced"),
    limit_images: Annotated[int | None, Option(help="Use this many training images.")] = None,
    width: Annotated[int | None, Option(help="Channels of the network.")] = None,
    epochs: Annotated[int | None, Option(help="Length of training.")] = None,
    seeds: Annotated[int | None, Option(help="How many of the test seeds.")] = None,
    minutes: Minutes = None,
    device: Device = "auto",
    publish: Annotated[bool, Option("--publish", help="Then copy the result into the package.")] = False,
    weights: Annotated[bool, Option(help="Publish the weights too, at most 5 MB.")] = True,
    backend: Backend = "auto",
):
    """Run an experiment in stages that resume, or print the table.

    torchrun --nproc-per-node K -m elsedu reproduce ... shares the training images among K processes.
    """
    from elsedu._common import processes
    from elsedu.experiments import TIERS, names, stages, tables

    if listing:
        for tier in TIERS:
            print(f"{tier}: {', '.join(names(tier))}")
        return
    if table:
        folder = output if any(Path(output).glob("*.json")) else None
        for one in (tables.METRICS if metric == "all" else (metric,)):
            print(f"{one}: median over seeds [95 % interval], network with {network_steps} steps")
            print(tables.plain(tables.rows(folder, network_steps, one)), end="\n\n")
        return
    if (name is None) != everything:
        raise ValueError("give the name of an experiment or --all; `elsedu reproduce --list` names them")
    changes = {"limit_images": limit_images, "width": width, "epochs": epochs, "seeds": seeds}
    with processes.shard(resolve_device(device)) as own:
        options = {"retrain": retrain, "backend": backend, "minutes": minutes, "device": own, **changes}
        if everything:
            if stage is not None:
                raise ValueError(f"--stage {stage} goes with one experiment, not with --all")
            results = stages.run_all(tier or "laptop", output, **options)
        else:
            results = {name: stages.run(name, tier, output, stage=stage, **options)}
        if processes.is_main_process():
            _report(results, tier, output, weights, changes, publish)


def _report(results, tier, output, weights, changes, publish):
    """Say what is finished, and copy that into the package where it is wanted."""
    from elsedu.experiments.publishing import publish as copy

    for name, path in results.items():
        print(path or f"{name}: not finished; run the same command again")
        for written in copy(name, tier, output, weights=weights, **changes) if publish and path else ():
            print(written)
