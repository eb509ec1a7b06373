"""`elsedu reproduce`: run an experiment, or print the table of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def reproduce(
    name: Annotated[str | None, Argument(help="Experiment, e.g. digits-resnet-zero; --list names them.")] = None,
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
    minutes: Annotated[float | None, Option(help="Stop training after so long; the next run goes on.")] = None,
    device: Annotated[str, Option(help="cpu, cuda, ...; auto: cuda where there is one.")] = "auto",
    publish: Annotated[bool, Option("--publish", help="Then copy the result into the package.")] = False,
    weights: Annotated[bool, Option(help="Publish the weights too, at most 5 MB.")] = True,
    backend: Annotated[str, Option(help="auto, definition, torch, native or triton.")] = "auto",
):
    """Run an experiment in stages that resume, or print the table.

    torchrun --nproc-per-node K -m elsedu reproduce ... shares the training images among K processes.
    """
    from elsedu._common import processes
    from elsedu.experiments import catalogue as experiments
    from elsedu.experiments import stages

    if listing:
        for tier in experiments.TIERS:
            print(f"{tier}: {', '.join(experiments.names(tier))}")
        return
    if table:
        folder = output if any(Path(output).glob("*.json")) else None
        for one in (stages.METRICS if metric == "all" else (metric,)):
            print(f"{one}: median over seeds [95 % interval], network with {network_steps} steps")
            print(stages.plain(stages.table(folder, network_steps, one)), end="\n\n")
        return
    if name is None:
        raise ValueError("give the name of an experiment; `elsedu reproduce --list` names them")
    from elsedu.cli.sample import _device

    changes = {"limit_images": limit_images, "width": width, "epochs": epochs, "seeds": seeds}
    with processes.shard(_device(device)) as own:
        result = stages.run(name, tier, stage=stage, output=output, retrain=retrain, backend=backend, minutes=minutes,
                            device=own, **changes)
        if not processes.is_main_process():
            return
        print(result or "not finished: run the same command again")
        if publish and result:
            for path in stages.publish(name, tier, output, weights=weights, **changes):
                print(path)
