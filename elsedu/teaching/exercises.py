"""Automatic checks of the book's exercises: ``check("ex-label", answer)``.

A check says what is wrong with an answer and never shows the right one. Each chapter has a file here that
bears its name; a check is a function of the reader's answer, registered with `exercise`, that returns None
where the answer is right and otherwise a sentence.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from elsedu.teaching import chapters
from elsedu.teaching.answers import compare, is_true

__all__ = ["check", "compare", "exercise", "is_true", "known"]


@dataclass(frozen=True)
class Exercise:
    """One registered check.

    Attributes
    ----------
    label : str
        The exercise's label in the book, such as "ex-tweedie".
    judge : callable
        The check: answer -> None or a sentence.
    mistakes : sequence of (answer, words)
        Typical wrong answers, each with words that the sentence it gets must hold; the tests try them all.
    """

    label: str
    judge: Callable
    mistakes: Sequence = field(default=())


_registered: dict[str, Exercise] = {}


def exercise(label: str, mistakes: Sequence):
    """Register the decorated function as the check of an exercise.

    Parameters
    ----------
    label : str
        The exercise's label in the book: it starts with "ex-".
    mistakes : sequence of (answer, words)
        At least one typical wrong answer and words of the sentence that it must get.
    """
    if not label.startswith("ex-"):
        raise ValueError(f"an exercise's label starts with 'ex-', got {label!r}")
    if not mistakes:
        raise ValueError(f"{label}: name at least one typical mistake, so that the check can be tested")

    def register(judge):
        old = _registered.get(label)
        if old is not None and old.judge.__module__ != judge.__module__:
            raise ValueError(f"{label} is registered twice: {old.judge.__module__}, {judge.__module__}")
        _registered[label] = Exercise(label, judge, tuple(mistakes))
        return judge

    return register


@functools.cache
def _load() -> None:
    """Import the files of all chapters."""
    for module in pkgutil.iter_modules(chapters.__path__):
        importlib.import_module(f"{chapters.__name__}.{module.name}")


def known() -> dict[str, Exercise]:
    """All exercises that have a check, by label."""
    _load()
    return dict(sorted(_registered.items()))


def judge(label: str, answer) -> str | None:
    """What is wrong with an answer, as a sentence; None where it is right.

    Parameters
    ----------
    label : str
        The exercise's label.
    answer : object
        What the exercise asks for: a number, an array, a word, or a function.

    Raises
    ------
    ValueError
        If no exercise has this label.
    """
    exercises = known()
    if label not in exercises:
        raise ValueError(f"no exercise is called {label!r}; there are: {', '.join(exercises) or 'none yet'}")
    if answer is None or answer is Ellipsis:
        return "not answered yet."
    recorder = _Recorder(answer) if callable(answer) else None
    try:
        return exercises[label].judge(recorder or answer)
    except Exception as error:
        # An unfinished function returns None, on which any further computation fails.
        if recorder and recorder.unfinished:
            return "not answered yet: your function returns nothing."
        return f"trying your answer raised {type(error).__name__}: {error}"


class _Recorder:
    """The reader's function, with a note of whether it ever returned nothing."""

    def __init__(self, function):
        self.function, self.unfinished = function, False
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args, **kwargs):
        result = self.function(*args, **kwargs)
        self.unfinished |= result is None or result is Ellipsis
        return result


class Verdict:
    """Whether an answer is right: true or false, and nothing to see where it ends a notebook cell."""

    def __init__(self, right: bool):
        self.right = right

    def __bool__(self):
        return self.right

    def __repr__(self):
        return f"Verdict({self.right})"

    def _ipython_display_(self):
        """The verdict has been printed; a second output would only repeat it."""


def check(label: str, answer) -> Verdict:
    """Check the answer to an exercise of the book and print the verdict.

    Parameters
    ----------
    label : str
        The exercise's label, such as "ex-tweedie".
    answer : object
        What the exercise asks for: a number, an array, a word, or a function.

    Returns
    -------
    Verdict
        True in a condition if the answer is right.

    Examples
    --------
    >>> check("ex-no-such-exercise", 1)
    Traceback (most recent call last):
    ...
    ValueError: no exercise is called 'ex-no-such-exercise'; ...
    """
    wrong = judge(label, answer)
    print(f"{label}: correct, well done." if wrong is None else f"{label}: {wrong}")
    return Verdict(wrong is None)
