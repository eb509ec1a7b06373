"""The posterior as one fused GPU kernel: flash attention over patches (chapter "Computing it fast").

The same softmax attention as `attention_torch`, but logits never leave the chip: a program takes a block of
noisy windows, walks over all training patches, and keeps the running maximum, the sum of weights and the
weighted centre pixels in registers. No patch is ever copied out of its image: tile entries are addressed
as (image, row + di, column + dj, channel). Products run on tensor cores in "tf32x3", three TF32 products that
together keep float32's digits; plain TF32 would be wrong by hundredths of a nat.

The training set is split over programs, and the partial sums are joined by `merge`, as everywhere. Served
here: the mean (and evidence) of the equivariant local machine away from the border, where nearly all pairs
are. Edges and corners (zero border), the other machines and the other fields go to `attention_torch`.

Set TRITON_INTERPRET=1 before the first import of triton to run the kernel on a CPU, slowly, for tests.
"""

from __future__ import annotations

import os

import torch
import triton
import triton.language as tl

from elsedu.posterior import attention_torch, boxsum_torch
from elsedu.posterior.state import Dictionary, Kind, State, empty_state, merge, patch_counts

SERVED = frozenset({"mean", "log_evidence"})


def available():
    """(usable, why): with CUDA, or under Triton's interpreter."""
    if os.environ.get("TRITON_INTERPRET") == "1":
        return True, "Triton's interpreter, on the CPU"
    if not torch.cuda.is_available():
        return False, "no CUDA device"
    return True, torch.cuda.get_device_name()


