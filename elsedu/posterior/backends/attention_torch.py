"""The posterior in plain PyTorch, on any device: softmax attention over patches (chapter "Computing it fast").

Noisy windows are the queries, training patches the keys, their centre pixels the values:

    logit = -|query - alpha key|^2 / (2 sigma^2),   denoised = softmax(logit) @ values.

The squared distance is expanded, |query|^2 - 2 alpha query.key + alpha^2 |key|^2, so that all inner products
are one matrix product; colours are centred first, which keeps the cancellation in float32 below 1e-3 nats.
Keys are visited in chunks, so memory does not grow with the number of images, and the partial sums are
joined by `merge`. On a GPU TF32 is switched off: its 11 bits would be wrong by hundredths of a nat. Where
query and patch share one position (IS, LS, and the corners of the zero-border ELS) or one shift (ES) there
are better ways: `boxsum_torch`. Everything is differentiable in x; on a CPU, where no gradient is asked for, there
is a quicker arrangement, `attention_cpu`.

With a zero border a pixel falls into one of four groups (appendix B.2): rows inside the border zone may be
matched with every inside row, a row near the border only with itself, and columns likewise.
"""

from __future__ import annotations

import contextlib

import torch
import torch.nn.functional as F

from elsedu.posterior.backends import attention_cpu
from elsedu.posterior.backends.boxsum_torch import (
    corners,
    every_shift,
    exponential,
    rounding,
    same_image,
    same_position,
)
from elsedu.posterior.borders import groups, near_border, patch_counts
from elsedu.posterior.dictionary import Constraints, Dictionary
from elsedu.posterior.state import NAMES, State, empty_state, merge

CHUNK = {"cpu": 2**19, "other": 2**26}  # logits alive at once; on the CPU they should stay in the cache
SMALLEST = 2**16  # no chunk is halved below this


def partial_posterior(dictionary: Dictionary, x, alpha, sigma, kind: Constraints, windows, fields, chunk=None):
    """{window: State} on x's device and in its dtype. Arguments as in `elsedu.posterior.partial_posterior`.

    chunk: largest number of logits held at once (default: 2**19 on the CPU, on a GPU 2**26 or what its
    free memory allows), halved when a GPU runs out of memory.
    """
    images = dictionary.images
    alpha = alpha.to(x.device, x.dtype)
    inv = (1 / (2 * sigma.double() ** 2)).to(x.device, x.dtype)

    def compute(chunk):
        if kind.whole:
            whole = every_shift if kind.equivariant else same_image
            state = whole(images, x, alpha, inv, fields, chunk)
            state.n = patch_counts(kind, None, *images[:, 0].shape).to(x.device)
            return dict.fromkeys(windows, state)
        in_cache = x.device.type == "cpu" and not (x.requires_grad and torch.is_grad_enabled())
        one_window = attention_cpu.windowed if in_cache else windowed
        return {window: one_window(dictionary, x, alpha, inv, kind, window, fields, chunk) for window in windows}

    with full_precision():
        return halving(compute, chunk or _chunk(x.device))


