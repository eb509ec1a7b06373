"""Every exercise against answers that its author did not think of: the book's own solution, spoilt in general ways.

The solutions are taken from the notebooks. A solution must be accepted, and accepted in another number format; what a
careless change makes of it (zero, the other sign, a factor, rows for columns, rounded, one answer for every question)
must be refused, unless the change leaves the values as they were.
"""

import ast
import functools
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from elsedu.teaching import exercises

BOOK = Path(__file__).parents[2] / "book"
LABELS = sorted(exercises.known())


_DEFINITIONS = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AugAssign


def _source(cell):
    lines = cell.source.splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def _parsed(cell):
    """The cell's statements; the set-up cell, whose `if` holds only an installation, may not parse without it."""
    try:
        return ast.parse(_source(cell)).body
    except SyntaxError:
        return ast.parse(_source(cell).replace('find_spec("elsedu"):', 'find_spec("elsedu"): pass')).body


def _defined(statement):
    """Names that a top-level statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return {node.id for node in names}


def _used(statement):
    """Names that a statement takes from outside: not the arguments and variables of a function."""
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    if isinstance(statement, ast.AugAssign):
        used |= _defined(statement)
    if isinstance(statement, ast.FunctionDef):
        own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        used -= own | {node.arg for node in ast.walk(statement) if isinstance(node, ast.arg)}
    return used


@functools.cache
def solutions():
    """{label: a function that runs the solution's cell and returns the answer}, for the whole book."""
    found = {}
    for path in sorted(BOOK.rglob("*.ipynb")):
        before = []
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type != "code":
                continue
            statements = _parsed(cell)
            for node in statements:
                if isinstance(node, ast.Assert) and isinstance(node.test, ast.Call) and node.test.args:
                    label = ast.literal_eval(node.test.args[0])
                    own = [one for one in statements if one is not node]
                    found[label] = functools.partial(_run, list(before), own, node.test.args[1])
            if not cell.source.lstrip().startswith("# @title Solution") and "live" not in cell.metadata.get("tags", []):
                before += [one for one in statements if not isinstance(one, ast.Expr | ast.Assert | ast.If)]
    return found


def _run(before, own, answer):
    """Run a solution with just those statements of its chapter that it needs, and return its answer.

    First with definitions alone, the last of each name; where that fails, with the chapter's loops as well.
    """
    try:
        return _execute([one for one in before if isinstance(one, _DEFINITIONS)], own, answer, last=True)
    except (NameError, KeyError, RuntimeError):
        return _execute(before, own, answer, last=False)


def _execute(before, own, answer, last):
    needed, wanted = [], set().union(*(_used(one) for one in [*own, ast.Expr(answer)]))
    for statement in reversed(before):
        defined = _defined(statement)
        if defined & wanted:
            needed.insert(0, statement)
            wanted = (wanted - defined if last else wanted) | _used(statement)
    space = {"__name__": "chapter"}
    for statement in [*needed, *own]:
        exec(compile(ast.Module([statement], []), "<chapter>", "exec"), space)
    return eval(compile(ast.Expression(answer), "<answer>", "eval"), space)


def _each(value, change):
    """The value with every number, array or tensor in it changed; other things as they are."""
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_each(one, change) for one in value)
    if isinstance(value, dict):
        return {key: _each(one, change) for key, one in value.items()}
    if isinstance(value, torch.Tensor | np.ndarray | np.generic | bool | int | float):
        return change(value)
    return value


def _tensor(value):
    return value.detach() if isinstance(value, torch.Tensor) else torch.as_tensor(np.asarray(value))


def _like(result, value):
    """A tensor in the kind of `value`: tensor, array or plain number."""
    if isinstance(value, torch.Tensor):
        return result
    return result.numpy() if isinstance(value, np.ndarray) else result.item()


def _zero(value):
    return _like(torch.zeros_like(_tensor(value)), value)


def _negated(value):
    tensor = _tensor(value)
    return _like(~tensor if tensor.dtype == torch.bool else -tensor, value)


def _factor(value):
    tensor = _tensor(value)
    return _like(tensor if tensor.dtype == torch.bool else tensor * 1.5, value)


def _transposed(value):
    tensor = _tensor(value)
    return _like(tensor.transpose(-1, -2) if tensor.ndim >= 2 else tensor, value)


def _rounded(value):
    tensor = _tensor(value)
    return _like(tensor.round() if tensor.is_floating_point() else tensor, value)


def _other_format(value):
    tensor = _tensor(value)
    return tensor.double().numpy() if tensor.is_floating_point() and tensor.ndim else value


def _same(a, b):
    """Whether two answers are equal to the accuracy that the checks ask for."""
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return all(_same(a[key], b[key]) for key in a)
    if not isinstance(a, torch.Tensor | np.ndarray | np.generic | bool | int | float):
        return True
    a, b = _tensor(a), _tensor(b)
    if a.shape != b.shape:
        return False
    return bool(torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-6, equal_nan=True))


class _Spoilt:
    """A solution whose answers are changed; notes whether the change ever changed anything."""

    def __init__(self, function, change):
        self.function, self.change, self.effective = function, change, False
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args, **kwargs):
        right = self.function(*args, **kwargs)
        wrong = _each(right, self.change)
        self.effective |= not _same(right, wrong)
        return wrong


class _Stubborn(_Spoilt):
    """A solution that gives its first answer to every later question."""

    def __init__(self, function):
        super().__init__(function, None)
        self.first = None

    def __call__(self, *args, **kwargs):
        right = self.function(*args, **kwargs)
        if self.first is None:
            self.first = right
        try:
            self.effective |= not _same(right, self.first)
        except (TypeError, KeyError):
            self.effective = True
        return self.first


def _spoil(answer, change):
    """(the spoilt answer, a function that says whether it differs from the right one)."""
    if callable(answer):
        spoilt = _Spoilt(answer, change)
        return spoilt, lambda: spoilt.effective
    wrong = _each(answer, change)
    return wrong, lambda: not _same(answer, wrong)


# Where what comes out is another right answer.
EQUALLY_RIGHT = {
    ("ex-island", "transposed"): "an island lying on its side",
    ("ex-open-bound", "rounded"): "a bound that is a little looser here and tighter there",
}
CHANGES = {"zero": _zero, "negated": _negated, "factor": _factor, "transposed": _transposed, "rounded": _rounded}


@functools.cache
def _answer(label):
    return solutions()[label]()


@pytest.mark.parametrize("label", LABELS)
def test_the_solution_is_accepted_in_any_number_format(label):
    answer = _answer(label)
    assert exercises.judge(label, answer) is None
    other = _spoil(answer, _other_format)[0]
    hint = exercises.judge(label, other)
    assert hint is None or "raised" in hint, "the right values were refused because of their format"


@pytest.mark.parametrize("change", [*CHANGES, "stubborn"])
@pytest.mark.parametrize("label", LABELS)
def test_a_spoilt_solution_is_refused(label, change):
    if (label, change) in EQUALLY_RIGHT:
        pytest.skip(EQUALLY_RIGHT[label, change])
    answer = _answer(label)
    if change == "stubborn":
        if not callable(answer):
            pytest.skip("one question, one answer")
        wrong = _Stubborn(answer)
        effective = lambda: wrong.effective  # noqa: E731
    else:
        wrong, effective = _spoil(answer, CHANGES[change])
    hint = exercises.judge(label, wrong)
    if not effective():
        pytest.skip("this change leaves the answer as it is")
    assert hint is not None, f"the solution was accepted although it was {change}"
