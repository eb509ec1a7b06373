"""Several processes agree with one: states, samples, a whole experiment; and a death is noticed, not waited for.

The same file is what the processes run: `start` calls it as a script, with the variables that torchrun sets.
"""

import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support import MACHINES, machine, random_images, rng

import elsedu
from elsedu._common import processes
from elsedu.posterior import FIELDS, Constraints, patch_counts, sharded
from elsedu.posterior.state import empty_state, merge

ROOT = Path(__file__).parents[2]


# -- what the processes run ------------------------------------------------------------------------------


def labelled():
    """Seven images; classes of four, two and one; image 5 is image 1 again, so that sources can be tied."""
    images = random_images(7, 1, 6, 5, seed=3)
    images[5] = images[1]
    return elsedu.ImageSet(images, torch.tensor([0, 0, 0, 1, 0, 1, 2]))


def questions(data, dtype):
    """(x, t, label): all images; a class that some processes lack; all classes and two noise levels at once."""
    schedule = elsedu.schedule.cosine()
    for t, label in ((0.05, None), (0.6, None), (0.5, 2), (torch.tensor([0.2, 0.2, 0.8, 0.8]), [1, 2, 0, 1])):
        clean = data.images[[1, 3, 5, 6]]
        noise = torch.randn(clean.shape, generator=rng(7), dtype=torch.float64)
        yield schedule.add_noise(clean, t, noise).to(dtype), t, None if label is None else torch.tensor(label)


def worst_difference(one, many, truth):
    """Largest difference of two Posteriors, relative to 1 + size. Sources and ties are those of the definition,
    but where another patch is as heavy within rounding."""
    assert all(bool(torch.isfinite(getattr(many, f)).all()) for f in FIELDS)
    worst = 0.0
    for name in ("mean", "variance", "log_evidence", "effective_patches"):
        a, b = getattr(one, name).double(), getattr(many, name).double()
        worst = max(worst, float(((a - b).abs() / (1 + a.abs())).max()))
    assert bool(many.tied[truth.tied].all())
    assert torch.equal(many.source[~many.tied], truth.source[~many.tied])
    if one.mean.dtype == torch.float64:
        assert torch.equal(one.tied, many.tied)
    return worst


def laws():
    """Every machine, backend and field, alone and in the group."""
    data, worst, truth = labelled(), {}, {}
    scales = elsedu.ScaleSchedule([1, 3, 5, 5])
    cases = [(backend, dtype) for backend, dtype in (("definition", torch.float64), ("torch", torch.float64),
                                                     ("torch", torch.float32), ("native", torch.float32))
             if elsedu.posterior.backends()[backend][0]]
    for backend, dtype in cases:
        for name in MACHINES:
            m = machine(name, data, scales, backend)
            asked = list(questions(data, dtype))
            alone = [m.posterior(x, t, label) for x, t, label in asked]
            if backend == "definition":
                truth[name] = alone
            several = {}
            if m.window is not None and dtype == torch.float32:
                several = m.posterior(asked[0][0], 0.4, windows=[3, 5])
            with processes.shard("cpu"):
                for (x, t, label), one, true in zip(asked, alone, truth[name]):
                    many = m.posterior(x, t, label)
                    difference = worst_difference(one, many, true)
                    if backend == "definition":
                        assert torch.equal(many.source, one.source)
                    worst[backend, dtype] = max(worst.get((backend, dtype), 0), difference)
                    if backend == "native":
                        only = m.posterior(x, t, label, fields=("mean",))
                        assert only.variance is None and (only.mean - one.mean).abs().max() < 1e-5
                together = m.posterior(asked[0][0], 0.4, windows=[3, 5]) if several else {}
                for window, one in several.items():
                    many = together[window]
                    assert worst_difference(one, many, many) < 1e-5, (backend, name, window)
    for (_, dtype), difference in worst.items():
        assert difference < (1e-11 if dtype == torch.float64 else 1e-5), worst

    noise = torch.randn(8, 1, 6, 5, generator=rng(0))
    for name in ("is", "es", "ls-circular", "els-zero"):
        m = machine(name, elsedu.ImageSet(data.images.float(), data.labels), scales, "auto")
        one = elsedu.sample(m, noise, steps=10)
        with processes.shard("cpu"):
            many = elsedu.sample(m, noise, steps=10)
            where = elsedu.mosaic.provenance(m, one[0])
        assert elsedu.pearson_r(one, many).min() > 0.9999, name
        assert torch.equal(where, elsedu.mosaic.provenance(m, one[0])), name
    wiener = elsedu.WienerScore(data.images)
    one = wiener.posterior(noise.double(), 0.3)
    with processes.shard("cpu"):
        many = wiener.posterior(noise.double(), 0.3)
    assert torch.equal(one.mean, many.mean) and torch.equal(one.log_evidence, many.log_evidence)
    print("agree:", {f"{backend} {dtype}": f"{value:.1e}" for (backend, dtype), value in worst.items()})


