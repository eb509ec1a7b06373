"""Several processes, one posterior: each holds a part of the training images (chapter "Computing it fast").

A posterior is a sum over patches, and partial sums are joined by `merge`, whatever the parts and their order.
So K processes can hold a K-th of the images each. All are asked about the same noisy images, each sums over
its own patches, and then everybody learns the sums over all of them by all-reduce, a sum (or maximum) over
processes whose result every process receives:

    M = max of the m;   every process lowers its sums from m to M;   sums and counts are added.

The source is the smallest place among those whose m is M. A process that holds no image of a class sends the
neutral element: m = -inf and sums of 0. The backends below know nothing of this.

    torchrun --nproc-per-node 2 -m elsedu reproduce digits-resnet-zero

    with elsedu.distributed.shard() as device:         # in a script that torchrun starts
        images = elsedu.sample(machine, noise.to(device))

How the processes stay in step, and what is not shared:

* Every call begins with a check that all processes ask the same question, and with the noisy images of
  process 0, which all use: networks on a GPU may differ in the last digit from one process to the next.
* Networks are small beside the machines. Every process runs them, on the same noise, without a message; the
  Wiener filter, one eigenbasis, likewise.
* Files, bars and printed lines belong to process 0 (`led`). What it finds finished, all leave out. It alone
  trains a network, as it would without the others, so that weights do not depend on their number.
* Every process has the whole set in its memory, but only its part on its device.
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
import zlib
from dataclasses import dataclass, replace
from datetime import timedelta

import torch
import torch.distributed as dist

from elsedu.posterior.backends.boxsum_torch import rounding
from elsedu.posterior.state import State, merge

LOST = ("another process was killed, failed, or answers no more, so this one stops too. Finished pieces are kept: "
        "start the same command again to go on")


@dataclass(frozen=True)
class Group:
    """This process's number and how many there are; patient: a process group that never loses patience."""

    rank: int
    world: int
    patient: object


_group = None  # None: alone
_joined = None  # the group of this process once it has one: torch's are made once, and used in every block
_lost = False


def place():
    """(number of this process, how many there are): (0, 1) when alone."""
    return (0, 1) if _group is None else (_group.rank, _group.world)


def leads():
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
        with _talking():
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
        with contextlib.nullcontext() if before is _group else _last_words():
            yield device
    finally:
        _group = before


@contextlib.contextmanager
def _talking():
    """Errors of torch.distributed, which name sockets, as one that says what to do."""
    global _lost
    try:
        yield
    except RuntimeError as error:
        _lost = True
        raise ConnectionError(f"{LOST} ({str(error).split('. ')[0]})") from error


@contextlib.contextmanager
def _last_words():
    """Say why when torchrun stops this process, even in the middle of a long computation outside of Python."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    rank, world = place()
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)

    def listen():
        while number := os.read(ear, 1):
            if number[0] == signal.SIGTERM:
                os.write(2, f"error: process {rank} of {world}: {LOST}\n".encode())
                os._exit(1)
        os.close(ear)

    threading.Thread(target=listen, daemon=True).start()
    handler, before = signal.signal(signal.SIGTERM, lambda *_: None), signal.set_wakeup_fd(mouth)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGTERM, handler)
        os.close(mouth)


# -- one process for all ---------------------------------------------------------------------------------


def led(function):
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
    with _talking():
        dist.broadcast_object_list(answer, 0, group=group.patient)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]


def in_turn(function):
    """function() on every process, on process 0 before the others: it may leave files that they find."""
    found = []
    led(lambda: found.append(function()))
    return found[0] if found else function()


# -- one posterior ---------------------------------------------------------------------------------------


def block(count):
    """Which of `count` images this process holds: a slice. Sizes differ by at most one, and may be 0."""
    rank, world = place()
    return slice(count * rank // world, count * (rank + 1) // world)


def agree(x, question):
    """The noisy images x (B, C, H, W) of process 0, once it is sure that all processes ask the same question.

    question: anything whose repr says what is asked. ValueError if they ask different ones, or about images
    that differ by more than rounding, or if gradients are wanted, which do not pass between processes.
    """
    if _group is None:
        return x
    if x.requires_grad and torch.is_grad_enabled():
        raise ValueError("gradients do not pass between processes: use torch.no_grad(), or leave elsedu.distributed")
    mark = zlib.crc32(repr((question, x.shape, x.dtype)).encode())
    low_high = torch.tensor([-mark, mark], device=x.device)
    with _talking():
        dist.all_reduce(low_high, dist.ReduceOp.MAX)
        if int(low_high.sum()) != 0:
            raise ValueError(f"the processes ask different questions; process {_group.rank} asks {question}, about "
                             f"images {tuple(x.shape)}: run the same script on the same data everywhere")
        first = x.detach().clone(memory_format=torch.contiguous_format)
        dist.broadcast(first, 0)
    if float((first - x).abs().max()) > 0.05:
        raise ValueError(f"process {_group.rank} was asked about other images than process 0: make the noise from "
                         "the same seed on every process")
    return first


def merged(states, fields):
    """{window: State} over the images of all processes, from every process's own; sources count in the whole set."""
    if _group is None:
        return states
    own = list(states.values())
    names = ["s", "v", *(["v2"] if "variance" in fields else []), *(["u"] if "effective_patches" in fields else [])]
    # float64, whatever the backend: one dtype on all processes, and no digits lost on the way
    largest = _reduced([state.m.double() for state in own], dist.ReduceOp.MAX)
    sums = []
    for state, m in zip(own, largest):
        mine = {name: getattr(state, name).double() for name in names}
        # merging with a state that has the largest logit M, but no patches, lowers the sums from m to M
        lowered = merge(State(state.m, **mine), State(m, **{name: torch.zeros_like(z) for name, z in mine.items()}))
        sums += [getattr(lowered, name) for name in names]
    sums = iter(_reduced(sums, dist.ReduceOp.SUM))
    total = [State(m, **{name: next(sums) for name in names}) for m in largest]
    if "log_evidence" in fields:
        counts = _reduced([state.n for state in own], dist.ReduceOp.SUM)
        total = [replace(state, n=n) for state, n in zip(total, counts)]
    if "source" in fields:
        total = _with_sources(total, own)
    return dict(zip(states, total))


def _with_sources(total, own):
    """Add source and tied: of the largest logits the smallest (image, row, column), as one number."""
    height, width = total[0].v.shape[1:3]
    firsts, ties = [], []
    for whole, state in zip(total, own):
        image, row, column = state.source.unbind(-1)
        number = (image * height + row) * width + column
        firsts.append(torch.where(state.m == whole.m, number, torch.iinfo(torch.int64).max))
        as_heavy = state.m >= whole.m - 10 * rounding(state.v) * (1 + whole.m.abs())  # each m has rounding of its own
        ties.append(torch.where(as_heavy, 1 + state.tied.long(), 0))
    firsts = _reduced(firsts, dist.ReduceOp.MIN)
    ties = _reduced(ties, dist.ReduceOp.SUM)
    return [
        replace(whole, source=torch.stack([n // (height * width), n // width % height, n % width], -1), tied=count > 1)
        for whole, n, count in zip(total, firsts, ties)
    ]


def _reduced(tensors, operation):
    """Tensors of one dtype, reduced over the processes element by element, in one message."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _talking():
        dist.all_reduce(flat, operation)
    return [part.view(tensor.shape) for part, tensor in zip(flat.split([t.numel() for t in tensors]), tensors)]

