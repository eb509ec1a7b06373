"""Progress bars, which ELSEDU_PROGRESS=0 switches off (book builds and tests)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar, cast

from tqdm.auto import tqdm

from elsedu._common import processes

Item = TypeVar("Item", covariant=True)


class Bar(Protocol[Item]):
    """What is used of a tqdm bar, which knows no types."""

    def __iter__(self) -> Iterator[Item]: ...

    def update(self) -> object: ...

    def close(self) -> None: ...

    def set_postfix_str(self, s: str) -> None: ...


def progress_wanted() -> bool:
    """Whether bars are wanted: always, unless ELSEDU_PROGRESS is 0; of several processes only the first shows them."""
    return os.environ.get("ELSEDU_PROGRESS", "1") != "0" and processes.is_main_process()


def bar(iterable: Iterable[Item] | None = None, *, progress: bool | None = None, **options: Any) -> Bar[Item]:
    """A tqdm bar that appears only for loops longer than two seconds.

    progress: True or False decides; None leaves it to `progress_wanted`. Other options are tqdm's.
    """
    wanted = progress_wanted() if progress is None else progress
    return cast(Bar[Item], tqdm(iterable, delay=2, disable=not wanted, **options))