def raises(error, words, function):
    try:
        function()
    except error as found:
        assert re.search(words, str(found)), found
    else:
        raise AssertionError(f"no {error.__name__}")


def rules():
    """One does the work of all; different questions are refused; who hangs is given up."""
    m = elsedu.IdealScore(labelled())
    x = torch.zeros(1, 1, 6, 5, dtype=torch.float64)
    with processes.shard("cpu", minutes=0.05):
        rank, world = processes.rank_and_world()
        assert (processes.is_main_process(), world) == (rank == 0, int(os.environ["WORLD_SIZE"]))
        # slower than a process that answers no more, yet waited for; machines inside are whole
        seen = processes.on_main_process(
            lambda: (time.sleep(4), os.getpid(), processes.rank_and_world(), m.denoise(x, 0.5))[1:])
        assert seen[1] == (0, 1) and (seen[0] == os.getpid()) == (rank == 0)
        assert torch.allclose(seen[2], m.denoise(x, 0.5), atol=1e-12)
        raises(FileNotFoundError, "no such", lambda: processes.on_main_process(lambda: Path("no such").read_text()))
        order = processes.main_process_first(lambda: time.monotonic())
        first = processes.on_main_process(lambda: order)
        assert order >= first
        raises(ValueError, "different questions", lambda: m.denoise(x, 0.5 + 0.1 * rank))
        raises(ValueError, "different questions", lambda: m.denoise(x.repeat(1 + rank, 1, 1, 1), 0.5))
        raises(ValueError, "gradients", lambda: m.denoise(x.requires_grad_(True), 0.5))
        if rank > 0:
            raises(ValueError, f"process {rank} was asked about other images", lambda: m.denoise(x.detach() + 1, 0.5))
            print("and hangs", flush=True)
            time.sleep(60)
        start = time.monotonic()
        raises(ConnectionError, "start the same command again", lambda: m.denoise(x.detach(), 0.5))
        assert time.monotonic() - start < 30
    print("gave up", flush=True)
    os._exit(0)


# -- the tests -------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(world, what):
    """This file's function `what` in `world` processes."""
    port = str(free_port())
    return [subprocess.Popen(
        [sys.executable, __file__, what], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world),
             "LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1",
             "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])},
    ) for rank in range(world)]


@pytest.mark.parametrize("world", [2, 3])  # 1 is test_alone_nothing_changes
def test_the_laws_in_a_group(world):
    for process in start(world, "laws"):
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0 and "agree" in output, output


def test_the_rules_of_a_group():
    first, second = start(2, "rules")
    try:
        output, _ = first.communicate(timeout=200)
        assert first.returncode == 0 and "gave up" in output, output
    finally:
        second.kill()
    assert "and hangs" in second.communicate()[0]


def test_alone_nothing_changes(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    m = elsedu.IdealScore(labelled())
    x = torch.zeros(1, 1, 6, 5, dtype=torch.float64)
    before = m.denoise(x, 0.5)
    with processes.shard() as device:
        assert device.type in ("cpu", "cuda") and processes.rank_and_world() == (0, 1) and processes.is_main_process()
        assert torch.equal(m.denoise(x, 0.5), before) and len(m._dictionaries) == 1
        assert m._dictionary(x, None)[0].images is m.data.images        # not even a copy
        assert processes.on_main_process(lambda: 3) == 3 and processes.main_process_first(lambda: 4) == 4
        assert sharded.block(5) == slice(0, 5)
        m.denoise(x.requires_grad_(True), 0.5).sum().backward()
    monkeypatch.setenv("WORLD_SIZE", "1")
    with processes.shard("cpu") as device:
        assert device == torch.device("cpu") and processes.rank_and_world() == (0, 1)


def test_blocks_cover_everything_once(monkeypatch):
    for world in (1, 2, 3, 7):
        for count in (0, 1, 5, 7, 50):
            held = []
            for rank in range(world):
                monkeypatch.setattr(sharded, "rank_and_world", lambda rank=rank, world=world: (rank, world))
                held.append(list(range(count))[sharded.block(count)])
            assert [k for part in held for k in part] == list(range(count))
            assert max(map(len, held)) - min(map(len, held)) <= 1


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="3 processes on this machine, but 2 GPUs"):
        processes.init("cuda")


