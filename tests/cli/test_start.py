"""What is loaded before the first answer: a start takes as long as its imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SLOW = ("torch", "sklearn", "scipy", "skimage", "mlxtend", "matplotlib", "pandas", "tqdm", "PIL", "pooch", "IPython")


def loaded(lines):
    """Which of SLOW a new process has imported after these lines."""
    lines += f"\nprint('LOADED', *[name for name in {SLOW} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", "import sys\n" + lines], capture_output=True, text=True, check=True,
                          env=environment, timeout=120)
    return set(done.stdout.rsplit("LOADED", 1)[1].split())


def test_importing_elsedu_and_its_help_load_nothing_heavy():
    assert loaded("import elsedu") == set()
    pytest.importorskip("typer")
    help_text = "import elsedu.cli\ntry:\n    elsedu.cli.main(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded(help_text) == set()


def test_the_first_sample_loads_only_what_it_uses():
    """scikit-learn alone takes as long as PyTorch, and pandas comes with it."""
    lines = ("import elsedu, torch\nm = elsedu.EquivariantLocalScore(elsedu.load('digits', limit=20), 3)\n"
             "elsedu.sample(m, torch.randn(1, 1, 8, 8), steps=2)")
    assert not loaded(lines) & {"sklearn", "scipy", "skimage", "mlxtend", "matplotlib", "pandas", "IPython"}
