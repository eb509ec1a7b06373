"""The book's helpers: the set-up of a notebook, and the checks of the exercises."""

from elsedu.teaching.exercises import check

__all__ = ["check"]
