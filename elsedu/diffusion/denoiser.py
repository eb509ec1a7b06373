"""What a machine and a network have in common (chapters "Diffusion in one page" and "What a network can see").

A denoiser answers one question, "given the noisy image x_t, what was the clean one?", in three equivalent
ways: the clean image x0, the noise eps = (x - alpha x0)/sigma, and the score (alpha x0 - x)/sigma**2.
Machines compute x0 and networks eps; this class supplies the rest, and one set of input checks.
"""

from __future__ import annotations

import torch

from elsedu._common.checks import check_images, check_label, check_time
from elsedu.diffusion.schedule import Schedule


class Denoiser:
    """Base class. Subclasses set `schedule`, `image_shape`, `classes`, and implement `_denoise` or `_noise`.

    schedule: the noise schedule on which t is read.
    image_shape: (C, H, W), or None if any size is served.
    classes: sorted list of class labels, or None if unconditional.
    """

    schedule: Schedule = None  # type: ignore[assignment]  # every subclass sets it
    image_shape: tuple[int, ...] | None = None
    classes: list[int] | None = None
    label_required: bool = False

    def denoise(
        self, x: torch.Tensor, t: float | torch.Tensor, label: int | torch.Tensor | None = None
    ) -> torch.Tensor:
        """Posterior mean of the clean image: (B, C, H, W) for x (B, C, H, W), t in (0, 1] float or (B,).

        label: int or (B,), restricts to one class. Raises ValueError or TypeError on anything else.
        """
        t, label = self._check(x, t, label)
        return self._denoise(x, t, label)

    def noise(self, x: torch.Tensor, t: float | torch.Tensor, label: int | torch.Tensor | None = None) -> torch.Tensor:
        """Predicted noise eps, (B, C, H, W): what a diffusion network outputs."""
        t, label = self._check(x, t, label)
        return self._noise(x, t, label)

    def score(self, x: torch.Tensor, t: float | torch.Tensor, label: int | torch.Tensor | None = None) -> torch.Tensor:
        """Score of the noisy images' density, (alpha x0 - x)/sigma**2 = -eps/sigma, (B, C, H, W)."""
        return self.schedule.score_from_noise(self.noise(x, t, label), t)

    def predict(
        self, x: torch.Tensor, t: float | torch.Tensor, label: int | torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(x0, eps) from one evaluation, as a sampler needs them."""
        t, label = self._check(x, t, label)
        return self._predict(x, t, label)

    def check_shape(self, x: torch.Tensor, what: str = "x") -> None:
        """ValueError or TypeError, which says `what` is wrong, if x is no batch of images that this denoiser serves."""
        check_images(x, self.image_shape, what)

    # -- for subclasses: t is a checked float64 tensor () or (B,), label None or (B,) -------------------

    def _denoise(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        return self.schedule.x0_from_noise(x, self._noise(x, t, label), t)

    def _noise(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        return self.schedule.noise_from_x0(x, self._denoise(x, t, label), t)

    def _predict(
        self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Subclasses that compute eps override this."""
        x0 = self._denoise(x, t, label)
        return x0, self.schedule.noise_from_x0(x, x0, t)

    def _check(
        self, x: torch.Tensor, t: float | torch.Tensor, label: int | torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        self.check_shape(x)
        t = check_time(t, len(x))
        label = check_label(label, len(x), self.classes, x.device)
        if label is None and self.label_required:
            raise ValueError(f"this denoiser is class-conditional: give a label out of {self.classes}")
        return t, label
