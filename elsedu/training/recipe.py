"""A training by name: which network on which images, with which settings."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from elsedu.data import load
from elsedu.networks import build
from elsedu.training.settings import Settings


@dataclass(frozen=True)
class Recipe:
    """A named training.

    Attributes:
        name: Of the network.
        data: Name of the image set, for `elsedu.load(data, **data_options)`.
        network: Configuration for `elsedu.networks.build`, without image_shape.
        settings: How it is trained.
        data_options: See `data`.
    """

    name: str
    data: str
    network: dict
    settings: Settings
    data_options: dict = field(default_factory=dict)

    def load_data(self):
        """The ImageSet it is trained on."""
        return load(self.data, **self.data_options)

    def build(self, data):
        """The untrained network, initialised from the recipe's seed; the caller's random state is kept."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            network = build({**self.network, "image_shape": list(data.images.shape[1:])})
        network.name = self.name
        return network
