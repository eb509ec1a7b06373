"""Kills training, calibration, sampling and comparing with SIGKILL at random moments, and compares the ends.

    python scripts/kill.py --kills 20 --seed 0

Every stage of a small experiment is run again and again in a child process that is killed after a random time, until
it was killed that often (or ends first in spite of it), and then left to end. The weights, windows, pieces and
measured numbers must be bit by bit those of a run that nobody disturbed, and no file may be left over. Prints one line
a stage; the exit status is 1 if anything differs.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
STAGES = ("train", "calibrate", "sample", "compare")
CHILD = """
import sys
import torch
torch.set_num_threads(1)
from elsedu.experiments import stages
from elsedu.experiments.catalogue import Experiment
from elsedu.experiments.recipes import Recipe
from elsedu.training import Settings
from elsedu.training import loop

begin = loop._Run.__init__

def often(self, *arguments):
    begin(self, *arguments)
    self.every = 0.05  # seconds between checkpoints

loop._Run.__init__ = often
recipe = Recipe("tiny", "digits", {"kind": "resnet", "width": 8, "blocks": 1, "embedding": 16},
                Settings(steps=150, batch=8, lr=1e-3), {"limit": 60})
entry = Experiment("tiny", "embedded", recipe, None, {"samples": 4, "windows": [3, 5, 7]}, seeds=40, steps=4,
                   network_steps=(4,), batch=1)
print("started", flush=True)
stages.run(entry, stage=sys.argv[2], output=sys.argv[1], progress=False, say=lambda line: None)
"""


def start(output, stage):
    """A child that runs one stage, after its imports."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ELSEDU_PROGRESS": "0", "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(output), stage], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=environment)
    if child.stdout.readline().strip() != "started":
        raise SystemExit(child.communicate()[1])
    return child


def end(child):
    """Wait for a child; its exit status, with what it said if that is neither 0 nor our kill."""
    said = child.communicate()[1]
    if child.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(said)
    return child.returncode


def contents(output):
    """{relative name: hash} of every file whose bytes must not depend on kills, and the names of all the others."""
    from elsedu._common.tensors import read

    found, names = {}, set()
    for path in sorted(output.rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(output))
        names.add(name)
        if path.suffix == ".safetensors" and "checkpoint" not in name:
            _, tensors = read(path)
            content = b"".join(tensors[key].contiguous().view(-1).numpy().tobytes() for key in sorted(tensors))
        elif path.suffix == ".json":
            record = json.loads(path.read_text())
            content = json.dumps(record.get("measured", record.get("windows", ""))).encode()
        else:
            continue
        found[name] = hashlib.sha256(content).hexdigest()
    return found, names


def trial(output, stage, kills, generator, seconds):
    """Run a stage, killing it `kills` times at random within `seconds`; how often it was hit."""
    hit = 0
    for _ in range(kills):
        child = start(output, stage)
        time.sleep(generator.uniform(0, seconds))
        child.kill()
        hit += end(child) == -signal.SIGKILL
        if not hit and child.returncode == 0:
            break
    while end(start(output, stage)):
        pass
    return hit


def main():
    """Parse the command line, run all stages both ways, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each stage")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    generator = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        calm, wild = Path(folder) / "calm", Path(folder) / "wild"
        good = True
        for stage in STAGES:
            begin = time.monotonic()
            end(start(calm, stage))
            took = time.monotonic() - begin
            hit = trial(wild, stage, given.kills, generator, max(0.05, 0.3 * took))
            (expected, names), (found, others) = contents(calm), contents(wild)
            same, left = expected == found, sorted(others ^ names)
            good = good and same and not left
            print(f"{stage}: killed {hit} of {given.kills} times, {len(found)} files "
                  f"{'the same' if same else 'DIFFER'}{f', left over {left}' if left else ''}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
