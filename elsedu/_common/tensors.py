"""Tensors in files that notice when they were changed: safetensors with a hash of everything in the header.

A flipped bit in a file of weights gives other images without a word, and a piece of one machine copied over another's
is a valid file. So whatever elsedu writes carries the SHA-256 of its tensors and of its own description (settings,
step, the name of the piece), and reading compares it. A hash finds damage and mistakes, not forgery: whoever changes
a file on purpose can write a new hash.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .reading import check_regular

HASH = "sha256"


def hash_of(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> str:
    """SHA-256 in hexadecimal digits of named tensors and their metadata (without the entry "sha256")."""
    said = {key: value for key, value in metadata.items() if key != HASH}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def to_bytes(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """The content of a file with these tensors and this metadata, and their hash in the metadata."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return save(plain, metadata={**metadata, HASH: hash_of(plain, metadata)})


def read(path, older: frozenset = frozenset()) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """(metadata, tensors) of a file.

    Args:
        path: The file.
        older: The entries that metadata had before there were hashes: a file with no others needs none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is truncated, something else, has no hash though it needs one, or another one than its
            content.
    """
    check_regular(path)
    try:
        with safe_open(Path(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is truncated or not a safetensors file ({error})") from error
    if HASH in metadata:
        if metadata[HASH] != hash_of(tensors, metadata):
            raise ValueError(f"{path} is damaged: its content has another hash than the one it was written with")
    elif not older or not set(metadata) <= older:
        raise ValueError(f"{path} carries no hash of its content, so that damage could not be noticed")
    return metadata, tensors
