"""Networks as files: safetensors, with configuration and provenance in the header.

A file says all that is needed to rebuild the network (`config`) and what is known of its training
(`provenance`: data and its hash, settings, loss curve, minutes, commit, the command that retrains it).
Nothing is unpickled, so a weights file cannot run code.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from elsedu._common.files import SHIPPED, write_atomically
from elsedu._common.reading import parse_json
from elsedu._common.records import weights_hash
from elsedu._common.tensors import read, to_bytes
from elsedu.data import ImageSet
from elsedu.networks.base import Network
from elsedu.networks.resnet import ResNet
from elsedu.networks.unet import UNet

FORMAT = "elsedu-network-1"
FOLDER = SHIPPED / "weights"
OLDER = frozenset({"format", "name", "config", "provenance"})  # the header of the first files, which had no hash
KINDS: dict[str, type[ResNet] | type[UNet]] = {"resnet": ResNet, "unet": UNet}


def build(config: dict[str, Any]) -> Network:
    """An untrained network from its configuration, {"kind": "resnet" | "unet", ...}.

    The other entries are the arguments of `ResNet` and `UNet`. Raises ValueError for an unknown kind or
    entry, or an impossible value. Initialisation draws from torch's global random state.
    """
    options = dict(config)
    kind = options.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"unknown kind of network {kind!r}; known: {', '.join(sorted(KINDS))}")
    try:
        return KINDS[kind](**options)
    except (TypeError, ZeroDivisionError, OverflowError, RuntimeError) as error:
        raise ValueError(f"cannot build a {kind} from {str(options)[:200]}: {error}") from error


def save(
    network: Network,
    path: str | Path,
    provenance: dict[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write the network to `path` (atomically; an earlier file is replaced only by a whole new one).

    Args:
        network: A ResNet or a UNet.
        path: The file.
        provenance: Dict for JSON, default `network.provenance`.
        dtype: Storage type of the weights, default as they are; torch.float16 halves the file.

    Returns:
        The path.

    Raises:
        ValueError: For a network of another kind.
    """
    write_atomically(Path(path), _content(network, network.provenance if provenance is None else provenance, dtype))
    return Path(path)


def _content(network: Network, provenance: dict[str, Any], dtype: torch.dtype | None = None) -> bytes:
    if network.kind not in KINDS:
        raise ValueError(
            f"{network.name} is of kind {network.kind!r}, which cannot be written here; "
            f"known: {', '.join(sorted(KINDS))}"
        )
    tensors = {
        name: value.detach().cpu().to(dtype or value.dtype).contiguous() for name, value in network.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "name": network.name,
        "config": json.dumps(network.config),
        "provenance": json.dumps(provenance),
    }
    return to_bytes(tensors, metadata=metadata)


def compact(network: Network, content: bytes, limit: int) -> tuple[bytes, Network]:
    """(bytes of a weights file of at most `limit` bytes, the network it holds), in half precision only if need be.

    Args:
        network: The network.
        content: The file as it is, kept if it is small enough. Otherwise the weights are rounded to float16, and
            the rounded network must draw the same images (`half_precision_agreement` at least .9999). The file
            then says so in its provenance, with the hash of the weights as they were measured.
        limit: In bytes.

    Raises:
        ValueError: If it is still too large, or if the images change.
    """
    if len(content) <= limit:
        return content, network
    provenance = {**network.provenance, "stored": {"precision": "float16", "weights_hash": weights_hash(network)}}
    small = _content(network, provenance, torch.float16)
    if len(small) > limit:
        raise ValueError(
            f"the weights take {len(content) / 2**20:.1f} MB, in half precision "
            f"{len(small) / 2**20:.1f} MB; at most {limit / 2**20:g} MB are shipped"
        )
    rounded = in_half_precision(network).to(next(network.parameters()).device)
    agreement = half_precision_agreement(network, rounded)
    if not agreement >= 0.9999:
        raise ValueError(
            f"in half precision the network draws other images (pearson_r {agreement:.5f}), and in "
            f"float32 its weights take {len(content) / 2**20:.1f} MB; at most {limit / 2**20:g} MB "
            "are shipped"
        )
    rounded.provenance = provenance
    return small, rounded


def in_half_precision(network: Network) -> Network:
    """A copy whose weights are rounded to float16 (and stay float32 tensors), on the CPU."""
    rounded = build(network.config)
    rounded.load_state_dict({name: value.detach().cpu().half() for name, value in network.state_dict().items()})
    rounded.name, rounded.provenance = network.name, network.provenance
    return rounded.eval()


def half_precision_agreement(network: Network, rounded: Network, samples: int = 4, steps: int = 20) -> float:
    """The lowest pearson_r between images that the two draw from the same noise."""
    from elsedu.analysis import metrics
    from elsedu.diffusion import sampling, seeds

    index = range(samples)
    noise = seeds.noise("calibration", index, network.image_shape)
    labels = seeds.labels(index, network.classes) if network.label_required else None
    images = [
        sampling.sample(one, noise.to(next(one.parameters()).device), steps, labels).cpu() for one in (network, rounded)
    ]
    return float(metrics.pearson_r(*images).min())