@pytest.mark.parametrize("whole", [False, True])
def test_the_neutral_element(whole):
    """Merging with no patches changes nothing, from either side, and two of them are still none."""
    x = torch.zeros(2, 1, 4, 5)
    none = empty_state(x, FIELDS, whole)
    none.n = patch_counts(Constraints(whole, True), 3, 0, 4, 5)
    name = "es" if whole else "els-zero"
    m = machine(name, random_images(3, 1, 4, 5, dtype=torch.float32))
    levels = torch.full((2,), 0.7, dtype=torch.float64)
    (state,) = m._sums(x, levels, levels, None, [None if whole else 3], FIELDS, "torch").values()
    for merged in (merge(state, none), merge(none, state)):
        for field in ("m", "s", "v", "v2", "u", "n", "source", "tied"):
            assert torch.equal(getattr(merged, field), getattr(state, field)), field
    both = merge(none, none)
    assert bool((both.m == -math.inf).all()) and bool((both.s == 0).all()) and bool((both.u == 0).all())


# -- the command line, a death, and what is left of it -----------------------------------------------------

EXPERIMENT = ("reproduce", "digits-resnet-zero", "--limit-images", "60", "--width", "4", "--epochs", "1",
              "--seeds", "20", "--device", "cpu")
STEM = "digits-resnet-zero.embedded-e1-n60-w4"


def torchrun(output, world=2):
    """The command under torchrun, in its own session."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(world), "--master-port",
               str(free_port()), "-m", "elsedu", *EXPERIMENT, "--output", str(output)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "OMP_NUM_THREADS": "1", "ELSEDU_PROGRESS": "0"})


def pid_of(parent, rank):
    """The child of torchrun that has this rank."""
    for place in Path("/proc").iterdir():
        try:
            if (int(place.joinpath("stat").read_text().rpartition(")")[2].split()[1]) == parent
                    and f"RANK={rank}\0" in place.joinpath("environ").read_text().replace("LOCAL_RANK", "")):
                return int(place.name)
        except (OSError, ValueError, IndexError):
            continue
    raise AssertionError(f"torchrun has no process {rank}")


def differences(a, b, path=""):
    """[(difference relative to 1 + size, path)] of all numbers of two records of one shape."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        return [pair for key in a for pair in differences(a[key], b[key], f"{path}/{key}")]
    if isinstance(a, list):
        assert len(a) == len(b), path
        return [pair for k in range(len(a)) for pair in differences(a[k], b[k], f"{path}/{k}")]
    if isinstance(a, int | float):
        return [(abs(a - b) / (1 + abs(a)), path)]
    assert a == b, path
    return []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the process to kill in /proc")
def test_a_killed_process_and_the_same_command_again(tmp_path):
    """kill -9 stops the run with a message; started again it ends with the numbers of one process."""
    pieces = tmp_path / "two" / STEM / "pieces"
    running = torchrun(tmp_path / "two")
    while running.poll() is None and not list(pieces.glob("*.safetensors")):
        time.sleep(0.01)
    os.kill(pid_of(running.pid, 1), signal.SIGKILL)
    killed = time.monotonic()
    out, error = running.communicate(timeout=60)
    assert time.monotonic() - killed < 30
    assert running.returncode != 0 and not (tmp_path / "two" / f"{STEM}.json").exists()
    assert "error: process 0 of 2: another process was killed" in error and "same command again" in error, error
    assert out.count("train done") == 1                                     # one process speaks
    done = {path: path.stat().st_mtime_ns for path in pieces.glob("*.safetensors")}
    assert done

    again = torchrun(tmp_path / "two")
    out, error = again.communicate(timeout=300)
    assert again.returncode == 0, error
    assert out.count("figures in") == 1 and out.count(f"{STEM}.json") == 1
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in done.items())
    two = json.loads((tmp_path / "two" / f"{STEM}.json").read_text())
    assert two["provenance"]["processes"] == 2

    from elsedu.experiments import stages as reproduce

    path = reproduce.run("digits-resnet-zero", output=tmp_path / "one", progress=False, say=lambda line: None,
                         limit_images=60, width=4, epochs=1, seeds=20)
    one = json.loads(path.read_text())
    assert "processes" not in one["provenance"] and one["provenance"]["scales"] == two["provenance"]["scales"]
    assert one["provenance"]["settings_hash"] == two["provenance"]["settings_hash"]
    # variances below float32's rounding have no order: their ranks are compared by the rest of the map only
    far = [pair for pair in differences(one["measured"], two["measured"])
           if pair[0] > 1e-4 and not re.search("/error_map/(network|held_out)/(rank|reliability)/", pair[1])]
    assert not far, sorted(far)[-5:]


if __name__ == "__main__":
    torch.set_num_threads(1)
    globals()[sys.argv[1]]()
