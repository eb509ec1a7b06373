"""Draw the README's picture: the same noise through the ideal and through the local machine."""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import torch

import elsedu
from elsedu import figures

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "book/_static/readme.png"


def main():
    figures.use_style()
    torch.manual_seed(0)
    digits = elsedu.load("mnist5k", size=16, limit=1000)
    noise = torch.randn(9, *digits.shape)
    windows = elsedu.ScaleSchedule([3] * 2 + [5] * 4 + [7] * 5 + [9] * 4 + [11] * 5)
    ideal = elsedu.sample(elsedu.IdealScore(digits), noise)
    local = elsedu.sample(elsedu.EquivariantLocalScore(digits, window=windows), noise)
    fig = figures.pair_grid([noise / 3, ideal, local], ["noise", "ideal", "local"])
    fig.savefig(PICTURE, dpi=180, bbox_inches="tight", pad_inches=0.08)
    print(PICTURE)


if __name__ == "__main__":
    sys.exit(main())