def _read(path: Path) -> tuple[str | None, dict[str, Any], dict[str, Any], dict[str, torch.Tensor]]:
    """(name, configuration, provenance, tensors) of a weights file, each checked by itself."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file {path}")
    metadata, tensors = read(path, OLDER)
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} was not written by elsedu.networks.save: its format is "
            f"{metadata.get('format')!r}, expected {FORMAT!r}"
        )
    try:
        config, provenance = (parse_json(metadata.get(key, "{}")) for key in ("config", "provenance"))
    except ValueError as error:
        raise ValueError(f"{path} has a header that is no JSON: {error}") from error
    if not isinstance(config, dict) or not config:
        raise ValueError(f"{path} does not say what network it holds: its configuration is {str(config)[:60]}")
    if not isinstance(provenance, dict) or not isinstance(provenance.get("data", {}), dict):
        raise ValueError(f"{path} does not say how it was trained: its provenance is {str(provenance)[:60]}")
    name = metadata.get("name")
    if name is not None and (not name.isprintable() or set(name) & set("/\\") or not 0 < len(name) <= 100):
        raise ValueError(f"{path} gives its network a name that cannot be one of a file: {name[:60]!r}")
    for key, value in tensors.items():
        if not value.is_floating_point():
            raise ValueError(f"{path} holds no weights: {key} is {value.dtype}, expected floating-point numbers")
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{path} is damaged: {key} holds NaN or infinite values")
    return name, config, provenance, tensors


def _shapes(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _check_before_building(config: dict[str, Any], tensors: dict[str, torch.Tensor], path: Path) -> None:
    """ValueError unless the stored weights have the shapes of this configuration; builds nothing that takes memory."""
    largest = max([4096, len(tensors), *(n for value in tensors.values() for n in value.shape)])
    for key, value in config.items():
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and not abs(number) <= largest:
                raise ValueError(f"the weights in {path} do not fit its configuration: {key} is {str(value)[:60]}")
    with torch.device("meta"):  # shapes without values
        outline = build(config)
    _check_shapes(_shapes(outline.state_dict()), _shapes(tensors), path)


def _check_shapes(expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]], path: Path) -> None:
    if expected != found:
        wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
        raise ValueError(f"the weights in {path} do not fit its configuration: {', '.join(wrong[:5])}")


def load(path: str | Path, into: Network | None = None) -> Network:
    """Read a network written by `save`; on the CPU, in float32, in evaluation mode.

    The stored shapes are compared with the configuration before a network is built, and the content with the hash it
    was written with (files from before there were hashes have none).

    Args:
        path: The file.
        into: None to build the network the file describes, or a network that must have the same configuration,
            whose weights are then replaced.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: For a truncated or changed file, another format or another architecture, weights that are not
            finite; then `into` is left as it was.
    """
    path = Path(path)
    name, config, provenance, tensors = _read(path)
    if into is None:
        try:
            _check_before_building(config, tensors, path)
        except ValueError as error:
            if str(path) in str(error):
                raise
            raise ValueError(f"{path} holds no network that can be built: {error}") from error
        network = build(config)
    else:
        network = into
    if network.config != config:
        different = sorted(key for key in {*config, *network.config} if config.get(key) != network.config.get(key))
        raise ValueError(
            f"{path} holds another architecture: "
            + ", ".join(
                f"{key} is {config.get(key)!r} in the file, {network.config.get(key)!r} here" for key in different
            )
        )
    _check_shapes(_shapes(network.state_dict()), _shapes(tensors), path)
    network.load_state_dict(tensors)
    network.name = name or network.name
    network.provenance = provenance
    return network.eval()


def available() -> list[str]:
    """Names of the networks shipped with the package, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def network(name: str) -> Network:
    """A shipped network by name, e.g. "digits-resnet-zero". ValueError lists the known names."""
    known = available()
    if name not in known:
        raise ValueError(f"no shipped network is called {name!r}; known: {', '.join(known) or '(none)'}")
    return load(FOLDER / f"{name}.safetensors")


def check_data(network: Network, data: ImageSet) -> bool:
    """Whether `data` (an ImageSet) is the set the network was trained on; warns (UserWarning) if not.

    True if the hashes agree, False after a warning, also where the file does not say.
    """
    known = network.provenance.get("data", {}).get("hash")
    if known == data.hash:
        return True
    trained = "its file does not say on which data" if known is None else f"it was trained on data with hash {known}"
    warnings.warn(
        f"{network.name}: {trained}; {data.name} has hash {data.hash}. A theory built on other "
        "images than the network saw predicts something else",
        UserWarning,
        stacklevel=2,
    )
    return False
