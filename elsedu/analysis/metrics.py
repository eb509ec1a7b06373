"""Three ways to say how alike two images are, with three names (chapter "Prediction").

The paper's "r^2" is, in its code, the plain correlation coefficient `pearson_r`. All three are reported,
always by name, because they differ: r = .90 means r^2 = .81, and the determination can even be negative.
"""

from __future__ import annotations

import torch

from elsedu._common.checks import check_images


def _pairs(prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    check_images(target, what="target")
    check_images(prediction, tuple(target.shape[1:]), what="prediction")
    if len(prediction) != len(target):
        raise ValueError(f"prediction holds {len(prediction)} images, target {len(target)}; expected as many")
    return prediction.detach().double().flatten(1), target.detach().double().flatten(1)


def pearson_r(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Correlation over all pixels and channels of each pair: (B, C, H, W) twice -> (B,) float64 in [-1, 1].

    One mean over the whole image is removed (not one a channel), as the paper's code does.
    NaN where one of the two images is constant: a correlation with nothing is not defined.
    """
    a, b = _pairs(prediction, target)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    lengths: torch.Tensor = a.norm(dim=1) * b.norm(dim=1)
    return (a * b).sum(1) / lengths


def squared_pearson(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """pearson_r squared: the share of variance explained after the best linear rescaling. (B,) in [0, 1]."""
    return pearson_r(prediction, target) ** 2


def determination(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - (sum of squared errors)/(sum of squares of the target around its mean): (B,), at most 1, may be negative.

    Not symmetric: the target is the network's image. NaN or -inf where the target is constant.
    """
    a, b = _pairs(prediction, target)
    return 1 - (a - b).square().sum(1) / (b - b.mean(1, keepdim=True)).square().sum(1)


def summary(prediction: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
    """{metric name: (B,) tensor} for all three."""
    return {f.__name__: f(prediction, target) for f in (pearson_r, squared_pearson, determination)}


def nearest(images: torch.Tensor, x: torch.Tensor, chunk: int = 2**24) -> tuple[torch.Tensor, torch.Tensor]:
    """Index of and Euclidean distance to the nearest of `images` (N, C, H, W) for each x (B, C, H, W).

    Returns (B,) int64 and (B,) float64. Used to show the nearest training image beside a sample.
    """
    check_images(images, what="images")
    check_images(x, tuple(images.shape[1:]))
    flat, query = images.double().flatten(1), x.double().flatten(1)
    step = max(1, chunk // flat.shape[1])
    distance = torch.cat([torch.cdist(query, flat[i : i + step]) for i in range(0, len(flat), step)], 1)
    best = distance.min(1)
    return best.indices, best.values
