"""What several test files need: small random inputs and the machines by name."""

import pytest
import torch

import elsedu

MACHINES = ["is", "es", "ls-zero", "ls-circular", "els-zero", "els-circular", "els-interior"]


def rng(seed):
    return torch.Generator().manual_seed(seed)


def random_images(count, channels, height, width, seed=0, dtype=torch.float64):
    """Smooth random fields in [-1, 1]: neighbouring pixels resemble each other, as in images."""
    noise = torch.randn(count, channels, height, width, generator=rng(seed), dtype=torch.float64)
    smooth = noise + torch.roll(noise, 1, 2) + torch.roll(noise, 1, 3)
    return torch.tanh(smooth).to(dtype)


def machine(name, images, window=3, backend="torch", **options):
    if name == "is":
        return elsedu.IdealScore(images, backend=backend, **options)
    if name == "es":
        return elsedu.EquivariantScore(images, backend=backend, **options)
    kind, border = name.split("-")
    if kind == "ls":
        return elsedu.LocalScore(images, window, border=border, backend=backend, **options)
    dictionary = "interior" if border == "interior" else "all"
    border = "circular" if border == "interior" else border
    options |= {"border": border, "dictionary": dictionary, "backend": backend}
    return elsedu.EquivariantLocalScore(images, window, **options)


def needs(backend):
    usable, why = elsedu.posterior.backends()[backend]
    if not usable:
        pytest.skip(f"{backend}: {why}")
