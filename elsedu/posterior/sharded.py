"""One posterior over several processes: each holds a part of the training images (chapter "Computing it fast").

A posterior is a sum over patches, and partial sums are joined by `merge`, whatever the parts and their order.
So K processes can hold a K-th of the images each. All are asked about the same noisy images, each sums over
its own patches, and then everybody learns the sums over all of them by all-reduce, a sum (or maximum) over
processes whose result every process receives:

    M = max of the m;   every process lowers its sums from m to M;   sums and counts are added.

The source is the smallest place among those whose m is M. A process that holds no image of a class sends the
neutral element: m = -inf and sums of 0. The backends know nothing of this.

Every call begins with a check that all processes ask the same question, and with the noisy images of process 0,
which all use: networks on a GPU may differ in the last digit from one process to the next. Every process has the
whole set in its memory, but only its part on its device. `elsedu._common.processes` starts and ends the group.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import torch
import torch.distributed as dist

from elsedu._common.processes import errors_explained, rank_and_world
from elsedu.posterior.backends.boxsum_torch import rounding
from elsedu.posterior.state import State, merge


def block(count):
    """Which of `count` images this process holds: a slice. Sizes differ by at most one, and may be 0."""
    rank, world = rank_and_world()
    return slice(count * rank // world, count * (rank + 1) // world)


def agree(x, question):
    """The noisy images x (B, C, H, W) of process 0, once it is sure that all processes ask the same question.

    question: anything whose repr says what is asked. ValueError if they ask different ones, or about images
    that differ by more than rounding, or if gradients are wanted, which do not pass between processes.
    """
    rank, world = rank_and_world()
    if world == 1:
        return x
    if x.requires_grad and torch.is_grad_enabled():
        raise ValueError("gradients do not pass between processes: use torch.no_grad(), or leave elsedu.distributed")
    mark = zlib.crc32(repr((question, x.shape, x.dtype)).encode())
    low_high = torch.tensor([-mark, mark], device=x.device)
    with errors_explained():
        dist.all_reduce(low_high, dist.ReduceOp.MAX)
        if int(low_high.sum()) != 0:
            raise ValueError(f"the processes ask different questions; process {rank} asks {question}, about "
                             f"images {tuple(x.shape)}: run the same script on the same data everywhere")
        first = x.detach().clone(memory_format=torch.contiguous_format)
        dist.broadcast(first, 0)
    if float((first - x).abs().max()) > 0.05:
        raise ValueError(f"process {rank} was asked about other images than process 0: make the noise from "
                         "the same seed on every process")
    return first


def merged(states, fields):
    """{window: State} over the images of all processes, from every process's own; sources count in the whole set."""
    if rank_and_world()[1] == 1:
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
    with errors_explained():
        dist.all_reduce(flat, operation)
    return [part.view(tensor.shape) for part, tensor in zip(flat.split([t.numel() for t in tensors]), tensors)]

