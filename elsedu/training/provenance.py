"""What a weights file says about its own making."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import torch

POINTS = 40


def loss_curve(losses: list[float], points: int = POINTS) -> list[list[float]]:
    """[[step, mean loss since the point before], ...] at up to `points` equally spaced steps."""
    steps = len(losses)
    ends = sorted({round(steps * (k + 1) / points) for k in range(points)} - {0})
    return [[end, round(sum(losses[start:end]) / (end - start), 5)] for start, end in zip([0, *ends], ends)]


def commit() -> str | None:
    """Hash of the commit the package lies in, "+" added if its training code was changed since; or None."""
    folder = Path(__file__).parent.parent

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout

    try:
        head = git("rev-parse", "--short=12", "HEAD").strip()
        return head + ("+" if git("status", "--porcelain", "--", "networks", "training").strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def processor() -> str:
    """The CPU's or GPU's model name, as far as the system tells."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def provenance(recipe, data, record: dict, revision: str | None) -> dict:
    """What is known of a training run: for a weights file's header and its card.

    recipe : Recipe as it was run; data : the ImageSet; record : `network.training_record`;
    revision : `commit()` when training began
    """
    losses = record["losses"]
    last = losses[-max(1, len(losses) // 20):]
    return {
        "data": {"name": recipe.data, **recipe.data_options, "images": len(data), "hash": data.hash},
        "settings": recipe.settings.as_dict(),
        "steps": record["steps"],
        "epochs": round(record["steps"] * recipe.settings.batch / len(data), 1),
        "loss": round(sum(last) / len(last), 5),
        "loss_curve": loss_curve(losses),
        "wall_minutes": round(record["wall_minutes"], 1),
        "cpu_minutes": round(record["cpu_minutes"], 1),
        "threads": torch.get_num_threads(),
        "processor": processor(),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "commit": revision,
        "command": f"elsedu train {recipe.name}",
    }
