"""Progress bars, which ELSEDU_PROGRESS=0 switches off (book builds and tests)."""

from __future__ import annotations

import os

from tqdm.auto import tqdm

from elsedu._common import processes


def progress_wanted():
    """Whether bars are wanted: always, unless ELSEDU_PROGRESS is 0; of several processes only the first shows them."""
    return os.environ.get("ELSEDU_PROGRESS", "1") != "0" and processes.is_main_process()


def bar(iterable=None, *, progress=None, **options):
    """A tqdm bar that appears only for loops longer than two seconds.

    progress: True or False decides; None leaves it to `progress_wanted`. Other options are tqdm's.
    """
    wanted = progress_wanted() if progress is None else progress
    return tqdm(iterable, delay=2, disable=not wanted, **options)
