"""What only happens on a GPU, tried without one: memory that runs out, TF32, and the other way to unfold."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import MACHINES, machine, random_images, rng

from elsedu.posterior.backends import attention_torch


@pytest.mark.parametrize("name", MACHINES)
def test_out_of_memory_halves_the_chunk(name, monkeypatch):
    images = random_images(7, 3, 6, 6, dtype=torch.float32)
    x = torch.randn(2, 3, 6, 6, generator=rng(0)).requires_grad_()  # so that a CPU goes the GPU's way
    expected = machine(name, images).denoise(x, 0.4)
    monkeypatch.setattr(attention_torch, "SMALLEST", 1)
    tried = []

    def full(device):
        return 2**20

    def out_of_memory(compute, what):
        def attempt(*arguments):
            chunk = arguments[-1]
            tried.append(chunk)
            if chunk > 2**9:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return compute(*arguments)

        return attempt

    monkeypatch.setattr(attention_torch, "_chunk", full)
    for function in ("windowed", "same_image", "every_shift"):
        monkeypatch.setattr(attention_torch, function, out_of_memory(getattr(attention_torch, function), function))
    got = machine(name, images).denoise(x, 0.4)
    assert tried == [2**k for k in range(20, 8, -1)]
    assert (got - expected).abs().max() < 1e-5


def test_out_of_memory_with_the_smallest_chunk_is_an_error():
    def never(chunk):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        attention_torch.halving(never, 2**20)


def test_a_failed_attempt_is_freed_before_the_next():
    """The exception holds the failed attempt's tensors alive; memory is emptied after it is gone."""
    import gc
    import weakref

    gc.disable()  # what is freed must not wait for the collector
    held = []

    def compute(chunk):
        for old in held:
            assert old() is None
        big = torch.zeros(10)
        held.append(weakref.ref(big))
        if chunk > 2**18:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return chunk

    try:
        assert attention_torch.halving(compute, 2**20) == 2**18
    finally:
        gc.enable()


SETTINGS = {  # both ways of setting it, and reading it back
    "old": "torch.set_float32_matmul_precision({old!r})",
    "new": "torch.backends.cuda.matmul.fp32_precision = {new!r}",
}
SCRIPT = """
import torch
import elsedu
from elsedu.posterior.backends import attention_torch

settings, seen, compute = torch.backends.cuda.matmul, [], attention_torch.windowed

def look(*arguments):
    seen.append(settings.allow_tf32)  # raises where the two ways disagree, as a matrix product on a GPU would
    return compute(*arguments)

attention_torch.windowed = look
{change}
before = settings.fp32_precision
x = torch.zeros(1, 1, 4, 4).requires_grad_()
elsedu.EquivariantLocalScore(torch.zeros(2, 1, 4, 4), 3, backend="torch").denoise(x, 0.5)
assert settings.fp32_precision == before == {after!r}, settings.fp32_precision
assert seen == [False], seen
"""


@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="an older torch knows one way")
@pytest.mark.parametrize("way", SETTINGS)
def test_tf32_is_off_during_distances_and_back_afterwards(way):
    change = SETTINGS[way].format(old="high", new="tf32")
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(change=change, after="tf32")], capture_output=True,
                          text=True, cwd=Path(__file__).parents[2], timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("border", ["zero", "circular"])
@pytest.mark.parametrize("window", [1, 3, 5])
def test_unfolding_by_views_is_the_same(border, window):
    images = random_images(3, 2, 5, 7)
    assert torch.equal(attention_torch.unfold_views(images, window, border),
                       attention_torch._windows(images, window, border))
