"""Networks trained elsewhere: diffusers' UNet2DModel with its own noise schedule.

The theory is about networks that exist, so it must be possible to bring one. diffusers numbers its steps
k = 0, ..., 999; here t = (k + 1)/1000, so that t = 0 is the clean image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from elsedu._common.reading import parse_json, read_text
from elsedu.diffusion.schedule import LinearVP, Schedule, linear_vp
from elsedu.networks.base import Network

STEPS = 1000
SCHEDULERS = ("DDPMScheduler", "DDIMScheduler")
PREDICTIONS = ("epsilon", "sample", "v_prediction")


@dataclass(frozen=True)
class TabulatedVP(LinearVP):
    """A variance-preserving schedule given by alpha_bar at t = 1/1000, ..., 1; log-linear in between.

    Its name is made of the numbers' hash, so that two are equal if their numbers are.
    """

    table: tuple[float, ...] = field(default=(), compare=False, repr=False)

    # a table of its own in place of the one that all linear schedules share
    def _log_alpha_bar(self) -> torch.Tensor:  # type: ignore[override]
        return torch.tensor([0.0, *np.log(self.table)], dtype=torch.float64)


def tabulated(alpha_bar: npt.ArrayLike) -> Schedule:
    """The schedule with these 1,000 values of alpha_bar; `linear_vp()` itself if they are that one's."""
    values = np.asarray(alpha_bar, dtype=np.float64)
    if values.shape != (STEPS,) or not ((values > 0) & (values < 1)).all() or (np.diff(values) >= 0).any():
        raise ValueError(f"alpha_bar must be {STEPS} falling numbers between 0 and 1, got shape {values.shape}")
    known = linear_vp().alpha(torch.arange(1, STEPS + 1, dtype=torch.float64) / STEPS).square().numpy()
    if np.allclose(values, known, rtol=1e-3, atol=1e-7):  # diffusers computes its table in float32
        return linear_vp()
    digest = hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()[:12]
    return TabulatedVP(name=f"alpha_bar-{digest}", table=tuple(values.tolist()))


class DiffusersNetwork(Network):
    """A diffusers UNet2DModel as a denoiser; made by `from_diffusers`."""

    kind = "diffusers"

    model: Any  # a UNet2DModel of diffusers, which may not be installed

    def __init__(self, model: Any, schedule: Schedule, prediction: str, name: str) -> None:
        known = model.config
        if known.in_channels != known.out_channels:
            raise ValueError(
                f"{name} maps {known.in_channels} channels to {known.out_channels}: "
                "networks that also predict a variance are not served"
            )
        if prediction not in PREDICTIONS:
            raise ValueError(f"prediction type must be one of {PREDICTIONS}, got {prediction!r}")
        size = known.sample_size if isinstance(known.sample_size, (tuple, list)) else [known.sample_size] * 2
        self.stride = 2 ** (len(known.block_out_channels) - 1)
        # the padding is what all of diffusers' convolutions have
        super().__init__((known.in_channels, *size), "zero", known.num_class_embeds, "cosine", {"source": name})
        self.schedule = schedule
        self.config["schedule"] = schedule.name
        self.prediction = prediction
        self.model = model
        self.name = name

    def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """Noise (B, C, H, W) in x (B, C, H, W) at times t (B,), classes label (B,) or None; unchecked."""
        answer: torch.Tensor = self.model(x, (STEPS * t - 1).clamp(min=0), class_labels=label).sample
        if self.prediction == "epsilon":
            return answer
        if self.prediction == "sample":
            return self.schedule.noise_from_x0(x, answer, t)
        alpha, sigma = (level(t).to(x.dtype).view(-1, 1, 1, 1) for level in (self.schedule.alpha, self.schedule.sigma))
        return sigma * x + alpha * answer  # v = alpha eps - sigma x0


def from_diffusers(path_or_id: str, **options: Any) -> DiffusersNetwork:
    """Wrap a diffusers UNet2DModel, from a folder or, where the hub can be reached, by its name.

    The folder is a saved pipeline (`unet/` and `scheduler/` inside) or a saved model with a
    `scheduler_config.json` beside it or in `scheduler/`. The noise schedule is the scheduler's own.

    Args:
        path_or_id: The folder, or the name on the hub.
        **options: Passed to diffusers (local_files_only=True, say).

    Raises:
        ImportError: Without diffusers.
        OSError: If model or scheduler are not found.
        ValueError: For a schedule or prediction type that is not served.
    """
    try:
        from diffusers import DDPMScheduler, UNet2DModel
    except ImportError as error:
        raise ImportError("from_diffusers needs diffusers: pip install 'elsedu[pretrained]'") from error
    path = str(path_or_id)
    _check_kind(path)
    # the default needs the package accelerate and warns where it is not there
    model = _first(UNet2DModel, path, (None, "unet"), {"low_cpu_mem_usage": False, **options})
    config = _first(DDPMScheduler, path, ("scheduler", None), options, config_only=True)
    if config.get("num_train_timesteps", STEPS) != STEPS:
        raise ValueError(f"{path}: a schedule of {config['num_train_timesteps']} steps is not served, only {STEPS}")
    kind = config.get("_class_name", "DDPMScheduler")
    if kind not in SCHEDULERS:
        raise ValueError(f"{path}: noise of the kind {kind} is not served, only {' and '.join(SCHEDULERS)}")
    if config.get("rescale_betas_zero_snr"):
        raise ValueError(f"{path}: rescale_betas_zero_snr leaves no signal at t = 1, which the theory divides by")
    scheduler = DDPMScheduler.from_config(config)
    network = DiffusersNetwork(
        model,
        tabulated(scheduler.alphas_cumprod.double().numpy()),
        config.get("prediction_type", "epsilon"),
        path.rstrip("/").split("/")[-1],
    )
    network.provenance = {"source": "diffusers", "model": json.loads(model.to_json_string())}
    return network.eval()


def _check_kind(path: str) -> None:
    """ValueError where a saved pipeline says that it works on codes, with texts, or in another way than DDPM's."""
    index = Path(path) / "model_index.json"
    if not index.is_file():
        return
    try:
        parts = parse_json(read_text(index))
    except ValueError as error:
        raise ValueError(f"{index} is damaged or no JSON: {error}") from error
    parts = parts if isinstance(parts, dict) else {}
    for name in ("vae", "vqvae", "text_encoder", "transformer", "prior"):
        if name in parts:
            raise ValueError(
                f"{path} is a {parts.get('_class_name', 'pipeline')} with a part {name!r}: it draws codes "
                "(latents) or follows a text. The theory is about networks that see pixels: a DDPM or "
                "DDIM pipeline of a UNet2DModel"
            )
    model = parts.get("unet", [None, "UNet2DModel"])
    if not isinstance(model, list) or model[-1] != "UNet2DModel":
        raise ValueError(
            f"{path} holds a {model[-1] if isinstance(model, list) and model else model}, expected a "
            "UNet2DModel, which sees pixels and no text"
        )


def _first(
    kind: Any,  # a class of diffusers, which may not be installed
    path: str,
    folders: Iterable[str | None],
    options: dict[str, Any],
    config_only: bool = False,
) -> Any:
    """What `kind` loads from the first of the subfolders that holds it (None: the path itself)."""
    errors = []
    for folder in folders:
        arguments = options if folder is None else {**options, "subfolder": folder}
        try:
            return kind.load_config(path, **arguments) if config_only else kind.from_pretrained(path, **arguments)
        except OSError as error:
            errors.append(str(error).splitlines()[0])
    raise OSError(f"no {kind.__name__} in {path!r}: {'; '.join(errors)}")
