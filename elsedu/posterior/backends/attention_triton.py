"""The posterior as one fused GPU kernel: flash attention over patches (chapter "Computing it fast").

The same softmax attention as `attention_torch`, but logits never leave the chip. Two kernels:

`_unfold` lays windows side by side as the columns of a matrix, for a part of the training set at a time.
`_attend` takes a block of noisy windows (queries), walks over the patches (keys) block by block, and keeps the
largest logit, the sum of weights and the weighted centre pixels in registers. What it found is kept and
goes on with the next part of the training set: the state of `merge`, in place.

Inner products run on the tensor cores in half precision, and still keep float32's digits: every number is
split into high + low, two halves of 11 bits each, and a product is high high + high low + low high, added up
in float32. (The tensor cores' own format for float32 numbers, TF32, has 11 bits as well, is half as fast, and
without the split would be wrong by hundredths of a nat.) Powers of two bring all numbers into range.

Served here: the mean and the evidence of the equivariant local machine. The corners of a zero border, the other
machines and the other fields go to PyTorch. Set TRITON_INTERPRET=1 before the first import of triton to run
the kernels on a CPU, slowly, for tests.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import triton
import triton.language as tl

from elsedu.posterior.backends import attention_torch
from elsedu.posterior.backends.boxsum_torch import corners
from elsedu.posterior.borders import groups, patch_counts
from elsedu.posterior.dictionary import Constraints, Dictionary
from elsedu.posterior.state import State, empty_state, merge

SERVED = frozenset({"mean", "log_evidence"})
CHUNK = 2**26  # numbers of unfolded patches alive at once: in two halves, 256 MiB
LARGEST = 2**13  # numbers are scaled to at most this; half precision ends at 65504
# Tried in this order, until one fits the device's shared memory
SIZES = (
    {"BLOCK_Q": 128, "BLOCK_K": 128, "BLOCK_D": 64, "num_warps": 8, "num_stages": 3},
    {"BLOCK_Q": 128, "BLOCK_K": 64, "BLOCK_D": 32, "num_warps": 4, "num_stages": 3},
    {"BLOCK_Q": 64, "BLOCK_K": 64, "BLOCK_D": 32, "num_warps": 4, "num_stages": 2},
)
INTERPRETER = ({"BLOCK_Q": 16, "BLOCK_K": 16, "BLOCK_D": 64},)


def available():
    """(usable, why): with CUDA and tensor cores for half precision, or under Triton's interpreter."""
    if os.environ.get("TRITON_INTERPRET") == "1":
        return True, "Triton's interpreter, on the CPU"
    if not torch.cuda.is_available():
        return False, "no CUDA device"
    if torch.cuda.get_device_capability() < (8, 0):
        return False, f"{torch.cuda.get_device_name()} is older than compute capability 8.0"
    return True, torch.cuda.get_device_name()


