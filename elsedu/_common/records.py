"""What a measured number has to say about its own making (chapter "Prediction").

A result without the data, weights, settings and versions behind it cannot be checked. These helpers name
each of them by a short hash, and write JSON so that a crash leaves the old file or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from elsedu._common.files import write_text
from elsedu._common.reading import parse_json, read_text


def weights_hash(denoiser: object) -> str | None:
    """16 hexadecimal digits of a SHA-256 over a network's parameters; None for a machine, which has none."""
    if not isinstance(denoiser, torch.nn.Module):
        return None
    digest = hashlib.sha256()
    for name, value in sorted(denoiser.state_dict().items()):
        array = value.detach().cpu().float().contiguous().numpy()
        digest.update(f"{name}{array.shape}".encode())
        digest.update(array.astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def device_of(denoiser: object) -> torch.device:
    """Where a network's parameters are; the CPU for a machine (which works wherever its query is)."""
    found = next(denoiser.parameters(), None) if isinstance(denoiser, torch.nn.Module) else None
    return torch.device("cpu") if found is None else found.device


def name_of(denoiser: object) -> str:
    """What to call a denoiser in a record: its name, or its repr."""
    return getattr(denoiser, "name", None) or repr(denoiser)


def settings_hash(settings: object) -> str:
    """16 hexadecimal digits that change with any entry of `settings` (anything JSON can hold)."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """{"elsedu", "torch", "numpy", "python"} as installed."""
    from elsedu import __version__

    return {"elsedu": __version__, "torch": torch.__version__, "numpy": np.__version__,
            "python": platform.python_version()}


def processor() -> str:
    """The CPU's model name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def device_name(device: torch.device | str = "cpu") -> str:
    """The processor's or the GPU's model name, with the number of threads on a CPU."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor()}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def commit() -> str | None:
    """The commit this package is checked out at, "+" added if its code was changed since; None elsewhere."""
    folder = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # installed inside somebody else's repository?
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "*.py", "*.cpp").strip()
        return git("rev-parse", "--short=12", "HEAD").strip() + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def rounded(values: object, digits: int = 5) -> object:
    """Nested lists of floats, rounded to `digits` significant digits, NaN and infinities as None (JSON has none)."""
    if isinstance(values, torch.Tensor | np.ndarray):
        values = values.tolist()
    if isinstance(values, dict):
        return {key: rounded(value, digits) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [rounded(value, digits) for value in values]
    if isinstance(values, float | np.floating):
        return float(f"{values:.{digits}g}") if np.isfinite(values) else None
    return values


def write_json(path, record):
    """Write a record, at once or not at all. One entry a line at the outer levels, long lists on one line."""
    write_text(path, _layout(record) + "\n")


def _layout(value, indent=0):
    flat = json.dumps(value, allow_nan=False)
    if not isinstance(value, dict) or len(flat) + indent <= 100:
        return flat
    inner = " " * (indent + 1)
    entries = (f"{inner}{json.dumps(str(key))}: {_layout(entry, indent + 1)}" for key, entry in value.items())
    return "{\n" + ",\n".join(entries) + "\n" + " " * indent + "}"


def read_json(path):
    """Read a record. FileNotFoundError if there is none, ValueError if the file is not whole JSON."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no result {path}")
    try:
        return parse_json(read_text(path))
    except ValueError as error:
        raise ValueError(f"{path} is damaged or no JSON ({error}); remove it to measure again") from error


def check_result(record, path):
    """ValueError unless a record has its two blocks, and the hash it was written with (older ones have none)."""
    if not isinstance(record, dict) or not all(isinstance(record.get(k), dict) for k in ("measured", "provenance")):
        raise ValueError(f"{path} is not a comparison: it has no 'measured' and 'provenance' blocks")
    blocks = {key: record[key] for key in ("measured", "provenance")}
    if "hash" in record and record["hash"] != settings_hash(blocks):
        raise ValueError(f"{path} was changed after it was measured: its hash is another; remove it to measure again")


def check_writable(folder):
    """Make the folder if needed and try to write into it, before any work. OSError says why it cannot be."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable."):
            pass
    except OSError as error:
        raise OSError(f"results cannot be written to {folder}: {error.strerror or error}; nothing was "
                      "computed") from error
    return folder
