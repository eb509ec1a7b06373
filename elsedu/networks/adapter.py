"""Any denoiser of your own: a function of the noisy image and the time becomes a Denoiser, in three lines.

>>> import elsedu, torch
>>> mine = torch.nn.Conv2d(1, 1, 3, padding=1)  # stands for a trained network
>>> denoiser = elsedu.networks.as_denoiser(lambda x, t: mine(x), image_shape=(1, 8, 8))
>>> elsedu.sample(denoiser, torch.randn(2, 1, 8, 8), steps=3).shape
torch.Size([2, 1, 8, 8])

What networks predict has many names, and they are one number in different units: with x = alpha x0 + sigma eps,
"noise" is eps (DDPM's epsilon), "image" x0 (sample), "velocity" alpha eps - sigma x0 (v_prediction), and "score"
-eps / sigma.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from elsedu._common.checks import broadcast_time, check_choice
from elsedu.diffusion.denoiser import Denoiser
from elsedu.diffusion.schedule import Schedule, by_name, check_schedule

PREDICTIONS = ("noise", "image", "velocity", "score")


class Adapted(nn.Module, Denoiser):
    """A function of (x, t) or (x, t, label) as a denoiser; made by `as_denoiser`."""

    def __init__(
        self,
        function: Callable[..., torch.Tensor],
        image_shape: tuple[int, ...],
        predicts: str,
        schedule: Schedule,
        padding: str,
        classes: int | None,
        name: str | None,
    ) -> None:
        super().__init__()
        self.function = function
        self.image_shape, self.predicts, self.schedule = image_shape, predicts, schedule
        self.padding, self.named = padding, name is not None
        self.name = name or getattr(function, "__name__", type(function).__name__).strip("<>")
        self.classes = None if classes is None else list(range(classes))
        self.label_required = classes is not None
        # What it answers to one question is kept: it tells two functions without parameters apart in a record.
        x = torch.randn(1, *image_shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            parameter = next(self.parameters(), torch.zeros(()))
            answer = self._noise(x.to(parameter.device), torch.tensor(0.5, dtype=torch.float64), self._first())
        self.register_buffer("probe", answer.detach().float())

    def _first(self) -> torch.Tensor | None:
        return None if self.classes is None else torch.zeros(1, dtype=torch.int64)

    def _noise(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        times = t.to(x.device, x.dtype).expand(len(x))
        answer = self.function(x, times) if label is None else self.function(x, times, label.to(x.device))
        if not isinstance(answer, torch.Tensor) or answer.shape != x.shape:
            got = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
            raise ValueError(f"{self.name} must return a tensor of the shape of x, {tuple(x.shape)}, got {got}")
        if not bool(torch.isfinite(answer).all()):
            raise ValueError(f"{self.name} returned NaN or infinite values at t = {float(times[0]):.4g}")
        answer = answer.to(x.dtype)
        alpha, sigma = (broadcast_time(level(t), x) for level in (self.schedule.alpha, self.schedule.sigma))
        if self.predicts == "image":
            return (x - alpha * answer) / sigma
        if self.predicts == "velocity":
            return (sigma * x + alpha * answer) / (alpha**2 + sigma**2)
        return -sigma * answer if self.predicts == "score" else answer

    def _predict(
        self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        noise = self._noise(x, t, label)
        return self.schedule.x0_from_noise(x, noise, t), noise


def as_denoiser(
    function: Callable[..., torch.Tensor],
    image_shape: Sequence[int],
    *,
    predicts: str = "noise",
    schedule: Schedule | str | None = None,
    padding: str = "zero",
    classes: int | None = None,
    name: str | None = None,
) -> Adapted:
    """A function as a denoiser that can be sampled, calibrated and compared like every network here.

    Args:
        function: Called with x (B, C, H, W) and t (B,) in (0, 1], and label (B,) if there are classes; returns
            (B, C, H, W). A torch.nn.Module is put into evaluation mode and stays on its device. Where yours counts
            steps k = 0, ..., 999, pass lambda x, t: network(x, 1000 * t - 1).
        image_shape: (C, H, W).
        predicts: "noise", "image", "velocity" or "score".
        schedule: The noise schedule it was trained with, an `elsedu.Schedule` or its name (default: cosine).
        padding: "zero" or "circular", that of its convolutions: the border of the machines it is compared with.
        classes: How many classes it knows, or None.
        name: What to call it.

    Raises:
        TypeError: If function cannot be called.
        ValueError: If it returns no image of the shape of x when tried, or for an unknown name.
    """
    if not callable(function):
        raise TypeError(f"the denoiser must be a function of (x, t), got {type(function).__name__}")
    check_choice(predicts, PREDICTIONS, "prediction")
    check_choice(padding, ("zero", "circular"), "padding")
    shape = tuple(int(n) for n in image_shape)
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"image_shape must be (C, H, W) with positive entries, got {image_shape!r}")
    if classes is not None and (isinstance(classes, bool) or not isinstance(classes, int) or classes < 1):
        raise ValueError(f"classes must be a positive int or None, got {classes!r}")
    if isinstance(function, nn.Module):
        function.eval()
    schedule = by_name(schedule) if isinstance(schedule, str) else check_schedule(schedule)
    return Adapted(function, shape, predicts, schedule, padding, classes, name).eval()
