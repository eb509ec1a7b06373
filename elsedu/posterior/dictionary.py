"""The patches that a noisy window is compared with: training images, and which machine asks (part II)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Constraints:
    """What a machine shares with a network: the two switches of the family, and what happens at the border.

    Attributes:
        whole: The comparison window is the whole image (IS, ES), otherwise P x P (LS, ELS).
        equivariant: Patches may come from every position (ES, ELS), otherwise from the same one (IS, LS).
        border: "zero" or "circular".
        interior: ELS on a torus that leaves out patches which wrap around the border of a training image.
            The whole-image machines ignore border and interior (ES shifts cyclically).
    """

    whole: bool
    equivariant: bool
    border: str = "zero"
    interior: bool = False


@dataclass(eq=False)
class Dictionary:
    """Training images on one device and in one dtype, with room for what a backend derives from them.

    Attributes:
        images: (N, C, H, W).
        centre: (C,) colour that backends may subtract before distances are taken, which moves the rounding but
            no number; by default the mean of the images. Parts of one set should share one, to be rounded alike.
        cache: Belongs to the backends (packed copies, patch norms); it lives as long as the dictionary.
    """

    images: torch.Tensor
    centre: torch.Tensor | None = None
    cache: dict = field(default_factory=dict, repr=False)

    def __post_init__(self):
        if self.centre is None:
            self.centre = self.images.mean((0, 2, 3))
