"""The fused GPU kernel, run by Triton's interpreter on the CPU, against the definition.

The interpreter has to be chosen before triton is imported, so the tests run in a process of their own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="optional dependency [gpu]")

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


@pytest.mark.parametrize("group", CASES)
def test_the_kernel_in_the_interpreter(group):
    script = SCRIPT.format(tests=str(Path(__file__).parent), cases=CASES[group])
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment,
                          cwd=Path(__file__).parents[1], timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "worst error" in done.stdout
