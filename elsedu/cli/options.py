"""What several commands share: their options, and a network, its images and a device by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

Data = Annotated[str | None, Option(help="Image set. Default: the one the network was trained on.")]
Size = Annotated[int | None, Option(help="Resize the images to SIZE x SIZE. Default: the set's own size.")]
Limit = Annotated[int | None, Option(help="Use this many training images, drawn at random.")]
Root = Annotated[Path | None, Option(help="Folder of the official files. Default: ELSEDU_DATA.")]
Backend = Annotated[str, Option(help="Of the machines: auto, definition, torch, native or triton.")]
Device = Annotated[str, Option(help="cpu, cuda, ...; auto: cuda where there is one.")]
Minutes = Annotated[float | None, Option(help="Stop after so long; the same command goes on.")]


def resolve_device(name):
    """The torch device of that name, "auto" the GPU where there is one; ValueError if it cannot be used."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # what torch raises for a name or a device it has not
        raise ValueError(f"--device {name!r} cannot be used: {str(error).splitlines()[0]}") from error


def load_network(name):
    """A shipped network by name, or one from a .safetensors file."""
    from elsedu import networks

    return networks.load(name) if str(name).endswith(".safetensors") else networks.network(name)


def load_data(network, data=None, size=None, limit=None, root=None):
    """(ImageSet, options): the set asked for, or the one that the network's file says it was trained on."""
    import elsedu

    options = {"size": size, "limit": limit}
    if data is None:
        known = dict(getattr(network, "provenance", {}).get("data", {}))
        if "name" not in known:
            raise ValueError("the network's file does not say on which data it was trained: give --data")
        data = known["name"]
        if data not in elsedu.data.SOURCES:
            raise ValueError(f"the network was trained on {str(data)[:60]!r}, which elsedu does not ship: give --data")
        known = {key: known[key] for key in ("size", "split", "limit", "seed", "crop") if key in known}
        options = known | {key: value for key, value in options.items() if value is not None}
    return elsedu.load(data, root=root, **options), options
