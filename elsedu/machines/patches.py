"""The machines of the theory: optimal scores under the constraints of a network (parts I and II).

|                      | same position only | every position (equivariant)   |
|----------------------|--------------------|--------------------------------|
| whole image          | `IdealScore`       | `EquivariantScore`             |
| P x P window         | `LocalScore`       | `EquivariantLocalScore`        |

All four are one estimator: the posterior mean of a clean pixel, given the noisy window around it, over a
dictionary of training patches (paper eqs. 3-10, 39-41). `WienerScore` is the baseline that costs nothing:
the best linear denoiser.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import overload

import torch

from elsedu._common.checks import check_choice, check_window
from elsedu._common.processes import rank_and_world
from elsedu.data import ImageSet
from elsedu.diffusion.denoiser import Denoiser
from elsedu.diffusion.schedule import Schedule, check_schedule
from elsedu.machines.windows import ScaleSchedule
from elsedu.posterior import (
    BACKENDS,
    FIELDS,
    Constraints,
    Dictionary,
    Posterior,
    State,
    partial_posterior,
    sharded,
    to_posterior,
)
from elsedu.posterior.state import with_image_index

# Below this ratio of noise to signal, float32 cannot tell the nearest patch from the next: the squared distance of two
# windows is rounded by about 1e-7 of its own size, and is then divided by 2 sigma^2. (t = .001 is above it.)
FINE = 1.5e-3
LEAST_NOISE = 1e-6  # and below this standard deviation float64 cannot


class ScoreMachine(Denoiser):
    """The estimator that all patch machines share. Use the four subclasses.

    data: ImageSet, or tensor (N, C, H, W) with pixels in [-1, 1].
    schedule: noise schedule (default: cosine). backend: see `elsedu.posterior`.
    """

    image_shape: tuple[int, ...]
    short_name = "machine"
    _whole = True
    _equivariant = False

    def __init__(
        self, data: ImageSet | torch.Tensor, *, schedule: Schedule | None = None, backend: str = "auto"
    ) -> None:
        self.data = data if isinstance(data, ImageSet) else ImageSet(data)
        self.schedule = check_schedule(schedule)
        self.backend = check_choice(backend, BACKENDS, "backend")
        self.image_shape = tuple(self.data.images.shape[1:])
        labels = self.data.labels
        self.classes = None if labels is None else sorted(set(labels.tolist()))
        self.window: int | ScaleSchedule | None = None
        self.kind = Constraints(self._whole, self._equivariant)
        self._dictionaries: dict[tuple[object, ...], tuple[Dictionary, torch.Tensor | None]] = {}

    def __repr__(self):
        parts = [f"{self.data.name}, {len(self.data)} images {'x'.join(map(str, self.image_shape))}"]
        if self.window is not None:
            parts.append(f"window={self.window!r}, border={self.kind.border!r}")
        return f"{type(self).__name__}({', '.join(parts)}, backend={self.backend!r})"

    @overload
    def posterior(
        self,
        x: torch.Tensor,
        t: float | torch.Tensor,
        label: int | torch.Tensor | None = None,
        windows: None = None,
        fields: Collection[str] = FIELDS,
    ) -> Posterior: ...

    @overload
    def posterior(
        self,
        x: torch.Tensor,
        t: float | torch.Tensor,
        label: int | torch.Tensor | None = None,
        *,
        windows: Iterable[int],
        fields: Collection[str] = FIELDS,
    ) -> dict[int, Posterior]: ...

    def posterior(
        self,
        x: torch.Tensor,
        t: float | torch.Tensor,
        label: int | torch.Tensor | None = None,
        windows: Iterable[int] | None = None,
        fields: Collection[str] = FIELDS,
    ) -> Posterior | dict[int, Posterior]:
        """The posterior of every clean pixel given its noisy window: a `Posterior`.

        x: (B, C, H, W); t in (0, 1], float or (B,); label: int or (B,), restricts the dictionary.
        t must leave noise of a standard deviation of at least 1e-6; where float32 cannot tell the patches apart
        (about t < .001) the sums are taken in float64. From a query in half precision log_evidence and
        effective_patches are float32.
        windows: a list of odd sides (LS and ELS only): returns {window: Posterior} from one pass over the
        data and ignores the machine's own window.
        fields: which of `elsedu.posterior.FIELDS` to compute; the mean alone is the cheapest.
        """
        t, label = self._check(x, t, label)
        unknown = sorted(set(fields) - set(FIELDS))
        if unknown:
            raise ValueError(f"unknown posterior field {unknown[0]!r}; known: {', '.join(FIELDS)}")
        if windows is None:
            return self._posterior(x, t, label, None, fields)
        if self._whole:
            raise ValueError(f"{type(self).__name__} compares whole images: windows= is for LS and ELS")
        windows = [check_window(w, self.image_shape, self.kind.border) for w in windows]
        if not windows:
            raise ValueError("windows is empty; expected at least one odd side")
        return self._posterior(x, t, label, windows, fields)

    def _denoise(self, x, t, label):
        return self._posterior(x, t, label, None, ("mean",)).mean

    def _posterior(self, x, t, label, windows, fields):
        """{window: Posterior}, or one Posterior for the machine's own windows if `windows` is None."""
        alpha, sigma = (level(t).expand(len(x)) for level in (self.schedule.alpha, self.schedule.sigma))
        _refuse_vanishing(t, sigma)
        fine = (sigma < FINE * alpha).tolist() if x.dtype != torch.float64 else [False] * len(x)
        alpha, sigma = alpha.to(x.device), sigma.to(x.device)
        slots = [[] for _ in windows or [self.window]]
        for (window, one, exact), index in self._groups(t, label, windows, fine).items():
            index = torch.tensor(index, device=x.device)
            sides = [self._clipped(w) for w in windows or [window]]
            states = self._states(x[index], alpha[index], sigma[index], one, sides, fields, exact)
            for slot, side in zip(slots, sides):
                post = to_posterior(states[side], self.kind, side, sigma[index], fields)
                for name in ("mean", "variance"):  # the others do not fit into half precision
                    value = getattr(post, name)
                    setattr(post, name, None if value is None else value.to(x.dtype))
                slot.append((index, post))
        posteriors = [_scatter(slot, len(x)) for slot in slots]
        return posteriors[0] if windows is None else dict(zip(windows, posteriors))

    def _groups(self, t, label, windows, fine):
        """{(window, label, precision): the queries that share them}: one pass over the data serves each group."""
        batch = len(fine)
        own = self._windows_at(t, batch) if windows is None else [None] * batch
        labels = [None] * batch if label is None else label.tolist()
        groups = {}
        for b, key in enumerate(zip(own, labels, fine)):
            groups.setdefault(key, []).append(b)
        return groups

    def _clipped(self, window):
        """The window that is computed: beyond 2 max(H, W) - 1 every pixel already sees the whole image."""
        return None if window is None else min(window, 2 * max(self.image_shape[-2:]) - 1)

    def _states(self, x, alpha, sigma, label, windows, fields, exact=False):
        """{window: State}, returned to x's device and dtype; exact: computed in float64."""
        work, backend = x, self.backend
        dtype = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype  # half precision overflows
        if exact:
            if x.device.type == "mps":
                raise ValueError(f"noise of standard deviation {float(sigma.min()):.3g} needs float64, which this "
                                 "device has not: use the CPU")
            work, backend = x.double(), "definition" if backend == "definition" else "torch"
        elif dtype != x.dtype:  # squared distances of half precision have two digits
            work = x.to(dtype)
        states = self._sums(work, alpha, sigma, label, windows, fields, backend)
        return {w: state.to(x.device, dtype) for w, state in states.items()}

    def _sums(
        self,
        x: torch.Tensor,
        alpha: torch.Tensor,
        sigma: torch.Tensor,
        label: int | None,
        windows: Sequence[int | None],
        fields: Collection[str],
        backend: str,
    ) -> dict[int | None, State]:
        """{window: State} over all images, those of other processes included; sources count in the whole set."""
        windows = list(dict.fromkeys(windows))
        if rank_and_world()[1] > 1:
            x = sharded.agree(x, (self.kind, self.data.hash, label, windows, sorted(fields), alpha.tolist(),
                                      sigma.tolist()))
        dictionary, index = self._dictionary(x, label)
        states = partial_posterior(dictionary, x, alpha, sigma, self.kind, windows, fields, backend)
        if index is not None:
            states = {w: with_image_index(state, index) for w, state in states.items()}
        return sharded.merged(states, fields)

    def _windows_at(self, t, batch):
        return [None] * batch  # the whole image

    def _dictionary(self, x, label):
        """The Dictionary of a class on x's device and in its dtype, kept; and its images' indices (None: all).

        In a group of processes: of this process's part of the class.
        """
        key = (str(x.device), x.dtype, label, rank_and_world())
        if key not in self._dictionaries:
            images, index, centre = self.data.images, None, None
            if label is not None:
                index = (self.data.labels == label).nonzero().flatten()
                images = images[index.to(images.device)]
            if rank_and_world()[1] > 1:
                part = sharded.block(len(images))
                index = (torch.arange(len(images)) if index is None else index)[part]
                centre = images.to(x.dtype).mean((0, 2, 3)).to(x.device)
                images = images[part]
            self._dictionaries[key] = Dictionary(images.to(x.device, x.dtype).contiguous(), centre), index
        return self._dictionaries[key]


