"""The paper's ResNet: the network whose creativity the theory predicts best (the paper's appendix C.1).

3 x 3 up-projection to `width` channels, `blocks` residual blocks h <- h + ReLU(conv(h + embedding)), one
more embedding, 3 x 3 down-projection. No normalisation over space, no pooling, no attention: a pixel of
the output sees exactly the window of 2 (blocks + 2) + 1 pixels around it (17 for the paper's six blocks),
and with circular padding the network commutes with every translation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from elsedu.networks.base import Network, convolution
from elsedu.networks.embedding import Embedding, Shift


def _groups(width: int) -> int:
    """The paper's eight groups, or fewer where a narrow width would leave less than four values in one.

    (A group of one value is normalised to a constant: it would forget the time.)
    """
    return next(groups for groups in (8, 4, 2, 1) if groups == 1 or (width % groups == 0 and width >= 4 * groups))


class ResNet(Network):
    """The paper's ResNet.

    Args:
        image_shape: (C, H, W).
        width: Channels inside (the paper: 256).
        blocks: Residual blocks (6: receptive field 17).
        padding: "zero" or "circular".
        classes: Number of classes, or None for an unconditional network.
        embedding: Length of the time embedding (the paper: 256).
        time_scale: Factor on t in the embedding (the paper: 1).
        schedule: Name of the noise schedule.
    """

    kind = "resnet"

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 32, 32),
        width: int = 256,
        blocks: int = 6,
        padding: str = "zero",
        classes: int | None = None,
        embedding: int = 256,
        time_scale: float = 1.0,
        schedule: str = "cosine",
    ) -> None:
        super().__init__(
            image_shape,
            padding,
            classes,
            schedule,
            {"width": width, "blocks": blocks, "embedding": embedding, "time_scale": time_scale},
        )
        if width < 1 or blocks < 0:
            raise ValueError(f"width must be positive and blocks at least 0, got {width} and {blocks}")
        channels = self.image_shape[0]
        self.embedding = Embedding(embedding, classes, time_scale)
        self.up = convolution(channels, width, padding)
        # GroupNorm here acts on the embedding vector of one sample, never over space
        self.shifts = nn.ModuleList(
            Shift(nn.Linear(embedding, width), nn.GroupNorm(_groups(width), width), nn.ReLU())
            for _ in range(blocks + 1)
        )
        self.convolutions = nn.ModuleList(convolution(width, width, padding) for _ in range(blocks))
        self.down = convolution(width, channels, padding)

    def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """Noise (B, C, H, W) in x (B, C, H, W) at times t (B,), classes label (B,) or None; unchecked."""
        vector = self.embedding(t, label)
        h = self.up(x)
        for shift, conv in zip(self.shifts, self.convolutions):
            h = h + torch.relu(conv(h + shift(vector)))
        eps: torch.Tensor = self.down(h + self.shifts[-1](vector))
        return eps
