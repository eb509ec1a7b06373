"""A neural network as a denoiser (chapter "What a network can see").

A diffusion network predicts the noise: forward(x, t, label) = eps_hat. Everything else follows by the
schedule's algebra: x0 = (x - sigma eps) / alpha and score = -eps / sigma. With the machines' interface a
network can be sampled, calibrated and compared by the same code as the theory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from elsedu._common.checks import check_images, check_label, check_time
from elsedu.diffusion import schedule as schedules
from elsedu.diffusion.denoiser import Denoiser

PADDING: dict[str, Literal["zeros", "circular"]] = {"zero": "zeros", "circular": "circular"}


def convolution(inputs: int, outputs: int, padding: str, size: int = 3) -> nn.Conv2d:
    """A size x size convolution that keeps height and width, with the given padding."""
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, padding_mode=PADDING[padding])


class Network(nn.Module, Denoiser):
    """Base class of the networks: an nn.Module that predicts noise, and a Denoiser.

    Attributes:
        config: Dict from which `elsedu.networks.build` makes the same architecture again.
        schedule: The noise schedule it is trained for.
        classes: List of its class labels, or None if unconditional; if not None, a label must be given.
        image_shape: (C, H, W) it is trained on. Any H and W that are multiples of `stride` are accepted (a
            convolutional network has no fixed size); the channels must agree.
        provenance: Dict, what is known of its training ({} for an untrained network).
    """

    image_shape: tuple[int, ...]
    kind = ""
    stride = 1

    def __init__(
        self, image_shape: Sequence[int], padding: str, classes: int | None, schedule: str, config: dict[str, Any]
    ) -> None:
        nn.Module.__init__(self)
        if padding not in PADDING:
            raise ValueError(f"padding must be one of {sorted(PADDING)}, got {padding!r}")
        if classes is not None and (not isinstance(classes, int) or classes < 1):
            raise ValueError(f"classes must be a positive int or None, got {classes!r}")
        shape = tuple(int(n) for n in image_shape)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"image_shape must be (C, H, W) with positive entries, got {image_shape!r}")
        if shape[1] % self.stride or shape[2] % self.stride:
            raise ValueError(f"height and width must be multiples of {self.stride}, got {shape[1:]}")
        self.image_shape = shape
        self.padding = padding
        self.classes = None if classes is None else list(range(classes))
        self.label_required = classes is not None
        self.schedule = schedules.by_name(schedule)
        self.config: dict[str, Any] = {
            "kind": self.kind,
            "image_shape": list(shape),
            "padding": padding,
            "classes": classes,
            "schedule": schedule,
            **config,
        }
        self.name = f"{self.kind} ({padding} padding)"
        self.provenance: dict[str, Any] = {}

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    # -- a denoiser's parts (elsedu.denoiser): checks, noise, clean image -------------------------------

    def check_shape(self, x: torch.Tensor, what: str = "x") -> None:
        check_images(x, what=what)
        channels, height, width = x.shape[1:]
        if channels != self.image_shape[0]:
            raise ValueError(
                f"{self.name} takes images of {self.image_shape[0]} channels, got {what} of shape {tuple(x.shape)}"
            )
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"{self.name} takes height and width in multiples of {self.stride}, "
                f"got {what} of shape {tuple(x.shape)}"
            )

    def _check(
        self, x: torch.Tensor, t: float | torch.Tensor, label: int | torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        self.check_shape(x)
        device = next(self.parameters()).device
        if x.device != device:
            raise ValueError(f"x is on {x.device}, the network on {device}")
        t = check_time(t, len(x))
        label = check_label(label, len(x), self.classes, device)
        if label is None and self.label_required:
            assert self.classes is not None  # or no label would be required
            raise ValueError(f"{self.name} is class-conditional: give a label, 0 to {self.classes[-1]}")
        return t, label

    def _noise(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        t = t.to(device=x.device, dtype=self.dtype).expand(len(x))
        eps: torch.Tensor = self(x.to(self.dtype), t, label)
        return eps.to(x.dtype)

    def _predict(
        self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        eps = self._noise(x, t, label)
        return self.schedule.x0_from_noise(x, eps, t), eps

    def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """Noise (B, C, H, W) in x (B, C, H, W) at times t (B,), classes label (B,) or None; unchecked."""
        raise NotImplementedError