class IdealScore(ScoreMachine):
    """IS: the exact score of the noised training set (paper eqs. 3-4). It can only memorise.

    >>> import elsedu, torch
    >>> digits = elsedu.load("digits")
    >>> elsedu.IdealScore(digits).denoise(torch.zeros(1, 1, 8, 8), t=0.5).shape
    torch.Size([1, 1, 8, 8])
    """

    short_name = "is"


class EquivariantScore(ScoreMachine):
    """ES: the best translation-equivariant score (paper eqs. 5-6): the ideal score of all cyclic shifts.

    It can only return training images, shifted.
    """

    short_name = "es"
    _equivariant = True


class _WindowMachine(ScoreMachine):
    _whole = False

    def __init__(self, data, window, *, border="zero", schedule=None, backend="auto", _interior=False):
        super().__init__(data, schedule=schedule, backend=backend)
        check_choice(border, ("zero", "circular"), "border")
        if isinstance(window, ScaleSchedule):
            for side in window.windows:
                check_window(side, self.image_shape, border)
        else:
            window = check_window(window, self.image_shape, border)
        self.window = window
        self.border = border
        self.kind = Constraints(False, self._equivariant, border, _interior)

    def _windows_at(self, t, batch):
        if isinstance(self.window, ScaleSchedule):
            return self.window.at(t.expand(batch), self.schedule)
        return [self.window] * batch


