"""The four commands: pack, run, collect, status."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from multiprocessing import forkserver
from pathlib import Path

from elsedu._common import records
from elsedu._common.files import write_bytes
from full_scale import journey, parcels
from full_scale import work as worker
from full_scale.plan import minutes_since

RESERVE = 20.0          # seconds at the end of a call for the pieces that travel home
KERNEL_MINUTES = 3.0
LEAST = 15.0            # seconds under which nothing new is begun


def pack(given, work):
    """At home: pieces of what was begun and of the image sets."""
    if given.rehearse:
        work.state["rehearse"] = True
    journey.pack(work, given.out, limit=int(given.limit * parcels.MIB), size=int(given.size * parcels.MIB),
                 keep=given.keep, exact=given.exact)


def status(given, work):
    """Say what is done and what is missing."""
    print("\n".join(work.describe()))


def collect(given, work):
    """At home: put together what came, and publish finished rows."""
    names = []
    for kind, content, paths in journey.receive(given.folder, work.folder).values():
        if kind != "carry":
            continue
        names += journey.take(work, content, given.force) or [None]
        for path in paths:
            path.unlink()
    if not names:
        print(f"nothing whole in {given.folder}")
    elif names == [None]:
        print("what came is not newer than what is here: nothing was changed (--force changes it)")
    work = type(work)(given.work, given.rows)
    if given.publish:
        publish(work, given.into)
    print("\n".join(work.describe()))


def publish(work, into=None):
    """Copy the finished rows into the package; a row that cannot be is named and the others go on."""
    from elsedu.experiments.publishing import publish as copy

    for row in filter(work.done, work.rows):
        entry = work.entry(row)
        options = {"output": work.folder / "rows", "into": into, "entry": entry}
        try:
            written = copy(row, "full", **options)
        except ValueError as error:
            print(f"{row}: {error}")
            written = copy(row, "full", weights=False, **options)
        print(f"{row}: {', '.join(path.name for path in written)}")


def run(given, work):
    """There: take what came, work until the time is over, leave what is new."""
    begin = time.monotonic()
    end = begin + 60 * given.minutes
    records.check_writable(given.out)
    records.check_writable(work.folder)
    log = work.folder / "log.txt"
    work = _take(given, work)
    state = work.state
    state["call"] += 1
    used = state["used"]
    state.update({key: value for key, value in (("total", given.total), ("seeds", given.seeds),
                                                ("rehearse", given.rehearse or None)) if value is not None})
    work.save()
    reserve = 0.5 if state["rehearse"] else RESERVE
    least = 0.5 if state["rehearse"] else LEAST

    def left():
        return end - reserve - time.monotonic()

    def child(function, *arguments):
        """(whether it ended by itself, what it answered); killed when the time is over."""
        (work.folder / "answer.json").unlink(missing_ok=True)
        process = _context(state["rehearse"]).Process(
            target=worker.call, args=(function, str(work.folder), json.dumps(arguments), str(log)), daemon=True)
        process.start()
        process.join(max(0.0, left()))
        ended = process.exitcode is not None
        if not ended:
            process.kill()
            process.join()
        path = work.folder / "answer.json"
        found = records.read_json(path) if path.exists() else {}
        if ended and process.exitcode and "error" not in found:
            found["error"] = f"its process ended with {process.exitcode}"
        state["used"] = used + minutes_since(begin)
        work.save()
        return ended, found

    if left() > least:
        _unpack_sets(work, child)
    if state["kernels"] is None and not given.no_kernels and left() > least:
        _, found = child("test_kernels", min(KERNEL_MINUTES, left() / 60))
        if "said" in found:
            state["kernels"] = found
        elif "error" in found:
            state["kernels"] = {"said": f"could not be tested: {found['error']}", "backend": "torch"}
        work.save()
    while left() > least and (row := work.next_row()) is not None:
        print(f"{row}, {left() / 60:.1f} minutes left", flush=True)
        backend = (state["kernels"] or {}).get("backend", "auto")
        if len(state["failures"].get(row, [])):
            backend = "torch"  # what failed once is tried in the plainest way
        ended, found = child("do_row", row, left() / 60, work.training_seconds(), backend)
        if ended and "error" in found:
            print(f"{row}: {found['error']}", flush=True)
            work.failed(row, found["error"])
        elif ended and not work.done(row):
            break  # training stopped because the time is over
    state["used"] = used + minutes_since(begin)
    work.save()
    paths, missing = journey.send_home(
        work, given.out, pieces=given.files, size=int(given.size * parcels.MIB),
        limit=int(given.out_limit * parcels.MIB), everything=given.everything, exact=given.exact)
    print("\n".join(work.describe()))
    print(f"{len(paths)} pieces in {given.out}" + (f", {len(missing)} files left out" if missing else ""))


def _context(rehearse):
    """Children start from a process that has imported what they need and has touched no GPU."""
    known = ["elsedu.experiments.stages", "elsedu.experiments.comparison", "elsedu.training.run", "full_scale.work"]
    # what optimisers import when they are first made: seconds, but it may ask for the GPU
    multiprocessing.set_forkserver_preload(known + (["torch._dynamo"] if rehearse else []))
    before = os.environ.get("PYTHONPATH")
    paths = [str(worker.ROOT), str(worker.ROOT / "scripts"), *filter(None, [before])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return multiprocessing.get_context("forkserver")


def _take(given, work):
    """Take the pieces that came; sets wait in the work folder until a child unpacks them."""
    for parcel, (kind, content, paths) in journey.receive(given.parcels, work.folder).items():
        if kind == "carry":
            journey.take(work, content)
        elif not (work.folder / "data" / f"{parcel.removeprefix('set-')}.json").exists():
            write_bytes(work.folder / "packs" / f"{parcel}.pack", content)
        for path in paths:
            path.unlink()
    return type(work)(work.folder, given.rows)


def _unpack_sets(work, child):
    for path in sorted((work.folder / "packs").glob("*.pack"), key=lambda path: path.stat().st_size):
        ended, found = child("unpack_set", str(path))
        if ended and "error" not in found:
            path.unlink()
        elif "error" in found:
            print(f"{path.stem}: {found['error']}", flush=True)
            Path(path).rename(path.with_suffix(".refused"))
