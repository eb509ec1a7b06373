"""Gives weights files from before there were hashes a hash of their content; their tensors stay bit by bit the same.

    python scripts/add_hashes.py elsedu/shipped/weights
"""

import sys
from pathlib import Path

import torch

from elsedu._common.files import write_bytes
from elsedu._common.tensors import HASH, read, to_bytes
from elsedu.networks.storage import OLDER


def main(folder):
    """Rewrite every file of the folder that has no hash yet, and compare what was written."""
    for path in sorted(Path(folder).glob("*.safetensors")):
        metadata, tensors = read(path, OLDER)
        if HASH in metadata:
            continue
        write_bytes(path, to_bytes(tensors, metadata))
        again, same = read(path)
        assert {key: value for key, value in again.items() if key != HASH} == metadata
        assert all(same[name].dtype == value.dtype for name, value in tensors.items())
        assert all(torch.equal(same[name], value) for name, value in tensors.items())
        print(f"{path.name}: {again[HASH][:16]}")


if __name__ == "__main__":
    main(sys.argv[1])
