"""Neural networks as denoisers (chapter "What a network can see").

`ResNet` and `UNet` are the paper's; `network(name)` loads one that is shipped with the package and
`available()` lists them; `build`, `save` and `load` serve your own, `from_diffusers` wraps a network
trained elsewhere, and `as_denoiser` makes one of any function of (x, t). Every network has the interface
of the machines: denoise, noise, score, schedule.
"""

from elsedu.networks.adapter import as_denoiser
from elsedu.networks.base import Network
from elsedu.networks.diffusers import from_diffusers
from elsedu.networks.probes import equivariance_error, is_equivariant, receptive_field
from elsedu.networks.resnet import ResNet
from elsedu.networks.storage import FOLDER, available, build, check_data, load, network, save
from elsedu.networks.unet import UNet

__all__ = [
    "FOLDER",
    "Network",
    "ResNet",
    "UNet",
    "as_denoiser",
    "available",
    "build",
    "check_data",
    "equivariance_error",
    "from_diffusers",
    "is_equivariant",
    "load",
    "network",
    "receptive_field",
    "save",
]
