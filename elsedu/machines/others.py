"""Other closed-form denoisers, each in about ten lines (chapter "Other denoisers").

The machines of the paper are one answer to the question why a network does not copy. Others have given
others, and nearly all of them are built from the same block: compare some pixels of the noisy image with the
same pixels of every training image, and write the weighted mean of the training images into some pixels.

    x0(p) = sum_k R_k(p) sum_i w_ki y_i(p),   w_k = softmax_i( - sum_q M_k(q) (x(q) - alpha y_i(q))^2 / (2 sigma^2) )

The rows of M say what is compared, those of R where the answer is written; the R_k(p) at a place sum to one.
`compose` is this block. `CovarianceMasks` and `PatchPosterior` are choices of M and R. `SmoothedScore` blurs
the exact score instead; `EdgeScore` is a local machine that picks its window pixel by pixel. They restate the
ideas of the papers they name; where they differ from them, the docstring says so.
"""

from __future__ import annotations

import torch

from elsedu._common.checks import check_choice, check_label, check_window
from elsedu.data import ImageSet
from elsedu.diffusion.denoiser import Denoiser
from elsedu.diffusion.schedule import check_schedule
from elsedu.machines.patches import EquivariantLocalScore, LocalScore
from elsedu.machines.wiener import WienerScore
from elsedu.machines.windows import ScaleSchedule, candidate_windows

NUMBERS = 2**25  # of float32 in the largest temporary array, roughly


def compose(x, images, alpha, sigma, query, response):
    """Posterior means over the training images, one a mask, put together: (B, C, H, W).

    x: (B, C, H, W). images: (N, C, H, W). query M: (K, H W) weights of the pixels that are compared.
    response R: (K, H W), columns that sum to 1; the identity if mask k answers for pixel k alone.
    """
    y = images.permute(1, 2, 3, 0).flatten(1, 2)                                  # (C, H W, N)
    distance = (x.flatten(2)[..., None] - alpha * y).square().sum(1)              # (B, H W, N)
    weights = torch.softmax(-(query @ distance) / (2 * sigma**2), 2)              # (B, K, N)
    means = torch.einsum("bkn,cpn->bckp", weights, y)                             # one image a mask
    return (response * means).sum(2).view_as(x)


