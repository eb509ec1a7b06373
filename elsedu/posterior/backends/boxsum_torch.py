"""The posterior where query and patch share one place, or one shift: LS, IS, ES in PyTorch (parts I and II).

LS compares the window at p only with the windows at p: the squared differences of two images, summed over a
box around every pixel, serve all pixels at once and nothing cancels. IS is the same with the whole image as
the box. ES compares whole images at every cyclic shift, which is a correlation, so it uses the FFT.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from elsedu.posterior.state import State, merge


def rounding(logits):
    """Relative size below which two logits count as tied."""
    return 4e-7 if logits.dtype == torch.float32 else 1e-15


def box_sum(maps, window, border):
    """Sum over the P x P window around each pixel of the last two axes (zeros or wrap-around beyond the border)."""
    radius = window // 2
    for axis in (-2, -1):
        length = maps.shape[axis]
        if border == "circular":
            index = torch.arange(-radius - 1, length + radius, device=maps.device) % length
            padded = maps.index_select(axis, index)
        else:
            pad = (0, 0, radius + 1, radius) if axis == -2 else (radius + 1, radius)
            padded = F.pad(maps, pad)
        # a direct sum of P slices: a running sum would lose digits in float32
        maps = sum(padded.narrow(axis, 1 + k, length) for k in range(window)) if window <= 2 * length else (
            _far_sum(padded, axis, window, length))
    return maps


def _far_sum(padded, axis, window, length):
    """A window that covers the whole axis from every pixel: one sum serves all."""
    total = padded.sum(axis, keepdim=True)
    return total.expand(*[length if a == padded.ndim + axis else -1 for a in range(padded.ndim)])


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
    weight = lowered.exp()
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
        return torch.einsum("bn,nchw->bchw", weight[:, :, 0, 0], values)
    return torch.einsum("bnhw,nchw->bchw", weight, values)


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
        weight = lowered.exp()

        def moved(values_hat, weight=weight):  # sum over n and shifts of weight times the shifted image
            weights_hat = torch.fft.rfft2(weight).conj()
            return torch.fft.irfft2(torch.einsum("bnhw,nchw->bchw", weights_hat, values_hat), s=(height, width))

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
