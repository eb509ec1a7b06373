"""`Machine`: one noise, several denoisers side by side."""

from __future__ import annotations

import torch

import elsedu
from elsedu.figures import COLORS

from .exhibit import KINDS, LONG, SHORT, Exhibit, tile, tone

PARTS = ("sources", "paint", "nearest", "windows", "data", "cifar", "border", "steps", "machines", "open")


class Machine(Exhibit):
    """One noise, several denoisers side by side, played from noise to image in the reader's browser.

    Args:
        data: a name of `elsedu.live.catalogue.ENTRIES`, or an `ImageSet`.
        machines: what stands side by side: "is", "es", "ls", "els", "network", or a dict with `key` (one of these) and
            any of `title`, `border`, `windows` and `network` (the name of a shipped one).
        prompt: one sentence that says what to try.
        id: name in links that restore a state.
        windows: windows of LS and ELS, smallest noise first, or None for those of the data.
        border: "zero" or "circular".
        seed: of the noise that is shown first (`elsedu.live.random.normal_noise`).
        steps: DDIM steps.
        label: a class to which the images are restricted, or None.
        parts: what is offered: "sources" (point at a pixel), "paint" (on the noise), "nearest", "windows" (drag P(t)),
            "data", "cifar" (says that a batch file may be dropped), "border", "steps", "machines", "open" (unfolded).
        sets: names of further sets of the catalogue to choose from.

    Raises:
        ValueError: for an unknown machine, set, network or part.

    >>> from elsedu import live
    >>> live.Machine("digits", ["is", "els"], id="digits")
    Machine(digits)
    """

    def __init__(
        self,
        data="mnist16",
        machines=("is", "els", "network"),
        prompt="Press play, then point at a pixel of what was drawn.",
        id="machine",
        windows=None,
        border="zero",
        seed=0,
        steps=20,
        label=None,
        parts=("sources", "nearest", "windows", "steps"),
        sets=(),
    ):
        if unknown := set(parts) - set(PARTS):
            raise ValueError(f"unknown parts {sorted(unknown)}; known: {', '.join(PARTS)}")
        if windows is not None:
            windows = [windows] if isinstance(windows, int) else [int(p) for p in getattr(windows, "windows", windows)]
        super().__init__("sampler", prompt, id, data, sets, windows)
        self.lanes = [dict(one) if isinstance(one, dict) else {"key": one} for one in machines]
        for lane in self.lanes:
            if lane.get("key") not in SHORT:
                raise ValueError(f"unknown machine {lane.get('key')!r}; known: {', '.join(SHORT)}")
            if lane["key"] == "network" and not self.network_of(lane):
                raise ValueError(f"no network that was trained on {self.data!r} is shipped: name one")
            if isinstance(lane.get("windows"), int):
                lane["windows"] = [lane["windows"]]
        self.chosen, self.parts, self.border = windows, list(parts), border
        self.seed, self.steps, self.label = seed, steps, label

    def network_of(self, lane: dict) -> str | None:
        """The name of a lane's network."""
        return lane.get("network") or self.sets[self.data]["network"]

    def networks(self) -> list[str]:
        names = [lane["network"] for lane in self.lanes if lane.get("network")]
        if any(lane["key"] == "network" for lane in self.lanes) or "machines" in self.parts:
            names += [info["network"] for info in self.offered().values() if info["network"]]
        return list(dict.fromkeys(names))

    def more(self) -> dict:
        return {
            "lanes": self.lanes,
            "parts": self.parts,
            "windows": self.chosen,
            "border": self.border,
            "seed": self.seed,
            "steps": self.steps,
            "label": self.label,
        }

    def denoiser(self, lane: dict):
        """The Python denoiser of a lane: what the page computes, and what its still picture is made with."""
        if lane["key"] in KINDS:
            windows = lane.get("windows") or self.chosen or self.sets[self.data]["windows"]
            return self.machine(lane["key"], windows, lane.get("border", self.border))
        return elsedu.networks.network(self.network_of(lane))

    def samples(self) -> list[torch.Tensor]:
        """What every lane makes of the first noise: one (C, H, W) each."""
        noise = self.noise(self.seed)
        return [elsedu.sample(self.denoiser(lane), noise, self.steps, self.label)[0] for lane in self.lanes]

    def still(self) -> list[dict]:
        noise = self.noise(self.seed)[0] / 2.2  # the page shows noise at this scale
        pictures = [tile("noise", "noise", noise, COLORS["data"], f"Noise of seed {self.seed}.")]
        for k, (lane, image) in enumerate(zip(self.lanes, self.samples())):
            key = lane["key"]
            title = lane.get("title", SHORT[key])
            alt = f"What {title} makes of the noise of seed {self.seed}, drawn in {self.steps} steps."
            note = "" if "title" in lane else LONG[key]
            pictures.append(tile(f"lane{k}", title, image, tone(key), alt, note))
        return pictures
