"""The posterior where query and patch share one place, or one shift: LS, IS, ES in PyTorch (parts I and II).

LS compares the window at p only with the windows at p: the squared differences of two images, summed over a
box around every pixel, serve all pixels at once and nothing cancels. IS is the same with the whole image as
the box. ES compares whole images at every cyclic shift, which is a correlation, so it uses the FFT.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from elsedu.posterior.state import NAMES, State, empty_state, merge


def rounding(logits):
    """Relative size below which two logits count as tied."""
    return 4e-7 if logits.dtype == torch.float32 else 1e-15


def exponential(logits):
    """e^z for z <= 0. On a CPU as 2^z, which is quick, and never below the smallest normal number, where it is not."""
    if logits.device.type != "cpu":
        return logits.exp()
    bits = logits * math.log2(math.e)
    least = math.log2(torch.finfo(bits.dtype).tiny)
    if bits.requires_grad:
        return bits.clamp_min(least).exp2()
    return bits.clamp_min_(least).exp2_()


def window_sum(maps, window, *axes):
    """Sums of P = `window` neighbours along an axis, or along the diagonal of several: maps[i] + ... + maps[i + P - 1].

    Sums of 2, 4, 8, ... neighbours are made from each other, so that log2 P additions do, and nothing is
    subtracted: a running sum would lose digits in float32. Each axis becomes P - 1 shorter.
    """

    def cut(values, start, lengths):
        for axis, length in zip(axes, lengths):
            values = values.narrow(axis, start, length)
        return values

    lengths = [maps.shape[axis] - window + 1 for axis in axes]
    total, done, size = None, 0, 1  # `maps` holds the sums of `size` neighbours, `total` those of `done`
    while True:
        if window & size:
            part = cut(maps, done, lengths)
            total, done = part if total is None else total + part, done + size
        if done == window:
            return total
        longer = [maps.shape[axis] - size for axis in axes]
        maps, size = cut(maps, 0, longer) + cut(maps, size, longer), 2 * size


def box_sum(maps, window, border):
    """Sum over the P x P window around each pixel of the last two axes (zeros or wrap-around beyond the border)."""
    radius = window // 2
    for axis in (-2, -1):
        length = maps.shape[axis]
        if border == "circular":
            index = torch.arange(-radius, length + radius, device=maps.device) % length
            maps = window_sum(maps.index_select(axis, index), window, axis)
        elif window >= 2 * length - 1:  # every window covers the whole axis: one sum serves all
            maps = maps.sum(axis, keepdim=True).expand_as(maps)
        else:
            maps = window_sum(F.pad(maps, (0, 0, radius, radius) if axis == -2 else (radius, radius)), window, axis)
    return maps


def ends(length, window):
    """The pixels near the two ends of an axis, and what their windows see: pairs of slices."""
    radius = window // 2
    if length <= 2 * radius:  # one end reaches the other
        return [(slice(0, length),) * 2]
    return [(slice(0, radius), slice(0, 2 * radius)),
            (slice(length - radius, length), slice(length - 2 * radius, length))]


def corners(images, x, alpha, inv, window, fields, chunk=2**26):
    """LS at the pixels near a zero border in both directions; the others stay empty.

    Only the corners of the images are looked at, twice as large as the radius, or all where images are small.
    """
    state = empty_state(x, fields)
    for rows, seen_rows in ends(x.shape[2], window):
        for columns, seen_columns in ends(x.shape[3], window):
            seen = (..., seen_rows, seen_columns)
            local = same_position(images[seen], x[seen], alpha, inv, "zero", window, fields, chunk)
            inner = tuple(slice(a.start - b.start, a.stop - b.start)
                          for a, b in ((rows, seen_rows), (columns, seen_columns)))
            if local.source is not None:
                local.source += torch.tensor([0, seen_rows.start, seen_columns.start], device=x.device)
            for name in NAMES:
                if getattr(state, name) is not None:
                    getattr(state, name)[:, rows, columns] = getattr(local, name)[:, inner[0], inner[1]]
    return state


def same_position(images, x, alpha, inv, border, window, fields, chunk):
    """LS: for every pixel, a softmax over the training images at that pixel."""
    state = None
    per_step = max(1, chunk // (len(x) * x[0].numel()))
    for start in range(0, len(images), per_step):
        part = images[start:start + per_step]
        squares = (x[:, None] - alpha.view(-1, 1, 1, 1, 1) * part[None]).square().sum(2)     # (B, n, H, W)
        logits = -box_sum(squares, window, border) * inv.view(-1, 1, 1, 1)
        piece = _softmax_over_images(logits, part, fields, start)
        state = piece if state is None else merge(state, piece)
    return state


def _softmax_over_images(logits, images, fields, first):
    """logits (B, n, H, W) or (B, n, 1, 1) with values images (n, C, H, W)."""
    m = logits.detach().amax(1, keepdim=True)
    lowered = logits - m
    weight = exponential(lowered)
    state = State(m=m.squeeze(1), s=weight.sum(1), v=_weighted(weight, images))
    if "variance" in fields:
        state.v2 = _weighted(weight, images.square())
    if "effective_patches" in fields:
        state.u = (weight * lowered).sum(1)
    if "source" in fields:
        best = logits.argmax(1)                                             # (B, H, W) or (B, 1, 1)
        rows, columns = torch.meshgrid(*(torch.arange(n, device=best.device) for n in best.shape[1:]), indexing="ij")
        state.source = torch.stack([best + first, rows.expand_as(best), columns.expand_as(best)], -1)
        state.tied = (logits >= m - rounding(logits) * (1 + m.abs())).sum(1) > 1
    return state


def _weighted(weight, values):
    if weight.shape[2:] == (1, 1):
        return torch.einsum("bn,nchw->bchw", weight[:, :, 0, 0], values).movedim(1, -1)
    return torch.einsum("bnhw,nchw->bchw", weight, values).movedim(1, -1)


def same_image(images, x, alpha, inv, fields, chunk):
    """IS: one softmax over whole training images."""
    state = None
    per_step = max(1, chunk // (4 * x[0].numel()))  # small enough for the cache
    for start in range(0, len(images), per_step):
        part = images[start:start + per_step]
        squares = torch.stack([
            (query[None] - a * part).square().sum((1, 2, 3)) for query, a in zip(x, alpha)
        ])
        logits = -squares * inv.view(-1, 1)
        piece = _softmax_over_images(logits[:, :, None, None], part, fields, start)
        state = piece if state is None else merge(state, piece)
    return state


def every_shift(images, x, alpha, inv, fields, chunk):
    """ES: one softmax over whole images at every cyclic shift, by correlation in the Fourier domain.

    The correlation is taken in float64: |x|^2 - 2 a x.y + a^2 |y|^2 cancels, and an FFT costs little.
    """
    wide = torch.float32 if x.device.type == "mps" else torch.float64
    batch, _, height, width = x.shape
    x, inv, alpha = x.to(wide), inv.to(wide), alpha.to(wide)
    own = x.square().sum((1, 2, 3))
    x_hat = torch.fft.rfft2(x)
    state = None
    per_step = max(1, chunk // (batch * x[0].numel()))
    for start in range(0, len(images), per_step):
        part = images[start:start + per_step].to(wide)
        y_hat = torch.fft.rfft2(part)
        # c[b, n, s] = sum_p x_b(p) y_n(p + s)
        product = torch.einsum("bchw,nchw->bnhw", x_hat.conj(), y_hat)
        correlation = torch.fft.irfft2(product, s=(height, width))
        norms = part.square().sum((1, 2, 3)).view(1, -1, 1, 1)
        a, i = alpha.view(-1, 1, 1, 1), inv.view(-1, 1, 1, 1)
        logits = -(own.view(-1, 1, 1, 1) - 2 * a * correlation + a**2 * norms) * i           # (B, n, H, W)
        flat = logits.flatten(1)
        m = flat.detach().amax(1)
        lowered = logits - m.view(-1, 1, 1, 1)
        weight = exponential(lowered)

        def moved(values_hat, weight=weight):  # sum over n and shifts of weight times the shifted image
            weights_hat = torch.fft.rfft2(weight).conj()
            moved_hat = torch.einsum("bnhw,nchw->bchw", weights_hat, values_hat)
            return torch.fft.irfft2(moved_hat, s=(height, width)).movedim(1, -1)

        def pixel(z):
            return z.view(-1, 1, 1)

        piece = State(m=pixel(m), s=pixel(weight.sum((1, 2, 3))), v=moved(y_hat))
        if "variance" in fields:
            piece.v2 = moved(torch.fft.rfft2(part.square()))
        if "effective_patches" in fields:
            piece.u = pixel((weight * lowered).sum((1, 2, 3)))
        if "source" in fields:
            best = flat.argmax(1)
            image, shift = best // (height * width), best % (height * width)
            piece.source = torch.stack([image + start, shift // width, shift % width], -1).view(-1, 1, 1, 3)
            piece.tied = pixel((flat >= m[:, None] - 1e-12 * (1 + m[:, None].abs())).sum(1) > 1)
        state = piece if state is None else merge(state, piece)
    return state
