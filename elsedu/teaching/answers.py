"""Compare an answer with the right one and say in words how they differ, without showing the right one."""

import numbers

import numpy as np
import torch

__all__ = ["compare", "is_true"]


def _numbers(value):
    """A float64 array of a number, array, tensor or nested sequence; None where it is none of these."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().to(torch.float64).numpy()
    if isinstance(value, str | bytes):
        return None
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def compare(got, expected, rtol: float = 1e-4, atol: float = 1e-6) -> str | None:
    """Compare numbers.

    Parameters
    ----------
    got : object
        The reader's answer.
    expected : number, array or tensor
        The right one.
    rtol, atol : float
        Right within ``atol + rtol |expected|``.

    Returns
    -------
    str or None
        None where the answer is right, else one sentence that says what is wrong with it.
    """
    if got is None or got is Ellipsis:
        return "not answered yet: your function returns nothing."
    right, answer = _numbers(expected), _numbers(got)
    if right is None:
        raise TypeError(f"expected must be numbers, got {type(expected).__name__}")
    what = "a number" if right.ndim == 0 else f"numbers of shape {right.shape}"
    if answer is None or isinstance(got, bool) or (callable(got) and not isinstance(got, numbers.Number)):
        return f"the answer should be {what}, got {type(got).__name__}."
    if answer.shape != right.shape:
        if answer.size == right.size:
            return f"the shape should be {right.shape}, got {answer.shape}."
        return f"the answer should be {what}, got shape {answer.shape}."
    if not np.isfinite(answer).all():
        return "the answer holds NaN or infinite values: was something divided by zero?"

    def near(a, b):
        return bool(np.allclose(a, b, rtol=rtol, atol=atol))

    if near(answer, right):
        return None
    if near(-answer, right):
        return "right up to the sign."
    if near(answer, np.zeros_like(answer)):
        return "the answer is zero, which it should not be."
    if answer.ndim >= 2 and answer.shape[-1] == answer.shape[-2] and near(np.swapaxes(answer, -1, -2), right):
        return "rows and columns are exchanged."
    if right.size > 1:
        factor = (answer * right).sum() / max((right * right).sum(), 1e-300)
        if abs(factor) > 1e-12 and near(answer / factor, right):
            return "right up to a constant factor: is everything normalised as asked?"
        if near(answer - (answer - right).mean(), right):
            return "right up to an added constant."
        wrong = ~np.isclose(answer, right, rtol=rtol, atol=atol)
        if wrong.mean() < 0.5:
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            return f"{wrong.sum()} of {right.size} values are wrong, the first at index {where}."
    if np.allclose(answer, right, rtol=30 * rtol, atol=30 * atol):
        return "close, but not exact: an approximation or too low a precision?"
    if np.allclose(answer, right, rtol=0.5, atol=0.05 * float(np.abs(right).max())):
        return "near, but off by more than rounding can explain."
    return "not right yet: the values are off by more than half."


def is_true(condition, otherwise: str) -> str | None:
    """None where the condition holds, else the given sentence."""
    return None if bool(condition) else otherwise
