"""The fused GPU kernel, run by Triton's interpreter on the CPU, against the definition.

The interpreter has to be chosen before triton is imported, so the tests run in a process of their own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# older interpreters do not know numpy 2.4
pytest.importorskip("triton", minversion="3.7", reason="optional dependency [gpu]")

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import torch
from support import machine, random_images, rng
import elsedu

assert elsedu.posterior.backends()["triton"][0], elsedu.posterior.backends()
worst = 0
for name, shape, window in {cases!r}:
    count, channels, height, width, batch = shape
    images = random_images(count, channels, height, width, dtype=torch.float32)
    data = elsedu.ImageSet(images, torch.arange(count) % 2)
    clean = images[torch.arange(batch) % count]
    for t in (0.05, 0.6):
        noise = torch.randn(clean.shape, generator=rng(3))
        x = elsedu.schedule.cosine().add_noise(clean, t, noise)
        for label in (None, 1):
            truth = machine(name, data, window, "definition").posterior(x.double(), t, label=label)
            posts = [machine(name, data, window, backend).posterior(x, t, label=label, fields=("mean", "log_evidence"))
                     for backend in ("triton", "torch")]
            fused, plain = (max(float((p.mean - truth.mean).abs().max()),
                                float((p.log_evidence - truth.log_evidence).abs().max()) / 100) for p in posts)
            assert fused <= 2 * plain + 5e-6, (name, shape, window, t, label, fused, plain)
            worst = max(worst, fused)
print("worst error", worst)
"""

CASES = {
    "zero": [("els-zero", (3, 1, 7, 6, 2), 3), ("els-zero", (2, 3, 6, 7, 1), 5), ("els-zero", (2, 1, 5, 5, 1), 1),
             ("els-zero", (2, 1, 4, 4, 1), 9)],
    "circular": [("els-circular", (3, 1, 5, 6, 2), 3), ("els-circular", (2, 3, 5, 5, 1), 5),
                 ("els-interior", (3, 1, 6, 5, 1), 3)],
    "others": [("ls-zero", (3, 3, 5, 5, 1), 3), ("is", (3, 1, 4, 4, 1), 3), ("es", (3, 1, 4, 4, 1), 3)],
}


PIECES = """
import sys
sys.path.insert(0, {tests!r})
import torch
from support import machine, random_images, rng
from elsedu.posterior import Dictionary
from elsedu.posterior.backends import attention_torch, attention_triton

images = random_images(6, 3, 6, 5, dtype=torch.float32)
x = torch.randn(3, 3, 6, 5, generator=rng(1)) * torch.tensor([1.0, 300.0, 1e-3]).view(-1, 1, 1, 1)
levels = [torch.full((3,), v, dtype=torch.float64) for v in (0.8, 0.6)]
kind = machine("els-zero", images).kind

def posterior(backend, **options):
    state = backend.partial_posterior(Dictionary(images), x, *levels, kind, [3], frozenset(["mean"]), **options)[3]
    return (state.v / state.s.unsqueeze(-1)).movedim(-1, 1), state

truth = machine("els-zero", images, 3, "definition")._sums(x.double(), *levels, None, [3], ("mean",), "definition")[3]
want = (truth.v / truth.s.unsqueeze(-1)).movedim(-1, 1)
launched, attend = [], attention_triton.attend
attention_triton.attend = lambda *a: (launched.append(1), attend(*a))[1]
whole, state = posterior(attention_triton)
# logits of the second image are near a million: float32 cannot tell near ties there, but nothing may overflow
error = (whole - want).abs().amax((1, 2, 3))
assert (error < torch.tensor([5e-6, 0.02, 5e-6])).all(), error
assert ((state.m + state.s.log().double() - truth.m - truth.s.log()).abs() / (1 + truth.m.abs())).max() < 1e-6
once = len(launched)
pieces, _ = posterior(attention_triton, chunk=2**9)               # an image or two at a time
assert len(launched) >= 4 * once, (len(launched), once)
assert (pieces - whole).abs().max() < 1e-5
attention_triton.CHUNK = 9 * 90                                  # a noisy image at a time
assert (posterior(attention_triton)[0] - whole).abs().max() < 1e-5

attention_triton.attend = attend
launched.clear()
def full(*arguments):
    launched.append(arguments[-1])
    if len(launched) < 3:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    return batches(*arguments)
batches, attention_triton._in_batches = attention_triton._in_batches, full
attention_torch.SMALLEST = 1
assert (posterior(attention_triton, chunk=2**10)[0] - whole).abs().max() < 1e-5
assert launched == [810, 405, 202], launched
print("worst error", error.max().item())
"""


def run(script):
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment,
                          cwd=Path(__file__).parents[2], timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "worst error" in done.stdout


@pytest.mark.parametrize("group", CASES)
def test_the_kernel_in_the_interpreter(group):
    run(SCRIPT.format(tests=str(Path(__file__).parents[1]), cases=CASES[group]))


def test_pieces_of_any_size_and_numbers_of_any_size():
    run(PIECES.format(tests=str(Path(__file__).parents[1])))
