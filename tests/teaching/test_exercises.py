"""Exercises: hints that fit the mistake and never show the answer; every check tried on typical mistakes."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from elsedu.teaching import exercises
from elsedu.teaching.answers import compare

BOOK = Path(__file__).parents[2] / "book"
EXERCISES = exercises.known()
RIGHT = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.5, 6.0], [7.0, 8.0, -9.0]])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "not answered"),
        (..., "not answered"),
        ("three", "should be numbers"),
        (True, "should be numbers"),
        (RIGHT[0], "shape"),
        (RIGHT.reshape(1, 3, 3), "shape"),
        (RIGHT * float("nan"), "NaN"),
        (-RIGHT, "sign"),
        (torch.zeros(3, 3), "zero"),
        (RIGHT.T, "exchanged"),
        (2 * RIGHT, "constant factor"),
        (RIGHT + 1, "added constant"),
        (RIGHT + torch.eye(3) * 0.5, r"3 of 9 values are wrong, the first at index \(0, 0\)"),
        (RIGHT * torch.linspace(1.001, 1.002, 9).reshape(3, 3), "close, but not exact"),
        (RIGHT * torch.linspace(1.1, 1.2, 9).reshape(3, 3), "near, but"),
        (RIGHT * torch.linspace(2, 9, 9).reshape(3, 3), "not right yet"),
    ],
)
def test_compare_says_what_is_wrong(answer, words):
    hint = compare(answer, RIGHT)
    assert re.search(words, hint)
    for number in ("5.5", "-9", "7.0", "8.0"):
        assert number not in hint


@pytest.mark.parametrize(
    "answer", [RIGHT, RIGHT.double() + 1e-8, RIGHT.tolist(), RIGHT.numpy(), RIGHT.clone().requires_grad_()]
)
def test_compare_accepts_the_answer_in_any_form(answer):
    assert compare(answer, RIGHT) is None


def test_compare_of_single_numbers():
    assert compare(0.5, 0.5) is None and compare(np.float32(0.5), 0.5) is None
    assert "sign" in compare(-0.5, 0.5)
    assert "should be a number" in compare([0.5, 0.5], 0.5)
    assert "not right" in compare(5.0, 0.5)


@pytest.fixture
def sample_exercise(monkeypatch):
    monkeypatch.setattr(exercises, "_registered", dict(exercises._registered))

    @exercises.exercise("ex-square", mistakes=[(lambda x: 2 * x, "right")])
    def square(answer):
        return compare(answer(3.0), 9.0)


def test_check_speaks_and_answers(sample_exercise, capsys):
    assert exercises.check("ex-square", lambda x: x * x)
    assert not exercises.check("ex-square", lambda x: -x * x)
    assert not exercises.check("ex-square", ...)
    assert not exercises.check("ex-square", lambda x: None)
    assert not exercises.check("ex-square", lambda: 3)
    assert not exercises.check("ex-square", 9)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ex-square: correct, well done."
    assert "sign" in lines[1]
    assert "not answered yet" in lines[2] and "not answered yet" in lines[3]
    assert "raised TypeError" in lines[4] and "raised TypeError" in lines[5]


def test_unknown_labels_list_the_known(sample_exercise):
    with pytest.raises(ValueError, match="ex-square"):
        exercises.check("ex-sqare", 1)


def test_registering_needs_a_label_and_a_mistake():
    with pytest.raises(ValueError, match="starts with 'ex-'"):
        exercises.exercise("square", mistakes=[(1, "x")])
    with pytest.raises(ValueError, match="typical mistake"):
        exercises.exercise("ex-square", mistakes=[])


MISTAKES = [(label, k) for label, one in EXERCISES.items() for k in range(len(one.mistakes))]


@pytest.mark.parametrize(("label", "k"), MISTAKES)
def test_every_check_explains_its_typical_mistakes(label, k):
    answer, words = EXERCISES[label].mistakes[k]
    hint = exercises.judge(label, answer)
    assert hint is not None, "the mistake was taken for right"
    assert words in hint


def cells(kind):
    for path in sorted(BOOK.rglob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == kind:
                yield path, cell


def test_exercises_and_checks_belong_together():
    posed = {m for _, c in cells("markdown") for m in re.findall(r"\{exercise\}[^\n]*\n:label: (\S+)", c.source)}
    checked = {m for _, c in cells("code") for m in re.findall(r'\bcheck\(\s*"(\S+?)"', c.source)}
    assert posed == checked, "an exercise without a check, or the other way round"
    assert posed == set(EXERCISES), "a check that no chapter poses, or the other way round"


def test_every_exercise_has_a_solution_that_is_run():
    posed = {m for _, c in cells("markdown") for m in re.findall(r"\{exercise\}[^\n]*\n:label: (\S+)", c.source)}
    solved = {m for _, c in cells("code") for m in re.findall(r'assert check\(\s*"(\S+?)"', c.source)}
    told = {m for _, c in cells("markdown") for m in re.findall(r"\{solution-start\} (\S+)", c.source)}
    assert posed == solved == told
