"""The paper's UNet, and the same with self-attention (the paper's appendix C.1 and section 6).

Three scales of `width`, 2 width, 4 width channels; two 3 x 3 convolutions with ReLU a block; 2 x 2
max-pooling down, transposed convolutions up, skips by concatenation; the embedding is added before each
block. No normalisation over space. Pooling breaks equivariance to shifts that are not multiples of 4
pixels, even with circular padding. Self-attention at the coarsest scale lets every pixel see the whole
image: the theory of local machines does not cover it, which is why it is here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from elsedu.networks.base import Network, convolution
from elsedu.networks.embedding import Embedding, Shift


class Block(nn.Module):
    """Add the embedding, then two convolutions with ReLU."""

    def __init__(self, inputs: int, outputs: int, padding: str, embedding: int) -> None:
        super().__init__()
        self.shift = Shift(nn.ReLU(), nn.Linear(embedding, inputs))
        self.first = convolution(inputs, outputs, padding)
        self.second = convolution(outputs, outputs, padding)

    def forward(self, x: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) and the embedding (B, size) -> (B, outputs, H, W)."""
        x = x + self.shift(vector)
        return torch.relu(self.second(torch.relu(self.first(x))))


class SelfAttention(nn.Module):
    """Residual self-attention over all pixels, without positional encoding.

    The features of each pixel are normalised over channels (not over space), so apart from the attention
    itself nothing mixes pixels. The last projection starts at zero: the untrained layer is the identity.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide the width {width}, got {heads}")
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, width, H, W) -> the same shape."""
        batch, width, height, breadth = x.shape
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        parts = self.query_key_value(tokens).view(batch, -1, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        # written out: the fused kernels are not deterministic everywhere, and the grids are small
        weight = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(width // self.heads), dim=-1)
        mixed = (weight @ value).transpose(1, 2).reshape(batch, -1, width)
        out: torch.Tensor = self.out(mixed)
        return x + out.transpose(1, 2).reshape(batch, width, height, breadth)


class UNet(Network):
    """The paper's UNet; `attention=True` adds self-attention after the bottleneck.

    Args:
        image_shape: (C, H, W), H and W multiples of 4.
        width: Channels of the finest scale (the paper: 64).
        padding: As for the ResNet, and so are classes, embedding, time_scale and schedule.
        classes: Number of classes, or None for an unconditional network.
        embedding: Length of the time embedding.
        time_scale: Factor on t in the embedding.
        schedule: Name of the noise schedule.
        attention: Whether there is self-attention after the bottleneck.
        heads: Attention heads; they divide 4 width.
    """

    kind = "unet"
    stride = 4

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 32, 32),
        width: int = 64,
        padding: str = "zero",
        classes: int | None = None,
        embedding: int = 256,
        time_scale: float = 1.0,
        schedule: str = "cosine",
        attention: bool = False,
        heads: int = 4,
    ) -> None:
        super().__init__(
            image_shape,
            padding,
            classes,
            schedule,
            {
                "width": width,
                "embedding": embedding,
                "time_scale": time_scale,
                "attention": bool(attention),
                "heads": heads,
            },
        )
        if width < 1:
            raise ValueError(f"width must be positive, got {width}")
        channels = self.image_shape[0]
        widths = (width, 2 * width, 4 * width)
        self.embedding = Embedding(embedding, classes, time_scale)
        self.fine = Block(channels, widths[0], padding, embedding)
        self.middle = Block(widths[0], widths[1], padding, embedding)
        self.coarse = Block(widths[1], widths[2], padding, embedding)
        self.attention = SelfAttention(widths[2], heads) if attention else None
        self.to_middle = nn.ConvTranspose2d(widths[2], widths[1], 2, stride=2)
        self.middle_out = Block(2 * widths[1], widths[1], padding, embedding)
        self.to_fine = nn.ConvTranspose2d(widths[1], widths[0], 2, stride=2)
        self.fine_out = Block(2 * widths[0], widths[0], padding, embedding)
        self.last_shift = Shift(nn.ReLU(), nn.Linear(embedding, widths[0]))
        self.down = convolution(widths[0], channels, padding)
        self.pool = nn.MaxPool2d(2)
        if attention:
            self.name = f"unet with attention ({padding} padding)"

    def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """Noise (B, C, H, W) in x (B, C, H, W) at times t (B,), classes label (B,) or None; unchecked."""
        vector = self.embedding(t, label)
        fine = self.fine(x, vector)
        middle = self.middle(self.pool(fine), vector)
        coarse = self.coarse(self.pool(middle), vector)
        if self.attention is not None:
            coarse = self.attention(coarse)
        h = self.middle_out(torch.cat((middle, self.to_middle(coarse)), dim=1), vector)
        h = self.fine_out(torch.cat((fine, self.to_fine(h)), dim=1), vector)
        eps: torch.Tensor = self.down(h + self.last_shift(vector))
        return eps
