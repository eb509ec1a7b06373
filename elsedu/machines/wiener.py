"""The Wiener filter: the optimal *linear* denoiser (chapters "Prediction" and "Other denoisers").

If images were Gaussian with the training set's mean mu and covariance S, the posterior mean would be

    x0 = mu + alpha S (alpha^2 S + sigma^2 I)^{-1} (x - alpha mu).
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
            mu, basis, variance = self._basis(None)
            alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
            centred = x.double().cpu().flatten(1) - alpha * mu
            gain = alpha * variance / (alpha**2 * variance + sigma**2)
            mean = mu + (centred @ basis) * gain @ basis.T
            return mean.view(x.shape).to(x.device, x.dtype)
        return self.posterior(x, t, label).mean

    def _one(self, x, t, label):
        mu, basis, variance = self._basis(None if label is None else int(label))
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        coordinates = (x.double().cpu().flatten() - alpha * mu) @ basis
        spread = alpha**2 * variance + sigma**2
        mean = mu + basis @ (alpha * variance / spread * coordinates)
        evidence = -0.5 * (coordinates**2 / spread + torch.log(2 * math.pi * spread)).sum()
        return mean.view(x.shape), evidence

    def _basis(self, label):
        """Mean (d,), eigenvectors (d, d) and eigenvalues (d,) of the covariance, float64."""
        if label not in self._bases:
            images = self.data.images if label is None else self.data.images[self.data.labels == label]
            flat = images.double().cpu().flatten(1)
            mu = flat.mean(0)
            centred = flat - mu
            variance, basis = torch.linalg.eigh(centred.T @ centred / len(flat))
            self._bases[label] = mu, basis, variance.clamp_min(0)
        return self._bases[label]
