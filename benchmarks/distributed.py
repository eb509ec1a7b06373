"""How much faster several processes are than one, each with one thread, on this machine.

    python benchmarks/distributed.py [--processes 2] [--repeats 7] [--quick] [--json FILE]

It starts itself under torchrun. One evaluation is done by process 0 with all images while the others sleep, then by
all processes with a part each, in turns, so that a machine whose speed drifts is fair to both. Two ratios:

wall     best wall time of one process / best wall time of all. The number to quote, if each process has a core
         to itself; on a busy machine, or with fewer cores than processes, it says little.
work     least CPU time of one process / least CPU time of the process that needs most, messages included.
         What the wall ratio would be if nobody waited for a core or for a message; it hardly depends on other load.

"empty" is a call over one image a process: what a call costs that has nothing to compute.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from engine import smooth_images

import elsedu
from elsedu._common import processes, records

CASES = {  # name: (images, channels, side, batch, window)
    "els 2,000 gray 16x16, P = 5, batch 8": ("els", 2000, 1, 16, 8, 5),
    "els 250 colour 32x32, P = 7, batch 8": ("els", 250, 3, 32, 8, 7),
    "els 1,000 colour 32x32, P = 17, batch 8": ("els", 1000, 3, 32, 8, 17),
    "ls 20,000 colour 32x32, P = 7, batch 8": ("ls", 20_000, 3, 32, 8, 7),
    "is 20,000 colour 32x32, batch 8": ("is", 20_000, 3, 32, 8, None),
    "empty": ("is", None, 3, 32, 8, None),
}


def make(kind, count, channels, side, batch, window):
    """(machine, noisy images) of one case."""
    count = processes.rank_and_world()[1] if count is None else count
    images = smooth_images(min(count, 2000), channels, side).repeat(-(-count // 2000), 1, 1, 1)[:count]
    data = elsedu.ImageSet(images)
    machine = {"els": elsedu.EquivariantLocalScore, "ls": elsedu.LocalScore}.get(kind)
    machine = elsedu.IdealScore(data) if machine is None else machine(data, window)
    eps = torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(1))
    return machine, machine.schedule.add_noise(images[torch.arange(batch) % count], 0.5, eps)


def timed(machine, x):
    """(wall, CPU) seconds of one evaluation by this process."""
    wall, busy = time.perf_counter(), time.process_time()
    machine.denoise(x, 0.5)
    return time.perf_counter() - wall, time.process_time() - busy


def measure(machine, x, repeats):
    """Least seconds of one process and of all, over turns; on every process alike."""
    alone, together = [], []
    for turn in range(repeats + 1):
        one = processes.on_main_process(lambda: timed(machine, x))
        processes.on_main_process(lambda: None)                       # nobody is late at the start
        wall, busy = timed(machine, x)
        times = torch.tensor([wall, busy], dtype=torch.float64)
        torch.distributed.all_reduce(times, torch.distributed.ReduceOp.MAX)
        if turn:                                            # the first warms up
            alone.append(one)
            together.append(times.tolist())
    least = {"alone": [min(column) for column in zip(*alone)], "together": [min(column) for column in zip(*together)]}
    return {"wall_alone": least["alone"][0], "wall": least["together"][0], "cpu_alone": least["alone"][1],
            "cpu": least["together"][1], "wall_ratio": least["alone"][0] / least["together"][0],
            "work_ratio": least["alone"][1] / least["together"][1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a tenth of the images")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    if "WORLD_SIZE" not in os.environ:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
                   str(options.processes), *sys.argv]
        sys.exit(subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode)
    torch.set_num_threads(1)
    with torch.no_grad(), processes.shard("cpu"):
        world, record = processes.rank_and_world()[1], {}
        if processes.is_main_process():
            print(f"{world} processes, 1 thread each, {records.processor()}, {os.cpu_count()} cores")
        for name, (kind, count, *rest) in CASES.items():
            machine, x = make(kind, count if count is None or not options.quick else count // 10, *rest)
            record[name] = found = measure(machine, x, options.repeats)
            if processes.is_main_process():
                print(f"{name:42s} alone {1e3 * found['wall_alone']:8.1f} ms, together {1e3 * found['wall']:8.1f} ms: "
                      f"wall ratio {found['wall_ratio']:.2f}, work ratio {found['work_ratio']:.2f}", flush=True)
        if processes.is_main_process() and options.json:
            record = {"processes": world, "processor": records.processor(), "cores": os.cpu_count(),
                      "torch": torch.__version__, "cases": record}
            options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
