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
from elsedu.posterior.state import Dictionary, Kind, State, empty_state, merge, patch_counts

CHUNK = {"cpu": 2**19, "other": 2**26}  # logits alive at once; on the CPU they should stay in the cache
SMALLEST = 2**16  # no chunk is halved below this


def partial_posterior(dictionary: Dictionary, x, alpha, sigma, kind: Kind, windows, fields, chunk=None):
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
            state.n = patch_counts(kind, 0, *images[:, 0].shape).to(x.device)
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
            near = _outside(height, window)[:, None] & _outside(width, window)[None, :]
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


def _inside(length, window):
    radius = window // 2
    return torch.arange(radius, max(radius, length - radius))


def _outside(length, window):
    mask = torch.ones(length, dtype=torch.bool)
    mask[_inside(length, window)] = False
    return mask


def groups(height, width, window, kind):
    """Which rows and columns are matched with which: (query rows, key rows, query columns, key columns).

    An entry holds index tensors of shape (G, .): G independent problems of one size, done in one bmm.
    """
    rows, columns = _inside(height, window), _inside(width, window)
    if kind.border == "circular":
        all_rows, all_columns = torch.arange(height), torch.arange(width)
        if not kind.interior:
            rows, columns = all_rows, all_columns
        return [(all_rows[None], rows[None], all_columns[None], columns[None])]
    edge_rows, edge_columns = (_outside(n, window).nonzero() for n in (height, width))      # (G, 1)
    problems = []
    if len(rows) and len(columns):
        problems.append((rows[None], rows[None], columns[None], columns[None]))
    if len(edge_rows) and len(columns):
        same = columns.expand(len(edge_rows), -1)
        problems.append((edge_rows, edge_rows, same, same))
    if len(edge_columns) and len(rows):
        same = rows.expand(len(edge_columns), -1)
        problems.append((same, same, edge_columns, edge_columns))
    return problems


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

        place(state.m, part["m"])
        place(state.s, part["s"])
        place(state.v.permute(0, 2, 3, 1), part["v"])
        if state.v2 is not None:
            place(state.v2.permute(0, 2, 3, 1), part["v2"])
        if state.u is not None:
            place(state.u, part["u"])
        if state.source is not None:
            best, per_image = part["best"], key_rows.shape[1] * key_columns.shape[1]
            image, inner = best // per_image, best % per_image
            group = torch.arange(len(key_rows))[:, None].to(best.device)
            row = key_rows.to(best.device)[group, inner // key_columns.shape[1]]
            column = key_columns.to(best.device)[group, inner % key_columns.shape[1]]
            place(state.source, torch.stack([image + first, row, column], -1))
            place(state.tied, part["tied"])
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

    query (G, B, Q, D), key (G, D + 1, K) with its norms, value (G, K, C) -> dict of (G, B Q, ...) sums.
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
        return {name: torch.cat([p[name] for p in pieces], 1) for name in pieces[0]}
    return _attend_flat(extended, own, key, columns, channels, fields, size)


def _attend_flat(query, own, key, columns, channels, fields, size):
    total = None
    for start in range(0, key.shape[2], size):
        logits = torch.bmm(query, key[:, :, start:start + size])            # (G, B Q, k)
        m = logits.detach().amax(-1, keepdim=True)
        part = {}
        if "source" in fields:
            part["best"] = logits.argmax(-1) + start
            scale = 1 + m.abs() + own.unsqueeze(-1).abs()
            part["tied"] = (logits > m - rounding(logits) * scale).sum(-1) > 1
        lowered = logits - m if logits.requires_grad or "effective_patches" in fields else logits.sub_(m)
        weight = lowered.exp_() if lowered is logits and logits.is_cuda else exponential(lowered)
        sums = torch.bmm(weight, columns[:, start:start + size])
        part["m"], part["v"], part["s"] = m.squeeze(-1), sums[..., :channels], sums[..., channels]
        if "variance" in fields:
            part["v2"] = sums[..., channels + 1:]
        if "effective_patches" in fields:
            part["u"] = (weight * lowered).sum(-1)
        total = part if total is None else _join(total, part)
    wide = torch.float32 if own.device.type == "mps" else torch.float64
    total["m"] = total["m"].to(wide) - own.to(wide)
    return total


def _join(a, b):
    """`merge` for the flat sums of `_attend_flat`: each problem is dressed as a one-column image."""
    merged = merge(_dress(a), _dress(b))
    out = {"m": merged.m.squeeze(-1), "s": merged.s.squeeze(-1), "v": merged.v.squeeze(-1).transpose(1, 2)}
    if merged.v2 is not None:
        out["v2"] = merged.v2.squeeze(-1).transpose(1, 2)
    if merged.u is not None:
        out["u"] = merged.u.squeeze(-1)
    if merged.source is not None:
        out["best"], out["tied"] = merged.source[:, :, 0, 0], merged.tied.squeeze(-1)
    return out


def _dress(part):
    def channels_first(z):
        return z.transpose(1, 2).unsqueeze(-1)

    state = State(m=part["m"].unsqueeze(-1), s=part["s"].unsqueeze(-1), v=channels_first(part["v"]))
    if "v2" in part:
        state.v2 = channels_first(part["v2"])
    if "u" in part:
        state.u = part["u"].unsqueeze(-1)
    if "best" in part:
        best = part["best"].unsqueeze(-1)
        state.source = torch.stack([best, torch.zeros_like(best), torch.zeros_like(best)], -1)
        state.tied = part["tied"].unsqueeze(-1)
    return state


# -- helpers ---------------------------------------------------------------------------------------------


def _choose(mask, a, b):
    """a where the (H, W) mask is true, otherwise b."""

    def pick(name):
        left, right = getattr(a, name), getattr(b, name)
        if left is None:
            return None
        return torch.where(mask.unsqueeze(-1) if name == "source" else mask, left, right)

    return State(**{name: pick(name) for name in ("m", "s", "v", "v2", "u", "source", "tied")})
