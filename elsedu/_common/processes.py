"""Several processes that torchrun started: who is the first of them, and what the first does for all.

    torchrun --nproc-per-node 2 -m elsedu reproduce digits-resnet-zero

    with elsedu.distributed.shard() as device:         # in a script that torchrun starts
        images = elsedu.sample(machine, noise.to(device))

Inside `shard` machines share the training images (`elsedu.posterior.sharded` has the algebra).

* Networks are small beside the machines. Every process runs them, on the same noise, without a message; the
  Wiener filter, one eigenbasis, likewise.
* Files, bars and printed lines belong to process 0 (`on_main_process`). What it finds finished, all leave out. It
  alone trains a network, as it would without the others, so that weights do not depend on their number.
* If a process dies or fails, the others stop with a message, and torchrun ends with an error. If one hangs,
  they stop after `minutes`. Pieces that are finished stay, and the same command goes on, with any number of processes.

Without torchrun, or with one process, all of this does nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

LOST = ("another process was killed, failed, or answers no more, so this one stops too. Finished pieces are kept: "
        "start the same command again to go on")


@dataclass(frozen=True)
class Group:
    """This process's number and how many there are; patient: a process group that never loses patience."""

    rank: int
    world: int
    patient: object


_group: Group | None = None  # None: alone
_joined = None  # the group of this process once it has one: torch's are made once, and used in every block
_lost = False


def rank_and_world() -> tuple[int, int]:
    """(number of this process, how many there are): (0, 1) when alone."""
    return (0, 1) if _group is None else (_group.rank, _group.world)


def is_main_process() -> bool:
    """Whether this process is the one that prints and writes files: process 0, or one that is alone."""
    return _group is None or _group.rank == 0


# -- joining the group -----------------------------------------------------------------------------------


def init(device="auto", minutes=30.0):
    """Join the processes that torchrun started; from now on machines share their images. Returns the device to use.

    device: "auto" (CUDA where there is one), "cuda" or "cpu". With CUDA each process takes the GPU of its
    number on its machine and sums travel by NCCL, otherwise by gloo.
    minutes: how long to wait for a process that does not answer, before giving up; the first call decides.

    Does nothing but name the device if torchrun did not start this process, or only one. ValueError for more
    processes than GPUs; ConnectionError if the others cannot be reached.
    """
    global _group, _joined
    if str(device) == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(device)
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return device
    if not dist.is_available():
        raise ImportError("this torch was built without torch.distributed, which several processes need")
    if device.type == "cuda":
        own, here = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        if here > torch.cuda.device_count():
            raise ValueError(f"{here} processes on this machine, but {torch.cuda.device_count()} GPUs: start one "
                             "process for each GPU, or choose the device cpu")
        torch.cuda.set_device(own)
        device = torch.device("cuda", own)
    if _joined is None:
        with errors_explained():
            if not dist.is_initialized():
                dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
                                        timeout=timedelta(minutes=minutes))
                atexit.register(_leave)
            patient = dist.new_group(backend="gloo", timeout=timedelta(days=30))
        _joined = Group(dist.get_rank(), dist.get_world_size(), patient)
    _group = _joined
    return device


def _leave():
    if not _lost:  # otherwise there is nobody to take leave of
        dist.destroy_process_group()


@contextlib.contextmanager
def shard(device="auto", minutes=30.0):
    """`init` for a block, which ends with machines that are whole again: ``with shard() as device``."""
    global _group
    before, device = _group, init(device, minutes)
    try:
        with contextlib.nullcontext() if before is _group else _exit_message():
            yield device
    finally:
        _group = before


@contextlib.contextmanager
def errors_explained():
    """Errors of torch.distributed, which name sockets, as one that says what to do."""
    global _lost
    try:
        yield
    except RuntimeError as error:
        _lost = True
        raise ConnectionError(f"{LOST} ({str(error).split('. ')[0]})") from error


@contextlib.contextmanager
def _exit_message():
    """Say why when torchrun stops this process, even in the middle of a long computation outside of Python."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    rank, world = rank_and_world()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)

    def listen():
        while number := os.read(read_end, 1):
            if number[0] == signal.SIGTERM:
                os.write(2, f"error: process {rank} of {world}: {LOST}\n".encode())
                os._exit(1)
        os.close(read_end)

    threading.Thread(target=listen, daemon=True).start()
    handler, before = signal.signal(signal.SIGTERM, lambda *_: None), signal.set_wakeup_fd(write_end)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGTERM, handler)
        os.close(write_end)


# -- one process for all ---------------------------------------------------------------------------------


def on_main_process(function):
    """What function() returns (or raises) on process 0, on every process. The others wait, however long it takes.

    Process 0 runs it as if it were alone. For files, and for work that is not shared.
    """
    global _group
    if _group is None:
        return function()
    group, answer = _group, [None, None]
    if group.rank == 0:
        _group = None
        try:
            answer = [function(), None]
        except Exception as error:
            answer = [None, error]
        finally:
            _group = group
    with errors_explained():
        dist.broadcast_object_list(answer, 0, group=group.patient)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]


def main_process_first(function):
    """function() on every process, on process 0 before the others: it may leave files that they find."""
    found = []
    on_main_process(lambda: found.append(function()))
    return found[0] if found else function()
