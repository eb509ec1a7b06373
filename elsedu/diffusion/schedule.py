"""Noise schedules: how much image and how much noise x_t holds (chapter "Diffusion in one page").

The forward process is x_t = alpha(t) x_0 + sigma(t) eta with eta ~ N(0, I) and t in [0, 1].
Everything else (score, predicted noise, clean image, velocity) is a change of variables between
(x_t, x_0, eps), and those changes live here, so that a machine and a network are compared in the
same currency.

>>> import elsedu
>>> schedule = elsedu.schedule.cosine()
>>> round(float(schedule.sigma(0.5) / schedule.alpha(0.5)), 3)
0.988
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch

from elsedu._common.checks import broadcast_time, check_time


@dataclass(frozen=True)
class Schedule:
    """A noise schedule with alpha(0) = 1, sigma(0) = 0. Two schedules are equal if their names are.

    All functions of time accept a float or a tensor with values in [0, 1] and return a float64 tensor
    of the same shape on the same device (float64 because 1/sigma**2 multiplies distances later on).
    """

    name: str

    def alpha(self, t: float | torch.Tensor) -> torch.Tensor:
        """Signal level, in [0, 1]. Paper: sqrt of alpha-bar."""
        raise NotImplementedError

    def sigma(self, t: float | torch.Tensor) -> torch.Tensor:
        """Noise standard deviation, in [0, 1]. Paper: sqrt(1 - alpha-bar)."""
        raise NotImplementedError

    def alpha_derivative(self, t: float | torch.Tensor) -> torch.Tensor:
        """d alpha / dt."""
        raise NotImplementedError

    def sigma_derivative(self, t: float | torch.Tensor) -> torch.Tensor:
        """d sigma / dt (infinite at t = 0 for `linear_vp`)."""
        raise NotImplementedError

    def time_of_ratio(self, ratio: float | torch.Tensor) -> torch.Tensor:
        """The t in [0, 1] with sigma(t)/alpha(t) = ratio; 1 where the ratio is beyond the schedule's range."""
        raise NotImplementedError

    # -- changes of variables; x, x0, eps (B, C, H, W); t float or (B,) ------------------------------

    def _levels(self, t: float | torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """alpha, sigma shaped (1 or B, 1, 1, 1) in the dtype and on the device of `like`."""
        t = check_time(t, like.shape[0], allow_zero=True)
        return broadcast_time(self.alpha(t), like), broadcast_time(self.sigma(t), like)

    def add_noise(self, x0: torch.Tensor, t: float | torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        """x_t = alpha x_0 + sigma eps: the forward process (paper, section 2); from predictions, a DDIM step."""
        alpha, sigma = self._levels(t, x0)
        return alpha * x0 + sigma * eps

    def noise_from_x0(self, x: torch.Tensor, x0: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor:
        """Predicted noise eps = (x_t - alpha x_0) / sigma. ValueError where sigma(t) = 0."""
        alpha, sigma = self._levels(t, x)
        _refuse_zero(sigma, "sigma", t)
        return (x - alpha * x0) / sigma

    def x0_from_noise(self, x: torch.Tensor, eps: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor:
        """Clean image x_0 = (x_t - sigma eps) / alpha. ValueError where alpha(t) = 0."""
        alpha, sigma = self._levels(t, x)
        _refuse_zero(alpha, "alpha", t)
        return (x - sigma * eps) / alpha

    def score_from_x0(self, x: torch.Tensor, x0: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor:
        """Score (alpha x_0 - x_t) / sigma**2 (Tweedie's formula read backwards)."""
        alpha, sigma = self._levels(t, x)
        _refuse_zero(sigma, "sigma", t)
        return (alpha * x0 - x) / sigma**2

    def score_from_noise(self, eps: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor:
        """Score -eps / sigma."""
        _, sigma = self._levels(t, eps)
        _refuse_zero(sigma, "sigma", t)
        return -eps / sigma

    def velocity(self, x0: torch.Tensor, eps: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor:
        """Flow velocity dx/dt = alpha' x_0 + sigma' eps (flow matching's target, not diffusers' "v")."""
        t = check_time(t, x0.shape[0], allow_zero=True)
        alpha_dot = broadcast_time(self.alpha_derivative(t), x0)
        sigma_dot = broadcast_time(self.sigma_derivative(t), x0)
        return alpha_dot * x0 + sigma_dot * eps


def _refuse_zero(level: torch.Tensor, name: str, t: float | torch.Tensor) -> None:
    if bool((level == 0).any()):
        raise ValueError(f"{name}(t) is 0 at t = {t}: this conversion divides by it")


def _time(t: float | torch.Tensor) -> torch.Tensor:
    if not isinstance(t, torch.Tensor):
        return torch.as_tensor(t, dtype=torch.float64)  # as_tensor alone would round 0.05 to float32
    return t.to(torch.float32 if t.device.type == "mps" else torch.float64)  # Apple's GPUs have no float64


def _ratio(ratio: float | torch.Tensor) -> torch.Tensor:
    ratio = _time(ratio)
    if bool((ratio < 0).any()) or bool(torch.isnan(ratio).any()):
        raise ValueError(f"sigma/alpha must not be negative or NaN, got {ratio}")
    return ratio


@dataclass(frozen=True)
class Cosine(Schedule):
    """alpha = cos(pi t / 2.016), sigma = sin(pi t / 2.016): the cosine schedule as the paper's code has it.

    (Nichol and Dhariwal's schedule without their offset of .008 at t = 0. At t = 1 a little signal is
    left: alpha = .0125.)
    """

    name: str = "cosine"
    rate = math.pi / (2 * 1.008)

    def alpha(self, t: float | torch.Tensor) -> torch.Tensor:
        return torch.cos(self.rate * _time(t))

    def sigma(self, t: float | torch.Tensor) -> torch.Tensor:
        return torch.sin(self.rate * _time(t))

    def alpha_derivative(self, t: float | torch.Tensor) -> torch.Tensor:
        return -self.rate * torch.sin(self.rate * _time(t))

    def sigma_derivative(self, t: float | torch.Tensor) -> torch.Tensor:
        return self.rate * torch.cos(self.rate * _time(t))

    def time_of_ratio(self, ratio: float | torch.Tensor) -> torch.Tensor:
        return (torch.atan(_ratio(ratio)) / self.rate).clamp(max=1.0)


@dataclass(frozen=True)
class LinearVP(Schedule):
    """DDPM's schedule: beta rises linearly from 1e-4 to .02 over 1,000 steps.

    alpha_bar at t = (k + 1)/1000 is prod_{j <= k} (1 - beta_j); between the steps log alpha_bar is
    interpolated linearly, from alpha_bar(0) = 1.
    """

    name: str = "linear_vp"

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def _log_alpha_bar() -> torch.Tensor:
        beta = np.linspace(1e-4, 0.02, 1000)
        return torch.from_numpy(np.concatenate([[0.0], np.cumsum(np.log1p(-beta))]))

    def _segment(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Index of the segment of t, its left value and its slope in t."""
        table = self._log_alpha_bar().to(t.device, t.dtype)
        k = torch.clamp(torch.ceil(t * 1000).long() - 1, 0, 999)
        slope = (table[k + 1] - table[k]) * 1000
        return table[k] + slope * (t - k.to(t.dtype) / 1000), slope

    def alpha(self, t: float | torch.Tensor) -> torch.Tensor:
        return torch.exp(self._segment(_time(t))[0] / 2)

    def sigma(self, t: float | torch.Tensor) -> torch.Tensor:
        return torch.sqrt(-torch.expm1(self._segment(_time(t))[0]))

    def alpha_derivative(self, t: float | torch.Tensor) -> torch.Tensor:
        log_alpha_bar, slope = self._segment(_time(t))
        return 0.5 * slope * torch.exp(log_alpha_bar / 2)

    def sigma_derivative(self, t: float | torch.Tensor) -> torch.Tensor:
        log_alpha_bar, slope = self._segment(_time(t))
        return -0.5 * slope * torch.exp(log_alpha_bar) / torch.sqrt(-torch.expm1(log_alpha_bar))

    def time_of_ratio(self, ratio: float | torch.Tensor) -> torch.Tensor:
        ratio = _ratio(ratio)
        table = self._log_alpha_bar()
        target = -np.log1p(np.square(ratio.cpu().numpy()))
        # np.interp wants rising abscissae; log alpha_bar falls
        t = np.interp(-target, -table.numpy(), np.arange(1001) / 1000)
        return torch.as_tensor(t, dtype=ratio.dtype, device=ratio.device)


@dataclass(frozen=True)
class FlowMatching(Schedule):
    """alpha = 1 - t, sigma = t: the straight line between image and noise."""

    name: str = "flow_matching"

    def alpha(self, t: float | torch.Tensor) -> torch.Tensor:
        return 1 - _time(t)

    def sigma(self, t: float | torch.Tensor) -> torch.Tensor:
        return _time(t)

    def alpha_derivative(self, t: float | torch.Tensor) -> torch.Tensor:
        return -torch.ones_like(_time(t))

    def sigma_derivative(self, t: float | torch.Tensor) -> torch.Tensor:
        return torch.ones_like(_time(t))

    def time_of_ratio(self, ratio: float | torch.Tensor) -> torch.Tensor:
        ratio = _ratio(ratio)
        return torch.where(torch.isinf(ratio), torch.ones_like(ratio), ratio / (1 + ratio))


def cosine() -> Schedule:
    """The paper's schedule (the default everywhere)."""
    return Cosine()


def linear_vp() -> Schedule:
    """DDPM's linear-beta schedule, for networks trained elsewhere."""
    return LinearVP()


def flow_matching() -> Schedule:
    """The straight path of flow matching and rectified flow."""
    return FlowMatching()


def by_name(name: str) -> Schedule:
    """The schedule called `name`. ValueError names the known ones."""
    known = {"cosine": cosine, "linear_vp": linear_vp, "flow_matching": flow_matching}
    if name not in known:
        raise ValueError(f"unknown noise schedule {name!r}; known: {', '.join(known)}")
    return known[name]()


def check_schedule(schedule: Schedule | None) -> Schedule:
    """The schedule itself, `cosine()` for None. TypeError for anything that is no Schedule."""
    if schedule is None:
        return cosine()
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be an elsedu.schedule.Schedule, got {type(schedule).__name__}")
    return schedule