class LocalScore(_WindowMachine):
    """LS: the best score that sees only a window (paper eqs. 7-8); patches stay at their position.

    data: ImageSet or (N, C, H, W). window: odd side or ScaleSchedule.
    border: "zero" clips windows at the image's edge, "circular" wraps them (window at most min(H, W)).
    """

    short_name = "ls"


class EquivariantLocalScore(_WindowMachine):
    """ELS: the best score that is local and translation-equivariant (paper eqs. 9-10, 39-41).

    border="zero" is the paper's boundary-broken machine: a zero pixel beyond the border tells a network
    where it is, so a window near the border is compared with patches that overlap the border alike.
    border="circular" is the exactly equivariant machine on a torus; dictionary="interior" leaves out the
    patches that wrap around a training image's border (what the published code does), "all" keeps them.

    >>> import elsedu
    >>> elsedu.EquivariantLocalScore(elsedu.load("digits"), window=3)
    EquivariantLocalScore(digits, 1797 images 1x8x8, window=3, border='zero', backend='auto')
    """

    short_name = "els"
    _equivariant = True

    def __init__(self, data, window, *, border="zero", dictionary="all", schedule=None, backend="auto"):
        check_choice(dictionary, ("all", "interior"), "dictionary")
        if dictionary == "interior" and border != "circular":
            raise ValueError(f"dictionary='interior' needs border='circular', got border={border!r}")
        super().__init__(data, window, border=border, schedule=schedule, backend=backend,
                         _interior=dictionary == "interior")
        self.dictionary = dictionary


def _refuse_vanishing(t, sigma):
    if bool((sigma < LEAST_NOISE).any()):
        worst = int(sigma.argmin())
        raise ValueError(f"t = {float(t.flatten()[worst if t.ndim else 0]):.3g} leaves noise of standard deviation "
                         f"{float(sigma[worst]):.3g}, which rounding hides; at least {LEAST_NOISE:g} is needed")


def _scatter(pieces, batch):
    """Put the posteriors of groups of queries back into the order of the batch."""
    if len(pieces) == 1:
        return pieces[0][1]
    result = Posterior()
    order = torch.cat([index for index, _ in pieces]).argsort()
    for name in (*FIELDS, "tied"):
        parts = [getattr(post, name) for _, post in pieces]
        if parts[0] is not None:
            setattr(result, name, torch.cat(parts)[order])
    return result
