"""The work of one row, and of the kernels, each in a process of its own that may be killed at any moment."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from multiprocessing import connection
from pathlib import Path

from elsedu._common import records
from elsedu._common.files import write_bytes
from full_scale import kernels, packs
from full_scale.plan import PAPER_EPOCHS, Work, declared

ROOT = Path(__file__).parents[2]


def environment(folder):
    """Where a child finds data and keeps what it decodes; no progress bars."""
    os.environ.update(ELSEDU_DATA=str(Path(folder, "data").absolute()), ELSEDU_PROGRESS="0",
                      ELSEDU_CACHE=str(Path(folder, "cache").absolute()))


def say(line):
    """A line for the log, with the time."""
    print(time.strftime("%H:%M:%S"), line, flush=True)


def device_of(rehearse):
    """cuda; for a rehearsal the CPU."""
    import torch

    if rehearse:
        torch.set_num_threads(1)
        return "cpu"
    if not torch.cuda.is_available():
        raise RuntimeError("there is no CUDA device here; --rehearse runs everything in miniature on the CPU")
    return "cuda"


def answer(folder, **entries):
    """What a child tells its parent."""
    records.write_json(Path(folder) / "answer.json", entries)


def unpack_set(folder, parcel):
    """Write the official files of an image set that arrived, and check that they are the set that was sent."""
    environment(folder)
    work = Work(folder)
    note = packs.unpack(Path(parcel).read_bytes(), Path(folder) / "data")
    row = next(row for row in work.rows if row.startswith(f"{note['set']}-"))
    data = declared(row, work.state["rehearse"]).recipe.load_data()
    if data.hash != note["hash"]:
        raise ValueError(f"{note['set']} arrived with hash {data.hash}, it was sent with {note['hash']}: another "
                         "version of Pillow resizes in another way, or the pack is of other settings")
    records.write_json(Path(folder) / "data" / f"{note['set']}.json", note)
    say(f"{note['set']}: {len(data):,} images, hash {data.hash}")


def test_kernels(folder, minutes):
    """Correctness first, then timing. What fails decides the backend of the rows."""
    environment(folder)
    rehearse, out, begin = Work(folder).state["rehearse"], Path(folder) / "kernels", time.monotonic()
    device = device_of(rehearse)
    try:
        report = kernels.correctness(device, rehearse)
        backend, said = "auto", f"right: {len(report)} cases, the largest error {max(report.values()):.1e}"
    except AssertionError as error:
        report, backend, said = {"failed": str(error)}, "torch", f"WRONG, the rows use PyTorch: {error}"
    out.mkdir(parents=True, exist_ok=True)
    records.write_json(out / "correctness.json", {"cases": report, "device": records.device_name(device),
                                                  "versions": records.versions(), "commit": records.commit()})
    say(f"kernels {said}")
    answer(folder, said=said, backend=backend)
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--json", str(out / "gpu.json")]
    seconds = 60 * minutes - (time.monotonic() - begin)
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(1.0, seconds),
                              env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False) if not rehearse else None
        text = "" if done is None else done.stdout + done.stderr
    except subprocess.TimeoutExpired as error:
        text = f"{(error.stdout or b'').decode(errors='replace')}\nstopped after {seconds:.0f} s\n"
    write_bytes(out / "gpu.txt", text.encode())


def choose_length(folder, row, seconds):
    """How many epochs fit into so many seconds of training, measured on a network that is thrown away."""
    from elsedu.training import train

    work = Work(folder)
    rehearse = work.state["rehearse"]
    entry = declared(row, rehearse) if rehearse else declared(row).changed(epochs=1)
    data, device = entry.recipe.load_data(), device_of(rehearse)
    first, last = (1, 3) if rehearse else (25, 75)  # fetched losses: the GPU has really come so far
    for step, _ in train(entry.recipe.build(data), data, entry.recipe.settings, device=device, progress=False):
        if step == first:
            start = time.perf_counter()
        if step == last:
            break
    rate = (last - first) / (time.perf_counter() - start)
    epochs = int(seconds * rate * entry.recipe.settings.batch / len(data))
    epochs = min(max(1, epochs), 1 if rehearse else PAPER_EPOCHS)
    records.write_json(work.folder / "rows" / f"{row}.plan.json",
                       {"epochs": epochs, "steps_per_second": records.rounded(rate, 3), "seconds": round(seconds)})
    say(f"{row}: {rate:.1f} steps a second, {epochs} epochs")


def do_row(folder, row, minutes, seconds, backend):
    """Everything of a row that is still missing; training stops by itself after `minutes`."""
    from elsedu.experiments import stages as reproduce

    environment(folder)
    begin, work = time.monotonic(), Work(folder)
    device = device_of(work.state["rehearse"])
    if work.plan(row) is None:
        choose_length(folder, row, seconds)
    entry = work.entry(row)
    left = minutes - (time.monotonic() - begin) / 60
    reproduce.run(entry, stage=("train", "calibrate", "compare"), output=work.folder / "rows", minutes=max(0.0, left),
                  device=device, backend=backend, progress=False, say=say, retrain=True)
    if work.done(row):
        lighten(work, row)


def lighten(work, row):
    """Beside the weights of a finished row: the same in half precision, if the network then draws the same images.

    The smaller file is the one that travels home; the weights that were measured stay.
    """
    from elsedu import networks
    from elsedu.networks import cards
    from elsedu.networks import storage as files

    path = work.weights(row)
    content, network = path.read_bytes(), networks.load(path).to(device_of(work.state["rehearse"]))
    try:
        small, network = files.compact(network, content, len(content) - 1)
    except ValueError as error:
        say(f"{row}: {error}")
        return
    cards.write_card(network, path.with_suffix(".half.md"))
    write_bytes(path.with_suffix(".half.safetensors"), small)


def _watch(parent):
    """End with whoever started this process: two that work in one folder would disturb each other."""
    connection.wait([parent.sentinel])
    os._exit(1)


def call(function, folder, arguments, log):
    """What a child process runs: everything it prints goes into the log, and so does what went wrong."""
    threading.Thread(target=_watch, args=(multiprocessing.parent_process(),), daemon=True).start()
    with Path(log).open("ab", buffering=0) as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    try:
        globals()[function](folder, *json.loads(arguments))
    except Exception as error:  # whatever it is: the parent goes on with something else
        import traceback

        traceback.print_exc()
        answer(folder, error=f"{type(error).__name__}: {error}"[:300])
        sys.stdout.flush()
        os._exit(1)
