"""The card beside each shipped network, written by code from the header of its weights file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from elsedu._common.files import write_atomically
from elsedu.networks.base import Network

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: list[float]) -> str:
    """A row of block characters, the lowest bar for the smallest value and the highest for the largest.

    Bars are on a logarithmic scale, for values above 0 that fall fast at first.
    """
    logs = [math.log(value) for value in values]
    low, high = min(logs), max(logs)
    span = (high - low) or 1.0
    return "".join(BARS[min(len(BARS) - 1, int((value - low) / span * len(BARS)))] for value in logs)


def card(network: Network) -> str:
    """Markdown: what the network is, what it was trained on, how, for how long, and how to do it again."""
    known = network.provenance
    if not known:
        raise ValueError(f"{network.name} has no provenance: there is nothing to write a card from")
    config, settings, data = network.config, known["settings"], dict(known["data"])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    size = f" at {data['size']} x {data['size']}" if "size" in data else ""
    given = "class-conditional" if config["classes"] else "unconditional"
    curve = known["loss_curve"]
    shown = sorted({*range(0, len(curve), max(1, len(curve) // 8)), len(curve) - 1})
    lines = [
        f"# {network.name}",
        "",
        f"{given}, {config['padding']} padding, {config['schedule']} noise schedule, {parameters:,} parameters. "
        "It predicts the noise in a noisy image.",
        "",
        f"- **Data**: {data['name']}{size}, {data['images']:,} images, hash `{data['hash']}`",
        f"- **Network**: {_listed(config)}",
        f"- **Settings**: {_listed(settings)}",
        f"- **Length**: {known['steps']:,} steps, {known['epochs']:g} epochs",
        f"- **Time**: {known['cpu_minutes']:g} CPU minutes, {known['wall_minutes']:g} minutes by the clock on a "
        f"shared machine ({known['processor']}, {known['threads']} thread"
        f"{'s' if known['threads'] > 1 else ''}, torch {known['versions']['torch']})",
        f"- **Loss** (mean over the last 5 % of the steps): {known['loss']:.4f}",
        f"- **Commit**: {known['commit'] or 'unknown'}",
        *(
            [
                f"- **Stored** in {known['stored']['precision']}; it was measured in float32, with weights of hash "
                f"`{known['stored']['weights_hash']}`, and draws the same images"
            ]
            if "stored" in known
            else []
        ),
        "",
        "Again from scratch:",
        "",
        "```",
        known["command"],
        "```",
        "",
        f"Loss (logarithmic), step {curve[0][0]:,} to {curve[-1][0]:,}: `{sparkline([loss for _, loss in curve])}`",
        "",
        "| step | loss |",
        "| ---: | ---: |",
        *[f"| {curve[k][0]:,} | {curve[k][1]:.4f} |" for k in shown],
        "",
    ]
    return "\n".join(lines)


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)


def write_card(network: Network, path: str | Path) -> Path:
    """Write the card to `path` (atomically)."""
    write_atomically(Path(path), card(network).encode())
    return Path(path)
