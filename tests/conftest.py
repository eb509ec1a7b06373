"""For all tests: one thread each (they are small, and often run side by side), no progress bars."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ELSEDU_PROGRESS", "0")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread():
    """A test may change the number of threads; the next one starts with one again."""
    torch.set_num_threads(1)