def _chunk(device):
    """Logits that fit: a dozen copies of a chunk are alive at the worst moment."""
    if device.type != "cuda":
        return CHUNK["cpu" if device.type == "cpu" else "other"]
    free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(SMALLEST, min(CHUNK["other"], free // (12 * 4)))


def halving(compute, chunk):
    """compute(chunk), with half the chunk again and again while the GPU runs out of memory."""
    while True:
        try:
            return compute(chunk)
        except torch.cuda.OutOfMemoryError:
            if chunk <= SMALLEST:
                raise
        # only here, after `except`, is what the failed attempt held set free
        chunk //= 2
        torch.cuda.empty_cache()


@contextlib.contextmanager
def full_precision():
    """Matrix products in float32 proper, whatever the caller's settings; they are put back.

    PyTorch knows two ways of setting this and refuses to compute if they disagree: keep to the caller's.
    """
    settings = torch.backends.cuda.matmul
    try:
        before, change = torch.get_float32_matmul_precision(), torch.set_float32_matmul_precision
        full = "highest"
    except RuntimeError:  # the caller has used the newer way
        before, change = settings.fp32_precision, lambda value: setattr(settings, "fp32_precision", value)
        full = "ieee"
    if before == full:
        yield
        return
    change(full)
    try:
        yield
    finally:
        change(before)


def windowed(dictionary, x, alpha, inv, kind, window, fields, chunk):
    """State of LS or ELS for one window."""
    height, width = x.shape[2:]
    images, state = dictionary.images, None
    if kind.equivariant:
        # centring changes no difference x - alpha y, but it makes the numbers that cancel small
        centre = dictionary.centre.view(1, -1, 1, 1)
        query = _windows(x - alpha.view(-1, 1, 1, 1) * centre, window, kind.border)       # (B, D, H, W)
        per_step = max(1, chunk * 4 // query[0].numel())
        problems = groups(height, width, window, kind)
        for start in range(0, len(images), per_step):
            part = images[start:start + per_step]
            keys = _windows(part - centre, window, kind.border)
            chunk_state = _assemble(problems, query, keys, part, alpha, inv, fields, chunk, start)
            state = chunk_state if state is None else merge(state, chunk_state)
        if kind.border == "zero" and window > 1:
            near = near_border(height, window)[:, None] & near_border(width, window)[None, :]
            state = _choose(near.to(x.device), corners(images, x, alpha, inv, window, fields, chunk), state)
    else:
        state = same_position(images, x, alpha, inv, kind.border, window, fields, chunk)
    state.n = patch_counts(kind, window, len(images), height, width).to(x.device)
    return state


# -- queries against patches from many positions ------------------------------------------------------


def _windows(images, window, border):
    """(N, C P^2, H, W): the window around every pixel, zero-extended or wrapped around the border."""
    radius = window // 2
    if images.is_cuda:  # F.unfold would start one kernel an image
        return unfold_views(images, window, border)
    if border == "circular" and radius:
        padded = F.pad(images, (radius,) * 4, mode="circular")
        return F.unfold(padded, window).view(len(images), -1, *images.shape[2:])
    return F.unfold(images, window, padding=radius).view(len(images), -1, *images.shape[2:])


def unfold_views(images, window, border):
    """The same as `_windows`, by views of the padded images and one copy."""
    padded = F.pad(images, (window // 2,) * 4, mode="circular" if border == "circular" and window > 1 else "constant")
    views = padded.unfold(2, window, 1).unfold(3, window, 1)                            # (N, C, H, W, P, P)
    return views.permute(0, 1, 4, 5, 2, 3).reshape(len(images), -1, *images.shape[2:])


def _assemble(problems, query, keys, images, alpha, inv, fields, chunk, first):
    """One chunk of images against all queries: the State over all pixels (corners stay empty)."""
    batch, _, height, width = query.shape
    state = empty_state(images.new_empty(batch, images.shape[1], height, width), fields)
    for query_rows, key_rows, query_columns, key_columns in problems:
        q = _gather(query, query_rows, query_columns).permute(0, 2, 3, 1)   # (G, B, Q, D)
        k = _with_norms(_gather(keys, key_rows, key_columns))               # (G, D + 1, n K)
        values = _gather(images, key_rows, key_columns).flatten(2).transpose(1, 2)   # (G, n K, C)
        sizes = q.shape[1:3]
        part = _attend(q, k, values, alpha, inv, fields, chunk)

        def place(target, source, sizes=sizes, rows=query_rows, columns=query_columns):
            # source (G, B Q, ...) -> target (B, H, W, ...) at the group's pixels
            source = source.reshape(len(rows), *sizes, *source.shape[2:])
            source = source.reshape(len(rows), batch, rows.shape[1], columns.shape[1], *source.shape[3:])
            target[:, rows[:, :, None], columns[:, None, :]] = source.transpose(0, 1)

        if part.source is not None:
            best, per_image = part.source.squeeze(-1), key_rows.shape[1] * key_columns.shape[1]
            image, inner = best // per_image, best % per_image
            group = torch.arange(len(key_rows))[:, None].to(best.device)
            row = key_rows.to(best.device)[group, inner // key_columns.shape[1]]
            column = key_columns.to(best.device)[group, inner % key_columns.shape[1]]
            part.source = torch.stack([image + first, row, column], -1)
        for name in NAMES:
            if getattr(state, name) is not None:
                place(getattr(state, name), getattr(part, name))
    return state


def _gather(maps, rows, columns):
    """maps (N, D, H, W), rows (G, R), columns (G, S) -> (G, D, N, R S), as a view where that is possible."""
    # inside rows and columns are ranges: a slice of them costs nothing, an index copies scattered numbers
    row_range, column_range = slice(rows[0, 0], rows[0, -1] + 1), slice(columns[0, 0], columns[0, -1] + 1)
    if len(rows) == 1:
        return maps[:, :, row_range, column_range].transpose(0, 1).flatten(2)[None]
    if rows[0, 0] != rows[1, 0]:  # one problem for each row near the border
        return _both_ends(maps[..., column_range], 2, len(rows)).permute(2, 1, 0, 3)
    return _both_ends(maps[:, :, row_range], 3, len(columns)).permute(3, 1, 0, 2)


def _both_ends(maps, axis, count):
    """The first and the last count/2 entries along an axis: the rows (columns) near the border.

    count is odd where the window is wider than the image: then every entry is near the border.
    """
    first, length = count // 2, maps.shape[axis]
    last = count - first
    return torch.cat([maps.narrow(axis, 0, first), maps.narrow(axis, length - last, last)], axis)


def _with_norms(keys):
    """keys (G, D, N, K) -> (G, D + 1, N K): the squared norm of each key below it."""
    groups, depth, count, positions = keys.shape
    out = keys.new_empty(groups, depth + 1, count * positions)
    out[:, :depth].view(groups, depth, count, positions).copy_(keys)
    torch.sum(out[:, :depth].square(), 1, out=out[:, depth])
    return out


def _attend(query, key, value, alpha, inv, fields, chunk):
    """Streaming softmax attention with the Gaussian logit, G problems at once.

    query (G, B, Q, D), key (G, D + 1, K) with its norms, value (G, K, C) -> State of (G, B Q, ...) sums, its source
    (G, B Q, 1) the number of the heaviest key.
    """
    groups, batch, count, _ = query.shape
    scale = (2 * alpha * inv).view(1, -1, 1, 1)
    bias = (-(alpha**2) * inv).view(1, -1, 1, 1).expand(groups, batch, count, 1)
    # one more dimension carries the patch norms into the same matrix product
    extended = torch.cat([query * scale, bias], -1).flatten(1, 2)           # (G, B Q, D + 1)
    own = (query.square().sum(-1) * inv.view(1, -1, 1)).flatten(1)          # (G, B Q)
    columns = [value, torch.ones_like(value[..., :1])]
    if "variance" in fields:
        columns.append(value.square())
    columns = torch.cat(columns, -1).mT.contiguous().mT  # a long product with few columns is quicker so
    channels = value.shape[-1]

    size = max(1, min(chunk // max(1, groups * extended.shape[1]), key.shape[2]))
    if size < 256 and extended.shape[1] * groups > 4096:                    # many queries: split them instead
        pieces = [
            _attend_flat(extended[:, i:i + 1024], own[:, i:i + 1024], key, columns, channels, fields,
                         max(256, chunk // max(1, groups * 1024)))
            for i in range(0, extended.shape[1], 1024)
        ]
        whole = {name: [getattr(piece, name) for piece in pieces] for name in NAMES}
        return State(**{name: torch.cat(parts, 1) for name, parts in whole.items() if parts[0] is not None})
    return _attend_flat(extended, own, key, columns, channels, fields, size)


def _attend_flat(query, own, key, columns, channels, fields, size):
    total = None
    for start in range(0, key.shape[2], size):
        logits = torch.bmm(query, key[:, :, start:start + size])            # (G, B Q, k)
        m = logits.detach().amax(-1, keepdim=True)
        source = tied = None
        if "source" in fields:
            source = logits.argmax(-1, keepdim=True) + start
            scale = 1 + m.abs() + own.unsqueeze(-1).abs()
            tied = (logits > m - rounding(logits) * scale).sum(-1) > 1
        lowered = logits - m if logits.requires_grad or "effective_patches" in fields else logits.sub_(m)
        weight = lowered.exp_() if lowered is logits and logits.is_cuda else exponential(lowered)
        sums = torch.bmm(weight, columns[:, start:start + size])
        part = State(m=m.squeeze(-1), s=sums[..., channels], v=sums[..., :channels], source=source, tied=tied)
        if "variance" in fields:
            part.v2 = sums[..., channels + 1:]
        if "effective_patches" in fields:
            part.u = (weight * lowered).sum(-1)
        total = part if total is None else merge(total, part)
    wide = torch.float32 if own.device.type == "mps" else torch.float64
    total.m = total.m.to(wide) - own.to(wide)
    return total


# -- helpers ---------------------------------------------------------------------------------------------


def _choose(mask, a, b):
    """a where the (H, W) mask is true, otherwise b."""

    def pick(left, right):  # (B, H, W) or, of colours and places, (B, H, W, .)
        return None if left is None else torch.where(mask if left.ndim == 3 else mask.unsqueeze(-1), left, right)

    return State(**{name: pick(getattr(a, name), getattr(b, name)) for name in NAMES})
