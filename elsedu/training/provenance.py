"""What a weights file says about its own making."""

from __future__ import annotations

import platform

import torch

from elsedu._common import records

POINTS = 40


def loss_curve(losses: list[float], points: int = POINTS) -> list[list[float]]:
    """[[step, mean loss since the point before], ...] at up to `points` equally spaced steps."""
    steps = len(losses)
    ends = sorted({round(steps * (k + 1) / points) for k in range(points)} - {0})
    return [[end, round(sum(losses[start:end]) / (end - start), 5)] for start, end in zip([0, *ends], ends)]


def provenance(recipe, data, record: dict, revision: str | None) -> dict:
    """What is known of a training run: for a weights file's header and its card.

    recipe : Recipe as it was run; data : the ImageSet; record : `network.training_record`;
    revision : `elsedu._common.records.commit()` when training began
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
        "processor": torch.cuda.get_device_name() if torch.cuda.is_available() else records.processor(),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "commit": revision,
        "command": f"elsedu train {recipe.name}",
    }
