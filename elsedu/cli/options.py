"""What several commands share: their options, and a network, its images and a device by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

Data = Annotated[str | None, Option(help="Image set or folder of pictures. Default: what the network was trained on.")]
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


def load_network(spec, device="cpu"):
    """A denoiser from what the command line names: a shipped network, a file, a pipeline, or your own code.

    "name", "weights.safetensors", a folder that diffusers wrote, or "FILE.py:function": the function is called without
    arguments (your code is run) and returns a network of elsedu or what `elsedu.networks.as_denoiser` makes.
    """
    from elsedu import networks

    spec = str(spec)
    file, _, function = spec.rpartition(":")
    if file.endswith(".py"):
        found = _from_code(Path(file), function)
    elif spec.endswith(".py"):
        raise ValueError(f"{spec}: name the function that builds the network, as {spec}:build")
    elif spec.endswith(".safetensors"):
        found = networks.load(spec)
    else:
        found = networks.from_diffusers(spec) if Path(spec).is_dir() else networks.network(spec)
    return found.to(device) if hasattr(found, "to") else found


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


def _from_code(file, function):
    import importlib.util
    import sys

    from elsedu.diffusion import Denoiser

    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    sys.path.insert(0, str(file.resolve().parent))  # as Python does for a script
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{file} cannot be run: {type(error).__name__}: {error}") from error
    build = getattr(module, function, None)
    if not callable(build):
        raise ValueError(f"{file} has no function {function!r}")
    denoiser = build()
    if not isinstance(denoiser, Denoiser):
        raise TypeError(f"{file}:{function} returned a {type(denoiser).__name__}: return a network of elsedu, or "
                        "elsedu.networks.as_denoiser(function, image_shape)")
    if not getattr(denoiser, "named", True):
        denoiser.name = file.stem
    return denoiser