# Sizes that change from call to call are no reason to compile again
@triton.jit(do_not_specialize=["windows", "row_count", "column_count", "height", "width", "side", "depth"])
def _unfold(
    images, factors, rows, columns, high, low, norms,
    windows, stride, row_count, column_count, height, width, side, depth,
    CHANNELS: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):
    """Windows of padded images as columns: high and low (G, depth, stride), norms (G, stride).

    Window k of problem g starts at (rows[g, i], columns[g, j]) of image n, where k = (n, i, j) flattened.
    """
    g = tl.program_id(1)
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    exists = k < windows
    per_image = row_count * column_count
    n = k // per_image
    row = tl.load(rows + g * row_count + (k % per_image) // column_count, mask=exists, other=0)
    column = tl.load(columns + g * column_count + k % column_count, mask=exists, other=0)
    corner = (n * CHANNELS * height + row) * width + column
    factor = tl.load(factors + n, mask=exists, other=0.0)
    norm = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, depth, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)  # (channel, di, dj) flattened, then zeros
        step = ((d // (side * side)) * height + d % (side * side) // side) * width + d % side
        here = exists[None, :] & (d < CHANNELS * side * side)[:, None]
        value = tl.load(images + step[:, None] + corner[None, :], mask=here, other=0.0)
        norm += tl.sum(value * value, 0)
        value *= factor[None, :]
        first_half = value.to(tl.float16)
        at = (g * depth + d)[:, None] * stride + k[None, :]
        tl.store(high + at, first_half)
        tl.store(low + at, (value - first_half.to(tl.float32)).to(tl.float16))
    tl.store(norms + g * stride + k, norm)


@triton.jit(do_not_specialize=["queries", "per_image", "keys", "blocks_per_split", "key_factor", "area", "depth"])
def _attend(
    q_high, q_low, q_norms, k_high, k_low, k_norms, alpha, inv, factors, m_io, s_io, v_io,
    queries, per_image, q_stride, keys, blocks_per_split, k_stride, key_factor, area, depth,
    CHANNELS: tl.constexpr, SHALLOW: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_C: tl.constexpr,
):
    """Add the keys of one split (program axis 1) to the sums of BLOCK_Q queries (axis 0) of one problem (axis 2).

    Logits are counted in powers of two, since the hardware's exponential is 2^z.
    """
    g = tl.program_id(2)
    q = tl.program_id(0) * BLOCK_Q + tl.arange(0, BLOCK_Q)
    q_exists = q < queries
    b = q // per_image
    a = tl.load(alpha + b, mask=q_exists, other=0.0)
    rate = tl.load(inv + b, mask=q_exists, other=0.0)  # 1 / (2 sigma^2)
    rate *= 1.4426950408889634  # over log 2
    factor = tl.load(factors + b, mask=q_exists, other=1.0) * key_factor
    scale = 2 * a * rate / factor
    own = tl.load(q_norms + g * q_stride + q) * rate

    out = (g * tl.num_programs(1) + tl.program_id(1)) * queries + q
    colour = tl.arange(0, BLOCK_C)
    at_v = out[:, None] * CHANNELS + colour[None, :]
    v_exists = q_exists[:, None] & (colour < CHANNELS)[None, :]
    m = tl.load(m_io + out, mask=q_exists, other=float("-inf"))
    s = tl.load(s_io + out, mask=q_exists, other=0.0)
    v = tl.load(v_io + at_v, mask=v_exists, other=0.0)

    if SHALLOW:  # one step: where the compiler knows, it loads keys ahead of time
        depth = BLOCK_D
    d = tl.arange(0, BLOCK_D)
    q_at = (g * depth + d)[None, :] * q_stride + q[:, None]
    # a multiple of BLOCK_K: the compiler sees that 16 bytes can be read at once
    first = tl.program_id(1) * blocks_per_split * BLOCK_K
    last = tl.minimum(first + blocks_per_split * BLOCK_K, keys)
    for start in range(first, last, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        k_at = (g * depth + d)[:, None] * k_stride + k[None, :]
        product = tl.zeros((BLOCK_Q, BLOCK_K), tl.float32)
        for step in range(0, depth, BLOCK_D):
            query = tl.load(q_high + q_at + step * q_stride)
            query_rest = tl.load(q_low + q_at + step * q_stride)
            key = tl.load(k_high + k_at + step * k_stride)
            key_rest = tl.load(k_low + k_at + step * k_stride)
            product = tl.dot(query, key, product)
            product = tl.dot(query, key_rest, product)
            product = tl.dot(query_rest, key, product)

        norm = tl.load(k_norms + g * k_stride + k)
        squares = (a * a * rate)[:, None] * norm[None, :] + own[:, None]
        logits = scale[:, None] * product - squares
        logits = tl.where((k < last)[None, :], logits, float("-inf"))
        larger = tl.maximum(m, tl.max(logits, 1))
        rescale = tl.exp2(m - larger)
        weight = tl.exp2(logits - larger[:, None])
        s = s * rescale + tl.sum(weight, 1)
        v = v * rescale[:, None]
        for c in tl.static_range(CHANNELS):
            middle = (g * depth + c * area + area // 2) * k_stride + k
            centre = tl.load(k_high + middle).to(tl.float32)
            centre += tl.load(k_low + middle).to(tl.float32)
            added = tl.sum(weight * centre[None, :], 1)
            v += tl.where(colour[None, :] == c, added[:, None], 0.0)
        m = larger

    tl.store(m_io + out, m, mask=q_exists)
    tl.store(s_io + out, s, mask=q_exists)
    tl.store(v_io + at_v, v, mask=v_exists)


# -- from images to kernels and back ---------------------------------------------------------------------


@dataclass
class Windows:
    """What `_unfold` wrote: G problems of `count` windows each."""

    high: torch.Tensor
    low: torch.Tensor
    norms: torch.Tensor
    count: int
    per_image: int
    stride: int


def partial_posterior(dictionary: Dictionary, x, alpha, sigma, kind: Constraints, windows, fields, chunk=CHUNK):
    """{window: State} on x's device. Arguments as in `elsedu.posterior.partial_posterior`.

    chunk: largest number of patch pixels unfolded at once, halved when the GPU runs out of memory.
    """
    if kind.whole or not kind.equivariant or not set(fields) <= SERVED:
        return attention_torch.partial_posterior(dictionary, x, alpha, sigma, kind, windows, fields)
    alpha = alpha.to(x.device, torch.float32)
    inv = (1 / (2 * sigma.double() ** 2)).to(x.device, torch.float32)

    def compute(chunk):
        return {window: _in_batches(dictionary, x, alpha, inv, kind, window, fields, chunk) for window in windows}

    with torch.cuda.device_of(x), attention_torch.full_precision():
        return attention_torch.halving(compute, min(chunk, CHUNK))


def _in_batches(dictionary, x, alpha, inv, kind, window, fields, chunk):
    """All queries, as many at a time as keep the indices of their unfolded windows far below 2**31."""
    size = max(1, CHUNK // (x[0].numel() * window**2))
    parts = [_windowed(dictionary, *(z[b:b + size] for z in (x, alpha, inv)), kind, window, fields, chunk)
             for b in range(0, len(x), size)]
    state = State(*(torch.cat([getattr(part, name) for part in parts]) for name in ("m", "s", "v")))
    state.n = patch_counts(kind, window, len(dictionary.images), *x.shape[2:]).to(x.device)
    return state


def _windowed(dictionary, x, alpha, inv, kind, window, fields, chunk):
    images, centre, key_factor = _centred(dictionary)
    height, width = x.shape[2:]
    shifted = x - alpha.view(-1, 1, 1, 1) * centre
    factors = _power_of_two(shifted.abs().amax((1, 2, 3)))
    state = empty_state(x, ())
    for query_rows, key_rows, query_columns, key_columns in groups(height, width, window, kind):
        queries = unfold(shifted, factors, query_rows, query_columns, window, kind.border)
        sums = _neutral(queries, len(query_rows), x)
        per_step = max(1, chunk // (len(key_rows) * queries.high.shape[1] * key_rows.shape[1] * key_columns.shape[1]))
        for start in range(0, len(images), per_step):
            part = images[start:start + per_step]
            keys = unfold(part, part.new_full((len(part),), key_factor), key_rows, key_columns, window, kind.border)
            attend(queries, keys, alpha, inv, factors, key_factor, x.shape[1], window, sums)
        _place(state, sums, query_rows, query_columns, centre, key_factor)
    if kind.border == "zero" and window > 1:
        state = merge(state, corners(dictionary.images, x, alpha, inv, window, fields))
    return state


def _centred(dictionary):
    """Images around their mean colour, the colour, and the power of two that scales them; kept."""
    if "centred" not in dictionary.cache:
        centre = dictionary.centre.view(1, -1, 1, 1)
        images = (dictionary.images - centre).contiguous()
        dictionary.cache["centred"] = images, centre, float(_power_of_two(images.abs().amax()))
    return dictionary.cache["centred"]


def _power_of_two(largest):
    """The power of two that brings numbers up to `largest` below LARGEST (no wait for the device)."""
    exponent = torch.frexp(largest.clamp_min(2.0**-60)).exponent
    return torch.ldexp(torch.full_like(largest, LARGEST), -exponent)


def unfold(images, factors, rows, columns, window, border):
    """Windows around the pixels rows (G, R) x columns (G, S) of images (n, C, H, W)."""
    radius = window // 2
    padded = F.pad(images, (radius,) * 4, mode="circular" if border == "circular" and radius else "constant")
    channels, (height, width) = images.shape[1], padded.shape[2:]
    groups, per_image = len(rows), rows.shape[1] * columns.shape[1]
    count, depth = len(images) * per_image, channels * window**2
    # up to whole tiles: `_attend` then needs no masks where it reads most
    block, step = (SIZES if images.is_cuda else INTERPRETER)[0]["BLOCK_K"], 16 if depth <= 16 else 32
    stride, depth = triton.cdiv(count, block) * block, triton.cdiv(depth, step) * step
    halves = torch.empty((2, groups, depth, stride), dtype=torch.float16, device=images.device)
    norms = images.new_empty(groups, stride)
    _unfold[(stride // block, groups)](
        padded.contiguous(), factors, *(z.to(images.device, torch.int32).contiguous() for z in (rows, columns)),
        halves[0], halves[1], norms, count, stride, rows.shape[1], columns.shape[1], height, width, window, depth,
        CHANNELS=channels, BLOCK=block, BLOCK_D=16,
    )
    return Windows(halves[0], halves[1], norms, count, per_image, stride)


def attend(queries, keys, alpha, inv, factors, key_factor, channels, window, sums):
    """Add keys to the sums (m, s, v) of queries, in place."""
    m, s, v = sums
    groups, splits = m.shape[:2]
    sizes = _sizes(m)
    while True:
        depth, size = keys.high.shape[1], dict(sizes[0])
        size["BLOCK_D"] = math.gcd(size["BLOCK_D"], depth)
        if queries.count <= 64:
            size["BLOCK_Q"] = min(size["BLOCK_Q"], 64)
        blocks = triton.cdiv(triton.cdiv(keys.count, size["BLOCK_K"]), splits)
        try:
            _attend[(triton.cdiv(queries.count, size["BLOCK_Q"]), splits, groups)](
                queries.high, queries.low, queries.norms, keys.high, keys.low, keys.norms, alpha, inv, factors, m, s, v,
                queries.count, queries.per_image, queries.stride, keys.count, blocks, keys.stride, key_factor,
                window**2, depth, CHANNELS=channels, SHALLOW=size["BLOCK_D"] == depth,
                BLOCK_C=triton.next_power_of_2(channels), **size,
            )
            return
        except triton.runtime.errors.OutOfResources:  # a smaller chip: raised before anything runs
            if len(sizes) == 1:
                raise
            sizes = _fitting[m.device] = sizes[1:]


_fitting = {}  # {device: the sizes that fit it}


def _sizes(tensor):
    return _fitting.get(tensor.device, SIZES) if tensor.is_cuda else INTERPRETER


def _neutral(queries, groups, x):
    """Empty sums (groups, splits, queries): as many splits as keep the device busy."""
    busy = 2 * torch.cuda.get_device_properties(x.device).multi_processor_count if x.is_cuda else 3
    splits = max(1, busy // (groups * triton.cdiv(queries.count, _sizes(x)[0]["BLOCK_Q"])))
    shape = groups, splits, queries.count
    return x.new_full(shape, -math.inf), x.new_zeros(shape), x.new_zeros(*shape, x.shape[1])


def _place(state, sums, rows, columns, centre, key_factor):
    """Merge the splits (all at once), undo scaling and centring, and write the result at the queries' pixels."""
    m, s, v = sums
    top = m.amax(1, keepdim=True)
    scale = torch.exp2(m - top)
    s, v = (s * scale).sum(1), (v * scale.unsqueeze(-1)).sum(1)
    v = v / key_factor + s.unsqueeze(-1) * centre.flatten()
    batch, groups, size = len(state.m), len(rows), (rows.shape[1], columns.shape[1])
    at = rows[:, :, None].to(m.device), columns[:, None, :].to(m.device)
    state.m[:, at[0], at[1]] = (top[:, 0].double() * math.log(2)).view(groups, batch, *size).transpose(0, 1)
    state.s[:, at[0], at[1]] = s.view(groups, batch, *size).transpose(0, 1)
    state.v[:, at[0], at[1]] = v.view(groups, batch, *size, -1).transpose(0, 1)


__all__ = ["State", "available", "partial_posterior"]
