"""Checkpoints: one safetensors file, replaced atomically, from which a run goes on exactly.

A checkpoint holds the weights, AdamW's moments, the random generator's state, the losses so far and, in
its header, step, settings, network configuration and data hash. A process killed at any moment leaves
the previous checkpoint or the new one, never half of one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from elsedu._common.files import write_atomically
from elsedu._common.reading import parse_json
from elsedu._common.tensors import read, to_bytes

FILE = "checkpoint.safetensors"
FORMAT = "elsedu-checkpoint-1"


@dataclass
class Checkpoint:
    """tensors: {"weight/..", "optimiser/<parameter>/<state>", "generator", "losses", "ema/.."}; header: dict."""

    tensors: dict[str, torch.Tensor]
    header: dict


def content(checkpoint: Checkpoint) -> bytes:
    """The file of a checkpoint."""
    return to_bytes(checkpoint.tensors, {"format": FORMAT, "header": json.dumps(checkpoint.header)})


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint into the folder, which is made if it is not there."""
    write_atomically(Path(folder) / FILE, content(checkpoint))


def load(folder: Path) -> Checkpoint | None:
    """The checkpoint in the folder, or None if there is none. ValueError if the file is damaged."""
    path = Path(folder) / FILE
    if not path.exists():
        return None
    try:
        metadata, tensors = read(path, frozenset({"format", "header"}))  # the first ones had no hash
        if metadata.get("format") != FORMAT:
            raise ValueError(f"{path} has format {metadata.get('format')!r}, expected {FORMAT!r}")
        header = parse_json(metadata.get("header", "null"))
        _check(header, tensors)
    except (ValueError, OSError) as error:
        said = str(error)
        raise ValueError(f"{'' if str(path) in said else f'{path}: '}{said}; it is not a whole checkpoint: move it "
                         "away to start again") from error
    return Checkpoint(tensors, header)


def _check(header, tensors):
    """ValueError unless the header is one of a checkpoint, and agrees with the tensors about how far it got."""
    kinds = {"config": dict, "data": str, "images": int, "settings": dict, "step": int, "wall": float, "cpu": float}
    if not isinstance(header, dict):
        raise ValueError("it has no header")
    for key, kind in kinds.items():
        value = header.get(key)
        if not isinstance(value, (int, float) if kind is float else kind) or isinstance(value, bool):
            raise ValueError(f"its header says {key} = {str(value)[:60]}, expected {kind.__name__}")
    losses = tensors.get("losses")
    if losses is None or "generator" not in tensors or losses.shape != (header["step"],):
        raise ValueError(f"its header says step {header['step']}, but the losses of "
                         f"{'no' if losses is None else len(losses.reshape(-1))} steps are there")
