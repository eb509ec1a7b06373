"""The Wiener filter: the optimal *linear* denoiser (chapters "Prediction" and "Other denoisers").

If images were Gaussian with the training set's mean mu and covariance S, the posterior mean would be

    x0 = mu + alpha S (alpha^2 S + sigma^2 I)^{-1} (x - alpha mu).

Like the patch machines it comes in two kinds: `WienerScore` knows where things are in the training images,
`StationaryWienerScore` knows them up to a shift.
"""

from __future__ import annotations

import math

import torch

from elsedu.data import ImageSet
from elsedu.diffusion.denoiser import Denoiser
from elsedu.diffusion.schedule import check_schedule
from elsedu.posterior import Posterior


class WienerScore(Denoiser):
    """Posterior mean under a Gaussian with the mean and covariance (1/N) of the training images, a class each.

    data: ImageSet or tensor (N, C, H, W) in [-1, 1]. The eigenbasis of S is found once, in float64 (for
    32x32 colour images some seconds), and kept.

    >>> import elsedu, torch
    >>> elsedu.WienerScore(elsedu.load("digits")).denoise(torch.zeros(1, 1, 8, 8), t=0.5).shape
    torch.Size([1, 1, 8, 8])
    """

    short_name = "wiener"

    def __init__(self, data, *, schedule=None):
        self.data = data if isinstance(data, ImageSet) else ImageSet(data)
        self.schedule = check_schedule(schedule)
        self.image_shape = tuple(self.data.images.shape[1:])
        labels = self.data.labels
        self.classes = None if labels is None else sorted(set(labels.tolist()))
        self._bases = {}

    def __repr__(self):
        return f"WienerScore({self.data.name}, {len(self.data)} images)"

    def _check(self, x, t, label):
        t, label = super()._check(x, t, label)
        return t.cpu(), label  # where the filter is computed

    def posterior(self, x, t, label=None):
        """Posterior with mean (B, C, H, W) and log_evidence (B, H, W); the linear filter has no patches."""
        t, label = self._check(x, t, label)
        mean, evidence = torch.empty_like(x), x.new_empty(len(x))
        for b in range(len(x)):
            mean[b], evidence[b] = self._one(x[b], t if t.ndim == 0 else t[b], None if label is None else label[b])
        return Posterior(mean=mean, log_evidence=evidence.view(-1, 1, 1).expand(len(x), *x.shape[2:]))

    def _denoise(self, x, t, label):
        if t.ndim == 0 and label is None:  # the common case in one product
            return self._filtered(x, t, None)[0].to(x.device, x.dtype)
        return self.posterior(x, t, label).mean

    def _one(self, x, t, label):
        mean, evidence = self._filtered(x[None], t, None if label is None else int(label))
        return mean[0], evidence[0]

    def _filtered(self, x, t, label):
        """Posterior mean (B, C, H, W) and log density (B,) of x at one time, float64 on the CPU."""
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        mean = self._mean(label)
        coordinates, variance = self._analyse(x.double().cpu() - alpha * mean, label)
        spread = alpha**2 * variance + sigma**2
        evidence = -0.5 * (coordinates.abs()**2 / spread + torch.log(2 * math.pi * spread)).flatten(1).sum(1)
        return mean + self._synthesise(alpha * variance / spread * coordinates, label), evidence

    def _images(self, label):
        """Training images of a class (None: all), (N, C, H, W) float64 on the CPU."""
        images = self.data.images if label is None else self.data.images[self.data.labels == label]
        return images.double().cpu()

    def _mean(self, label):
        """Mean image (C, H, W)."""
        return self._basis(label)[0].view(self.image_shape)

    def _analyse(self, x, label):
        """(coordinates (B, d) in the eigenbasis of S, their variances (d,)) of centred images."""
        _, basis, variance = self._basis(label)
        return x.flatten(1) @ basis, variance

    def _synthesise(self, coordinates, label):
        """The images (B, C, H, W) of coordinates."""
        return (coordinates @ self._basis(label)[1].T).view(len(coordinates), *self.image_shape)

    def _basis(self, label):
        """Mean (d,), eigenvectors (d, d) and eigenvalues (d,) of the covariance, float64."""
        if label not in self._bases:
            flat = self._images(label).flatten(1)
            mu = flat.mean(0)
            centred = flat - mu
            variance, basis = torch.linalg.eigh(centred.T @ centred / len(flat))
            self._bases[label] = mu, basis, variance.clamp_min(0)
        return self._bases[label]


class StationaryWienerScore(WienerScore):
    """The best linear denoiser that treats all places of a torus alike.

    It is the Wiener filter of all cyclic shifts of the training images, as `EquivariantScore` is the ideal
    score of them: the mean is one colour, the covariance its average over shifts. Such a covariance is
    diagonalised by the Fourier transform, up to a C x C matrix a frequency that couples the channels, so
    the filter is exact and costs two FFTs. It is the fair linear rival of a network with circular padding,
    which commutes with all shifts as well, whereas `WienerScore` expects the images in their place.

    >>> import elsedu, torch
    >>> filtered = elsedu.StationaryWienerScore(elsedu.load("digits"))
    >>> x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(filtered.denoise(x.roll(3, -1), 0.5), filtered.denoise(x, 0.5).roll(3, -1), atol=1e-6)
    True
    """

    short_name = "stationary"

    def __repr__(self):
        return f"StationaryWienerScore({self.data.name}, {len(self.data)} images)"

    def _mean(self, label):
        return self._basis(label)[0]

    def _analyse(self, x, label):
        _, basis, variance = self._basis(label)
        return torch.einsum("hwkc,bchw->bhwk", basis.mH, torch.fft.fft2(x, norm="ortho")), variance

    def _synthesise(self, coordinates, label):
        spectrum = torch.einsum("hwck,bhwk->bchw", self._basis(label)[1], coordinates)
        return torch.fft.ifft2(spectrum, norm="ortho").real

    def _basis(self, label):
        """Mean (C, 1, 1), and at each frequency eigenvectors (H, W, C, C) and eigenvalues (H, W, C)."""
        if label not in self._bases:
            images = self._images(label)
            mu = images.mean((0, 2, 3))[:, None, None]
            spectra = torch.fft.fft2(images - mu, norm="ortho").permute(2, 3, 1, 0)     # (H, W, C, N)
            variance, basis = torch.linalg.eigh(spectra @ spectra.mH / len(images))
            self._bases[label] = mu, basis, variance.clamp_min(0)
        return self._bases[label]