class _FromImages(Denoiser):
    """What the denoisers below share: the training images, and queries grouped by time and label.

    Subclasses implement `_group(x, t, images, label)` for one time and one label.
    """

    def __init__(self, data, schedule=None):
        self.data = data if isinstance(data, ImageSet) else ImageSet(data)
        self.schedule = check_schedule(schedule)
        self.image_shape = self.data.shape
        labels = self.data.labels
        self.classes = None if labels is None else sorted(set(labels.tolist()))

    def _denoise(self, x, t, label):
        groups = {}
        for b, key in enumerate(zip(t.expand(len(x)).tolist(), [None] * len(x) if label is None else label.tolist())):
            groups.setdefault(key, []).append(b)
        answer = torch.empty_like(x)
        for (time, one), index in groups.items():
            images = self.data.images if one is None else self.data.select(one).images
            images = images.to(x.device, x.dtype)
            for part in torch.tensor(index, device=x.device).split(self._at_once(len(images))):
                answer[part] = self._group(x[part], time, images, one)
        return answer

    def _at_once(self, count):
        """How many noisy images are denoised together."""
        return max(1, NUMBERS // (count * self.image_shape[1] * self.image_shape[2]))

    def _levels(self, t):
        return float(self.schedule.alpha(t)), float(self.schedule.sigma(t))


class SmoothedScore(_FromImages):
    """The exact score, averaged over perturbations of the noisy image (Scarvelis, Borde and Solomon 2025).

    spread: standard deviation of the perturbations, a constant in time; 0 gives the ideal score.
    count: how many perturbations; they are drawn once, in pairs of opposite sign, so that this is a function.
    The paper samples with a velocity field and estimates the mean from nearest neighbours; we average over
    the whole training set and sample with DDIM, as for all other denoisers.
    """

    short_name = "smoothed"

    def __init__(self, data, spread, *, count=64, seed=0, schedule=None):
        super().__init__(data, schedule)
        if not spread >= 0:
            raise ValueError(f"spread must be a number of at least 0, got {spread!r}")
        if count < 2 or count % 2:
            raise ValueError(f"count must be an even number of at least 2, got {count!r}")
        self.spread, self.count = float(spread), count
        half = torch.randn(count // 2, *self.image_shape, generator=torch.Generator().manual_seed(seed))
        self.directions = torch.cat([half, -half])

    def _at_once(self, count):
        return max(1, NUMBERS // (count * self.count))

    def _group(self, x, t, images, label):
        alpha, sigma = self._levels(t)
        shaken = x[:, None] + self.spread * self.directions.to(x)                 # (B, M, C, H, W)
        flat, query = images.flatten(1), shaken.flatten(2)
        logits = (alpha * query @ flat.T - alpha**2 / 2 * flat.square().sum(1)) / sigma**2
        return (torch.softmax(logits, 2).mean(1) @ flat).view_as(x)


class PatchPosterior(_FromImages):
    """Posterior means of whole patches at their place, averaged where they overlap (Niedoba et al. 2025).

    window: side of the square patches, odd or even, at most min(H, W), or a ScaleSchedule of odd sides. The
    patches lie inside the image. 1 compares single pixels, the largest on a square image is the ideal score.
    The paper also has patches of any shape (from a network's gradients); only the squares are here.
    """

    short_name = "patches"

    def __init__(self, data, window, *, schedule=None):
        super().__init__(data, schedule)
        self.window = window
        for side in window.windows if isinstance(window, ScaleSchedule) else [window]:
            if not 1 <= side <= min(self.image_shape[1:]):
                raise ValueError(f"patches of {side!r} pixels do not fit into images {self.image_shape[1:]}")

    def _group(self, x, t, images, label):
        window = self.window.at(t, self.schedule)[0] if isinstance(self.window, ScaleSchedule) else self.window
        patches = square_masks(x.shape[-2:], window).to(x)
        return compose(x, images, *self._levels(t), patches, patches / patches.sum(0))


def square_masks(shape, side):
    """(K, H W): 1 on the pixels of each square of `side` that lies inside an image of shape (H, W)."""
    height, width = shape
    rows = torch.ones(height - side + 1, height).tril(side - 1).triu()
    columns = torch.ones(width - side + 1, width).tril(side - 1).triu()
    return torch.einsum("iy,jx->ijyx", rows, columns).reshape(-1, height * width)


class CovarianceMasks(_FromImages):
    """Each pixel compares those pixels on which its best linear estimate leans (Lukoianov et al. 2025).

    threshold: tau; the mask of pixel p holds the pixels q with abs(W_pq) at least tau times the largest in
    the row, where W is the Wiener matrix at the time. Near 0 it holds all of them (the ideal score). The masks
    come from the data alone. Simplified: a row is measured by its own maximum, and one softmax runs over all
    training images. Channels are summed in abs(W).
    """

    short_name = "covariance"

    def __init__(self, data, threshold, *, schedule=None):
        super().__init__(data, schedule)
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {threshold!r}")
        self.threshold = float(threshold)
        self._wiener = WienerScore(self.data, schedule=self.schedule)

    def masks(self, t, label=None):
        """(H W, H W) of 0 and 1: row p is the mask of pixel p at time t."""
        label = check_label(label, 1, self.classes)
        alpha, sigma = self._levels(t)
        _, basis, variance = self._wiener._basis(None if label is None else int(label))
        matrix = (basis * (alpha * variance / (alpha**2 * variance + sigma**2))) @ basis.T
        channels = self.image_shape[0]
        size = matrix.view(channels, -1, channels, matrix.shape[1] // channels).abs().sum((0, 2))
        mask = (size >= self.threshold * size.amax(1, keepdim=True)) & (size > 0)
        return mask.logical_or(torch.eye(len(mask), dtype=torch.bool)).float()

    def _group(self, x, t, images, label):
        masks = self.masks(t, label).to(x)
        return compose(x, images, *self._levels(t), masks, torch.eye(len(masks)).to(x))


class EdgeScore(_FromImages):
    """A local machine in which every pixel takes the largest window that leaves it a choice.

    kappa: how many effective patches a window must keep. windows: the candidates. machine: "ls" (patches from
    the same place, quick) or "els" (from all places). Built on the idea of Hunt, Kamb and Ganguli (2026) that
    good generation runs along the edge of memorisation, where the information in what a pixel sees equals the
    logarithm of the number of patches. `elsedu.calibrate(method="patches")` makes one choice a time step; this
    makes one a pixel. The rule is ours, the principle theirs.
    """

    short_name = "edge"

    def __init__(self, data, kappa, windows=None, *, machine="ls", border="zero", schedule=None):
        super().__init__(data, schedule)
        if not kappa >= 1:
            raise ValueError(f"kappa must be a number of patches of at least 1, got {kappa!r}")
        self.kappa = float(kappa)
        windows = candidate_windows(self.image_shape, border) if windows is None else windows
        self.windows = sorted({check_window(w, self.image_shape, border) for w in windows})
        kind = {"ls": LocalScore, "els": EquivariantLocalScore}[check_choice(machine, ("ls", "els"), "machine")]
        self.machine = kind(self.data, self.windows[0], border=border, schedule=self.schedule)

    def choose(self, x, t, label=None):
        """(x0 (B, C, H, W), window (B, H, W)): the answer, and the window each pixel took."""
        posts = self.machine.posterior(x, t, label, self.windows, ("mean", "effective_patches"))
        x0 = posts[self.windows[0]].mean
        side = torch.full(x0[:, 0].shape, self.windows[0], device=x.device)
        for window in self.windows[1:]:
            enough = posts[window].effective_patches >= self.kappa
            x0 = torch.where(enough[:, None], posts[window].mean, x0)
            side = torch.where(enough, window, side)
        return x0, side

    def _denoise(self, x, t, label):
        return self.choose(x, t, label)[0]
