"""Progress bars, which ELSEDU_PROGRESS=0 switches off (book build, tests)."""

from __future__ import annotations

import os

from tqdm import tqdm


def shown() -> bool:
    """Whether bars are wanted: always, unless ELSEDU_PROGRESS is 0."""
    return os.environ.get("ELSEDU_PROGRESS", "1") != "0"


def bar(iterable=None, **options) -> tqdm:
    """A tqdm bar that appears only for loops longer than two seconds."""
    return tqdm(iterable, delay=2, disable=not shown(), **options)