@triton.jit
def _attend(
    x, y, alpha, inv, m_out, s_out, v_out,
    queries, keys, keys_per_split, height, width,
    query_height, query_width, query_first, key_height, key_width, key_first,
    CHANNELS: tl.constexpr, SIDE: tl.constexpr, CIRCULAR: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_C: tl.constexpr,
):
    """Sums over the keys of one split (program axis 1) for BLOCK_Q queries (program axis 0).

    A query is (image of the batch, row, column), a key (training image, row, column), both flattened; rows
    and columns count from query_first and key_first. The d axis of a window is (channel, di, dj).
    """
    area: tl.constexpr = SIDE * SIDE
    depth: tl.constexpr = CHANNELS * SIDE * SIDE
    radius: tl.constexpr = SIDE // 2

    q = tl.program_id(0) * BLOCK_Q + tl.arange(0, BLOCK_Q)
    q_exists = q < queries
    per_image = query_height * query_width
    b = q // per_image
    row = query_first + (q % per_image) // query_width
    column = query_first + q % query_width
    a = tl.load(alpha + b, mask=q_exists, other=0.0)
    i = tl.load(inv + b, mask=q_exists, other=0.0)

    m = tl.full((BLOCK_Q,), float("-inf"), tl.float32)
    s = tl.zeros((BLOCK_Q,), tl.float32)
    v = tl.zeros((BLOCK_Q, BLOCK_C), tl.float32)
    colour = tl.arange(0, BLOCK_C)

    first = tl.program_id(1) * keys_per_split
    last = tl.minimum(first + keys_per_split, keys)
    for start in range(first, last, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        k_exists = k < last
        per_key_image = key_height * key_width
        n = k // per_key_image
        key_row = key_first + (k % per_key_image) // key_width
        key_column = key_first + k % key_width

        product = tl.zeros((BLOCK_Q, BLOCK_K), tl.float32)
        norm = tl.zeros((BLOCK_K,), tl.float32)
        for d_start in range(0, depth, BLOCK_D):
            d = d_start + tl.arange(0, BLOCK_D)
            d_exists = d < depth
            c = d // area
            di = (d % area) // SIDE - radius
            dj = d % SIDE - radius
            x_row, x_column = row[:, None] + di[None, :], column[:, None] + dj[None, :]
            y_row, y_column = key_row[None, :] + di[:, None], key_column[None, :] + dj[:, None]
            if CIRCULAR:
                x_row, x_column = (x_row + height) % height, (x_column + width) % width
                y_row, y_column = (y_row + height) % height, (y_column + width) % width
            window = tl.load(x + ((b[:, None] * CHANNELS + c[None, :]) * height + x_row) * width + x_column,
                             mask=q_exists[:, None] & d_exists[None, :], other=0.0)
            patch = tl.load(y + ((n[None, :] * CHANNELS + c[:, None]) * height + y_row) * width + y_column,
                            mask=k_exists[None, :] & d_exists[:, None], other=0.0)
            product = tl.dot(window, patch, product, input_precision="tf32x3")
            norm += tl.sum(patch * patch, 0)

        logits = (2 * a * i)[:, None] * product - (a * a * i)[:, None] * norm[None, :]
        logits = tl.where(k_exists[None, :], logits, float("-inf"))
        larger = tl.maximum(m, tl.max(logits, 1))
        rescale = tl.exp(m - larger)
        weight = tl.exp(logits - larger[:, None])
        s = s * rescale + tl.sum(weight, 1)
        v = v * rescale[:, None]
        for c in tl.static_range(CHANNELS):
            centre = tl.load(y + ((n * CHANNELS + c) * height + key_row) * width + key_column, mask=k_exists, other=0.0)
            v += tl.where(colour[None, :] == c, tl.sum(weight * centre[None, :], 1)[:, None], 0.0)
        m = larger

    out = tl.program_id(1) * queries + q
    tl.store(m_out + out, m, mask=q_exists)
    tl.store(s_out + out, s, mask=q_exists)
    where = out[:, None] * CHANNELS + colour[None, :]
    tl.store(v_out + where, v, mask=q_exists[:, None] & (colour[None, :] < CHANNELS))


def partial_posterior(dictionary: Dictionary, x, alpha, sigma, kind: Kind, windows, fields):
    """{window: State} on x's device. Arguments as in `elsedu.posterior.partial_posterior`."""
    if kind.whole or not kind.equivariant or not set(fields) <= SERVED:
        return attention_torch.partial_posterior(dictionary, x, alpha, sigma, kind, windows, fields)
    alpha = alpha.to(x.device, torch.float32)
    inv = (1 / (2 * sigma.double() ** 2)).to(x.device, torch.float32)
    return {window: _windowed(dictionary, x, alpha, inv, kind, window, fields) for window in windows}


def _windowed(dictionary, x, alpha, inv, kind, window, fields):
    images = dictionary.images
    height, width = x.shape[2:]
    radius = window // 2
    if kind.border == "zero" and min(height, width) <= 2 * radius:
        state = attention_torch.windowed(dictionary, x, alpha, inv, kind, window, fields)  # no inside pixel
    else:
        state = _inside(dictionary, x, alpha, inv, kind, window)
        if kind.border == "zero" and radius:
            edges = attention_torch.windowed(dictionary, x, alpha, inv, kind, window, fields, inside=False)
            state = merge(state, edges)
    state.n = patch_counts(kind, window, len(images), height, width).to(x.device)
    return state


def _inside(dictionary, x, alpha, inv, kind, window):
    """State of the pixels whose windows lie inside (on a torus: of all); the others get the neutral element."""
    centre = dictionary.centre
    if "centred" not in dictionary.cache:
        dictionary.cache["centred"] = (dictionary.images - centre.view(1, -1, 1, 1)).contiguous()
    y = dictionary.cache["centred"]
    x = (x - alpha.view(-1, 1, 1, 1) * centre.view(1, -1, 1, 1)).contiguous()
    batch, channels, height, width = x.shape
    radius = window // 2
    torus = kind.border == "circular"
    query_first = 0 if torus else radius
    key_first = 0 if torus and not kind.interior else radius
    query_size = height - 2 * query_first, width - 2 * query_first
    key_size = height - 2 * key_first, width - 2 * key_first
    queries, keys = batch * query_size[0] * query_size[1], len(y) * key_size[0] * key_size[1]

    block_q = block_k = 64 if x.is_cuda else 16
    blocks = triton.cdiv(queries, block_q)
    splits = max(1, min(_programs(x) // blocks, triton.cdiv(keys, 16 * block_k)))
    keys_per_split = triton.cdiv(triton.cdiv(keys, splits), block_k) * block_k
    splits = triton.cdiv(keys, keys_per_split)
    m, s = x.new_empty(splits, queries), x.new_empty(splits, queries)
    v = x.new_empty(splits, queries, channels)
    _attend[(blocks, splits)](
        x, y, alpha.contiguous(), inv.contiguous(), m, s, v,
        queries, keys, keys_per_split, height, width, *query_size, query_first, *key_size, key_first,
        CHANNELS=channels, SIDE=window, CIRCULAR=torus,
        BLOCK_Q=block_q, BLOCK_K=block_k, BLOCK_D=16 if channels * window**2 <= 16 else 32,
        BLOCK_C=triton.next_power_of_2(channels),
    )
    total = None
    for k in range(splits):
        part = State(m=m[k].view(batch, *query_size), s=s[k].view(batch, *query_size),
                     v=v[k].view(batch, *query_size, channels).permute(0, 3, 1, 2))
        total = part if total is None else merge(total, part)
    return _place(total, x, centre, alpha, inv, window, torus, query_first)


def _place(inside, x, centre, alpha, inv, window, torus, first):
    """Undo the centring, add the queries' own norms to the logits, and surround with the neutral element."""
    height, width = x.shape[2:]
    own = boxsum_torch.box_sum(x.square().sum(1), window, "circular" if torus else "zero") * inv.view(-1, 1, 1)
    state = empty_state(x, ())
    rows, columns = slice(first, height - first), slice(first, width - first)
    state.m[:, rows, columns] = inside.m.double() - own[:, rows, columns].double()
    state.s[:, rows, columns] = inside.s
    state.v[:, :, rows, columns] = inside.v + inside.s.unsqueeze(1) * centre.view(1, -1, 1, 1)
    return state


def _programs(x):
    """How many programs keep the device busy: a few for each multiprocessor."""
    return 4 * torch.cuda.get_device_properties(x.device).multi_processor_count if x.is_cuda else 3
