"""Image sets and networks as the page reads them: scripts that call ``elsedu_live.register(name, payload)``.

A script is the one form of data that a page may load from file:// as well as from http, and that may also stand
inside a notebook's output. Pixels are bytes, packed with zlib and written in base64; weights are rounded to half
precision, which changes no image that a reader could see (`elsedu.networks` checks that for shipped files).
"""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import torch

from elsedu.data import ImageSet
from elsedu.networks import Network


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def image_payload(data: ImageSet, name: str, title: str) -> dict:
    """An image set for the page.

    Args:
        data: images in [-1, 1]; they are rounded to bytes, as `ImageSet.hash` does.
        name: the set's name in the page.
        title: what the reader sees.

    Returns:
        dict for JSON: shape, class names, pixels (zlib, base64) and labels (base64) or None.

    Raises:
        ValueError: if a label does not fit into a byte.
    """
    channels, height, width = data.shape
    pixels = np.rint((data.images.double().cpu().numpy() + 1) * 127.5).astype(np.uint8)
    labels = None
    if data.labels is not None:
        values = data.labels.cpu().numpy()
        if values.min() < 0 or values.max() > 255:
            raise ValueError(
                f"labels must lie between 0 and 255 to be sent to a page, got {values.min()} to {values.max()}"
            )
        labels = _text(values.astype(np.uint8).tobytes())
    return {
        "name": name,
        "title": title,
        "count": len(data),
        "channels": channels,
        "height": height,
        "width": width,
        "pixels": _text(zlib.compress(pixels.tobytes(), 9)),
        "labels": labels,
        "classes": class_names(data),
    }


def class_names(data: ImageSet) -> list[str] | None:
    """The names of the classes 0, 1, ... of a set, numbers where they have no names; None without labels."""
    if data.labels is None:
        return None
    if names := getattr(data, "class_names", None) or getattr(data, "classes", None):
        return list(names)
    return [str(k) for k in range(int(data.labels.max()) + 1)]


def network_payload(network: Network) -> dict:
    """A network for the page, its weights in half precision.

    Args:
        network: a ResNet or UNet of `elsedu.networks`.

    Returns:
        dict for JSON: name, kind, config, schedule, padding, tensors {name: {shape, offset}} (offsets in numbers, not
        bytes), dtype "float16" and bytes (base64, little endian).
    """
    tensors, parts, offset = {}, [], 0
    for name, value in network.state_dict().items():
        if not value.is_floating_point():
            raise TypeError(f"{network.name}: the tensor {name} holds {value.dtype}, expected floating point numbers")
        tensors[name] = {"shape": list(value.shape), "offset": offset}
        parts.append(value.detach().to("cpu", torch.float16).numpy().astype("<f2").tobytes())
        offset += value.numel()
    return {
        "name": network.name,
        "kind": network.kind,
        "config": network.config,
        "schedule": network.schedule.name,
        "padding": network.padding,
        "tensors": tensors,
        "dtype": "float16",
        "bytes": _text(b"".join(parts)),
    }


def script(name: str, payload: dict) -> str:
    """The JavaScript that registers a payload."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")
    return f"elsedu_live.register({json.dumps(name)},{text});\n"
