"""ImageSet: the finite set of training images that every machine is made of.

In the theory a training set D is a finite set of images; the ideal score, and every local or
equivariant relative of it, is a sum over D (chapter "The ideal score"). Nothing else is needed of
a data set, so an `ImageSet` is one tensor of images, their labels, a name and a hash.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from elsedu._common.checks import LARGEST_PIXEL

from .pixels import content_hash, to_values


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """A set of N images with C channels of H x W pixels, checked once and then left unchanged.

    Parameters
    ----------
    images : torch.Tensor (N, C, H, W), floating point
        Pixels in [-1, 1]; C = 1 (gray) or 3 (colour). `elsedu.load` gives float32.
    labels : torch.Tensor (N,) of integers, optional
        The class of each image, or None.
    name : str
        Where the images come from. The hash says which images they are.
    classes : tuple of str, optional
        The names of the classes 0, 1, ...

    Raises
    ------
    TypeError
        If images or labels are no tensors of the right kind of number.
    ValueError
        If the set is empty, holds NaN or infinite pixels, or has a wrong shape.
    """

    images: torch.Tensor
    labels: torch.Tensor | None = None
    name: str = "images"
    classes: tuple[str, ...] | None = None

    def __post_init__(self):
        _check_images(self.images)
        if self.labels is not None:
            object.__setattr__(self, "labels", _check_labels(self.labels, len(self.images)))

    @classmethod
    def from_pixels(cls, pixels, labels=None, name="images", classes=None) -> ImageSet:
        """Build a set from uint8 pixels (N, H, W) or (N, H, W, C), the layout of Pillow and numpy.

        Bytes 0..255 are mapped to [-1, 1]. Raises TypeError if the pixels are not uint8 and
        ValueError if the shape is none of the two.
        """
        pixels = np.asarray(pixels)
        if pixels.dtype != np.uint8:
            raise TypeError(f"pixels must be uint8 (0..255), got {pixels.dtype}")
        if pixels.ndim not in (3, 4):
            raise ValueError(f"pixels must have shape (N, H, W) or (N, H, W, C), got {pixels.shape}")
        pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
        labels = None if labels is None else torch.as_tensor(np.asarray(labels))
        return cls(to_values(np.ascontiguousarray(pixels)), labels, name, classes)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W), the shape of one image."""
        return tuple(self.images.shape[1:])

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits of a SHA-256 over uint8 pixels and labels; equal on every machine."""
        return content_hash(self.images, self.labels)

    def take(self, index) -> ImageSet:
        """The images at `index` (an int, slice, sequence of ints, or tensor of ints or bools), in that order.

        Raises IndexError for a position outside the set and ValueError if nothing is left.
        """
        if isinstance(index, range):
            index = list(index)
        if isinstance(index, slice):
            index = torch.arange(len(self))[index]
        else:
            index = torch.as_tensor(index, device="cpu")
            if index.numel() and (index.is_floating_point() or index.is_complex()):
                raise TypeError(f"index must hold integers or booleans, got {index.dtype}")
            if index.dtype == torch.bool:
                if index.shape != (len(self),):
                    raise ValueError(
                        f"a boolean index must have {len(self)} entries, got {tuple(index.shape)}"
                    )
                index = index.nonzero()[:, 0]
            index = index.reshape(-1).long()
        if not len(index):
            raise ValueError(f"no image of {self.name!r} is selected; a set must hold at least one")
        if index.min() < -len(self) or index.max() >= len(self):
            worst = int(index.min() if index.min() < -len(self) else index.max())
            raise IndexError(f"image {worst} of {self.name!r}: there are {len(self)} images")
        images = self.images[index.to(self.images.device)]
        labels = None if self.labels is None else self.labels[index.to(self.labels.device)]
        return self._part(images, labels)

    def select(self, label) -> ImageSet:
        """The images whose label is `label` (an int, or several), in the order of the set.

        Raises ValueError if the set has no labels, or no image has this label.
        """
        if self.labels is None:
            raise ValueError(f"{self.name!r} has no labels, cannot select label {label!r}")
        wanted = {_as_label(one) for one in (label if _is_several(label) else [label])}
        known = set(self.labels.unique().tolist())
        if wanted - known or not wanted:
            raise ValueError(f"no image of {self.name!r} has the label {label!r}; labels: {sorted(known)}")
        return self.take(torch.isin(self.labels, torch.tensor(sorted(wanted), device=self.labels.device)))

    def _part(self, images, labels) -> ImageSet:
        # What is cut out of a checked set need not be checked (and warned about) again.
        part = object.__new__(type(self))
        fields = {"images": images, "labels": labels, "name": self.name, "classes": self.classes}
        for field, value in fields.items():
            object.__setattr__(part, field, value)
        return part

    def __repr__(self) -> str:
        channels, height, width = self.shape
        count = f"{len(self):,} image{'s' if len(self) > 1 else ''}"
        kind = f"{height}x{width} {'gray' if channels == 1 else 'colour'}"
        groups = "no labels" if self.labels is None else f"{len(self.labels.unique())} label(s)"
        return f"ImageSet({self.name!r}: {count}, {kind}, {groups}, hash {self.hash})"


def _check_images(images: torch.Tensor) -> None:
    """Raise TypeError or ValueError unless `images` is a tensor fit to be a training set.

    Pixels outside [-1, 1] are allowed, the theory holds for them, but they nearly always mean a
    wrong scaling (0..1 or 0..255): a UserWarning names the range that was seen.
    """
    if not isinstance(images, torch.Tensor):
        raise TypeError(f"images must be a torch.Tensor (N, C, H, W), got {type(images).__name__}")
    if not images.is_floating_point():
        hint = "; ImageSet.from_pixels takes uint8" if images.dtype == torch.uint8 else ""
        raise TypeError(f"images must be floating point in [-1, 1], got {images.dtype}{hint}")
    if images.ndim != 4:
        raise ValueError(f"images must have shape (N, C, H, W), got {tuple(images.shape)}")
    if images.numel() == 0:
        raise ValueError(f"images are empty: shape {tuple(images.shape)}")
    if images.shape[1] not in (1, 3):
        hint = ": are the channels last?" if images.shape[3] in (1, 3) else ""
        raise ValueError(f"images must have 1 or 3 channels (gray, colour), got {tuple(images.shape)}{hint}")
    low, high = (float(v) for v in torch.aminmax(images.detach()))
    if not np.isfinite([low, high]).all():  # NaN spreads into both
        bad = (~torch.isfinite(images)).flatten(1).any(1).nonzero()[:, 0].tolist()
        raise ValueError(
            f"{len(bad)} of {len(images)} images hold NaN or infinite pixels, first image {bad[0]}"
        )
    if max(-low, high) > LARGEST_PIXEL:
        raise ValueError(f"images have pixels in [{low:.4g}, {high:.4g}], expected [-1, 1]")
    if low < -1 - 1e-4 or high > 1 + 1e-4:
        warnings.warn(
            f"images have pixels in [{low:.4g}, {high:.4g}], expected [-1, 1]: are they scaled?",
            UserWarning,
            stacklevel=4,
        )


def _check_labels(labels, count: int) -> torch.Tensor:
    if not isinstance(labels, torch.Tensor):
        raise TypeError(f"labels must be a torch.Tensor of integers or None, got {type(labels).__name__}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    if labels.shape != (count,):
        raise ValueError(f"labels must have shape ({count},), one for each image, got {tuple(labels.shape)}")
    return labels.long()


def _is_several(label) -> bool:
    return label.ndim > 0 if isinstance(label, torch.Tensor | np.ndarray) else isinstance(label, Iterable)


def _as_label(label) -> int:
    number = label.item() if isinstance(label, torch.Tensor | np.generic) else label
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"a label must be an integer, got {label!r}")
    return number
