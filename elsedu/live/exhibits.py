"""The exhibits: what the reader plays with, as objects that a notebook shows."""

from __future__ import annotations

import hashlib
import re

import torch

import elsedu
from elsedu.data import ImageSet
from elsedu.figures import COLORS

from . import catalogue, page
from .payload import image_payload
from .random import normal_noise

MACHINES = ("is", "es", "ls", "els")
NOTE = "Computed with Python when this page was built. With scripts allowed, you can play with it."


class Exhibit:
    """A living figure: HTML for every place that shows a notebook's output.

    Args:
        prompt: one sentence that says what to try.
        id: name in links that restore a state; letters, digits and hyphens.
    """

    def __init__(self, prompt: str, id: str):
        if not re.fullmatch(r"[a-z][a-z0-9-]{1,40}", id):
            raise ValueError(f"id must be lower-case letters, digits and hyphens, got {id!r}")
        self.prompt, self.id = prompt, id

    def __repr__(self):
        return f"{type(self).__name__}({self.id})"

    def _repr_html_(self) -> str:
        raise NotImplementedError


def tone(short: str) -> str:
    """The CSS colour of a denoiser; the network's is ink, light by night."""
    return "var(--network)" if short == "network" else COLORS[short]


def tile(name, title, image, color, alt, note="") -> dict:
    """One picture of a still line-up, as `page.still_picture` wants it; image: (C, H, W) in [-1, 1]."""
    return {
        "name": name,
        "title": title,
        "note": note,
        "color": color,
        "alt": alt,
        "src": page.picture(image),
        "height": image.shape[1],
        "width": image.shape[2],
    }


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
        words: on the play button.

    Raises:
        ValueError: for an unknown machine, set, network or part.
    """

    PARTS = ("sources", "paint", "nearest", "windows", "data", "cifar", "border", "steps", "machines", "open")

    def __init__(
        self,
        data="mnist16",
        machines=("is", "els", "network"),
        prompt="Press play.",
        id="machine",
        windows=None,
        border="zero",
        seed=0,
        steps=20,
        label=None,
        parts=("sources", "nearest", "steps"),
        sets=(),
        words="Play",
    ):
        super().__init__(prompt, id)
        if unknown := set(parts) - set(self.PARTS):
            raise ValueError(f"unknown parts {sorted(unknown)}; known: {', '.join(self.PARTS)}")
        self.own = {}
        if isinstance(data, ImageSet):
            name = "own-" + data.hash
            self.own[name] = image_payload(data, name, data.name)
            info, self.images = catalogue.describe(data, data.name, None, windows), data
        else:
            name, self.images = data, catalogue.load(data)
            info = catalogue.information(data)
        self.lanes = [dict(one) if isinstance(one, dict) else {"key": one} for one in machines]
        for lane in self.lanes:
            if lane.get("key") not in (*MACHINES, "network"):
                raise ValueError(f"unknown machine {lane.get('key')!r}; known: {', '.join(MACHINES)}, network")
            if isinstance(lane.get("windows"), int):
                lane["windows"] = [lane["windows"]]
        if windows is not None:
            windows = [windows] if isinstance(windows, int) else [int(p) for p in getattr(windows, "windows", windows)]
        self.name, self.border, self.seed, self.steps, self.label = name, border, seed, steps, label
        self.windows = windows or info["windows"]
        self.sets = {name: info} | {one: catalogue.information(one) for one in sets if one != name}
        self.spec = {
            "kind": "sampler", "id": id, "prompt": prompt, "data": name, "sets": self.sets,
            "more": {"lanes": self.lanes, "parts": list(parts), "windows": windows, "border": border, "seed": seed,
                     "steps": steps, "label": label, "words": words},
        }  # fmt: skip

    def networks(self) -> list[str]:
        """Names of the networks that the exhibit may ask for."""
        names = [lane["network"] for lane in self.lanes if lane.get("network")]
        if any(lane["key"] == "network" for lane in self.lanes) or "machines" in self.spec["more"]["parts"]:
            names += [info["network"] for info in self.sets.values() if info["network"]]
        return list(dict.fromkeys(names))

    def denoiser(self, lane: dict):
        """The Python denoiser of a lane: what the page computes, and what its still picture is made with."""
        if lane["key"] == "network":
            return elsedu.networks.network(lane.get("network") or self.sets[self.name]["network"])
        border = lane.get("border", self.border)
        windows = lane.get("windows", self.windows)
        if border == "circular":
            small = min(self.images.shape[1:])
            windows = [min(p, small - 1 + small % 2) for p in windows]
        windows = elsedu.ScaleSchedule(list(windows))
        kind = {"is": elsedu.IdealScore, "es": elsedu.EquivariantScore, "ls": elsedu.LocalScore,
                "els": elsedu.EquivariantLocalScore}[lane["key"]]  # fmt: skip
        return kind(self.images) if lane["key"] in ("is", "es") else kind(self.images, windows, border=border)

    def noise(self) -> torch.Tensor:
        """The noise of the first seed, (1, C, H, W), the same numbers as in the page."""
        shape = self.images.shape
        return torch.from_numpy(normal_noise(self.seed, shape[0] * shape[1] * shape[2])).reshape(1, *shape)

    def samples(self) -> list[torch.Tensor]:
        """What every lane makes of the noise: one (C, H, W) each."""
        noise = self.noise()
        return [elsedu.sample(self.denoiser(lane), noise, self.steps, self.label)[0] for lane in self.lanes]

    def _still(self) -> str:
        names = {"is": ("IS", "ideal"), "es": ("ES", "equivariant"), "ls": ("LS", "local"),
                 "els": ("ELS", "equivariant local"), "network": ("network", "trained")}  # fmt: skip
        pictures = [tile("noise", "noise", self.noise()[0] / 2.2, COLORS["data"], f"Noise of seed {self.seed}.")]
        for k, (lane, image) in enumerate(zip(self.lanes, self.samples())):
            short, long = names[lane["key"]]
            title = lane.get("title", short)
            pictures.append(tile(f"lane{k}", title, image.clamp(-1, 1), tone(short),
                                 f"What {title} makes of the noise of seed {self.seed}, drawn in {self.steps} steps.",
                                 "" if "title" in lane else long))  # fmt: skip
        return page.still_picture(pictures, NOTE)

    def _repr_html_(self) -> str:
        names = [one for one in self.sets if one not in self.own]
        return page.figure(self.spec, self._still(), names, self.networks(), self.own)


def identifier(*what) -> str:
    """A short name made from the content."""
    return "e" + hashlib.sha1(repr(what).encode()).hexdigest()[:10]
