"""The training loop: a generator of (step, loss) that can be killed and goes on exactly.

Under one seed, machine and thread count two runs give bitwise the same weights, whether or not one of
them was interrupted (on CUDA as far as its convolutions are deterministic).
"""

from __future__ import annotations

import contextlib
import math
import time
import weakref
from pathlib import Path

import torch
from tqdm.auto import tqdm

from elsedu._common.checks import broadcast_time
from elsedu._common.lock import one_writer
from elsedu._common.progress import progress_wanted
from elsedu.training import checkpoint as checkpoints
from elsedu.training.batches import Order, draw_times
from elsedu.training.settings import Settings


def noise_prediction_loss(network, x0, t, eps, label=None) -> torch.Tensor:
    """Mean over everything of (eps - network(alpha x0 + sigma eps, t))^2, a scalar.

    x0, eps (B, C, H, W), t (B,) in [0, 1], unchecked (a check would make a GPU wait), label (B,) or None.
    """
    alpha, sigma = (broadcast_time(level(t), x0) for level in (network.schedule.alpha, network.schedule.sigma))
    x = alpha * x0 + sigma * eps
    return torch.mean((network(x, t.to(x.dtype), label).float() - eps) ** 2)


def train(network, data, settings: Settings | None = None, *, checkpoint=None, every: float = 60.0,
          minutes: float | None = None, device=None, progress: bool | None = None, **options):
    """Train `network` on `data` in place, yielding (step, loss) after each step, step = 1, 2, ...

    (On CUDA the loss is the last one that was fetched, of up to 25 steps before.)

    Parameters
    ----------
    network : Network, trained in place (moved to `device` first)
    data : ImageSet with the network's (C, H, W); labels are used if the network is class-conditional
    settings : Settings, or None to make them of `options` (steps=, batch=, lr=, ...)
    checkpoint : folder for checkpoints, or None for none. If it holds one of the same run, training goes
        on from there; at the end it holds the finished run. One of another run raises ValueError.
    every : seconds between checkpoints; one more is written when training ends or is stopped
    minutes : stop after this much wall-clock time of this call, wherever training is; a later call with
        the same checkpoint goes on
    device : where to train (default: where the network is)
    progress : show a tqdm bar (default: unless ELSEDU_PROGRESS=0)

    Raises
    ------
    ValueError : data or settings that do not fit the network, a checkpoint of another run or a damaged one
    FloatingPointError : the loss is not finite; the last checkpoint stays
    OSError : the checkpoint folder cannot be written, or another process writes to it (raised before the first step)

    After the last step `network.training_record` is a dict: steps, losses (list, one a step), wall and
    CPU minutes summed over all calls.
    """
    if settings is None:
        settings = Settings(**options)
    elif options:
        raise TypeError(f"give settings or options, not both: got both settings and {sorted(options)}")
    _check(network, data, settings)
    return _Run(network, data, settings, checkpoint, every, device).steps(minutes, progress)


def _check(network, data, settings):
    if len(data) == 0:
        raise ValueError("data is empty")
    if tuple(data.images.shape[1:]) != tuple(network.image_shape):
        raise ValueError(f"the network is for images of shape {tuple(network.image_shape)}, "
                         f"data has {tuple(data.images.shape[1:])}")
    if network.label_required:
        if data.labels is None:
            raise ValueError("the network is class-conditional, data has no labels")
        low, high = int(data.labels.min()), int(data.labels.max())
        if low < 0 or high > network.classes[-1]:
            raise ValueError(f"the network knows the classes 0 to {network.classes[-1]}, data has {low} to {high}")


TOGETHER = 25  # steps whose losses a GPU hands over together


class _Run:
    """State of one training run: what a checkpoint stores and restores."""

    def __init__(self, network, data, settings, folder, every, device):
        self.network, self.settings, self.every = network, settings, every
        self.folder = None if folder is None else Path(folder)
        self.device = torch.device(device) if device is not None else next(network.parameters()).device
        network.to(self.device)
        if self.device.type in ("cpu", "cuda"):
            # a few per cent faster on a CPU, and what tensor cores want; part of "the same run", since the
            # order of sums depends on it
            network.to(memory_format=torch.channels_last)
        # a GPU is asked for its losses now and then only: each answer makes it wait
        self.together = TOGETHER if self.device.type == "cuda" else 1
        self.images = data.images.to(self.device)
        self.labels = data.labels.to(self.device) if network.label_required else None
        self.order = Order(len(data), settings.batch, settings.seed, self.device)
        self.generator = torch.Generator(self.device).manual_seed(settings.seed)
        self.optimiser = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=0.0,
                                           fused=True if self.device.type == "cuda" else None)
        self.names = {parameter: name for name, parameter in network.named_parameters()}
        self.ema = None
        if settings.ema is not None:
            self.ema = {name: p.detach().clone() for name, p in network.named_parameters()}
        self.step, self.losses, self.unread, self.wall, self.cpu = 0, [], [], 0.0, 0.0
        self.identity = {"config": network.config, "data": data.hash, "images": len(data)}
        self.autocast = settings.precision == "bfloat16" or (
            settings.precision == "auto" and self.device.type == "cuda")
        self.held = contextlib.ExitStack()
        if self.folder is not None:
            self.held.enter_context(one_writer(self.folder))
            weakref.finalize(self, self.held.close)  # for a run whose steps nobody takes
            try:
                self._resume()
            except BaseException:
                self.held.close()
                raise

    # -- checkpoints ---------------------------------------------------------------------------------

    def _resume(self):
        found = checkpoints.load(self.folder)
        if found is None:
            self.save()  # shows at once whether the folder can be written
            return
        header = found.header
        for key, value in self.identity.items():
            if header[key] != value:
                raise ValueError(f"the checkpoint in {self.folder} is of another run: its {key} is "
                                 f"{header[key]!r}, here it is {value!r}. Use another folder")
        try:
            before = Settings(**header["settings"])
        except (TypeError, ValueError) as error:
            raise ValueError(f"the checkpoint in {self.folder} has settings that are none: {error}") from error
        if not self.settings.continues(before, header["step"]):
            raise ValueError(f"the checkpoint in {self.folder} was made with other settings: {before}, "
                             f"here {self.settings}. Use another folder")
        tensors = found.tensors
        for parameter, name in self.names.items():
            for key in (f"weight/{name}", *([] if self.ema is None else [f"ema/{name}"])):
                if key not in tensors or tensors[key].shape != parameter.shape:
                    raise ValueError(f"the checkpoint in {self.folder} is damaged: it holds no {key} of shape "
                                     f"{tuple(parameter.shape)}; move it away to start again")
        with torch.no_grad():
            for parameter, name in self.names.items():
                parameter.copy_(tensors[f"weight/{name}"])
                prefix = f"optimiser/{name}/"
                state = {key[len(prefix):]: value for key, value in tensors.items() if key.startswith(prefix)}
                if state:
                    self.optimiser.state[parameter] = {
                        key: self._counter(value) if key == "step" else torch.empty_like(parameter).copy_(value)
                        for key, value in state.items()}
                if self.ema is not None:
                    self.ema[name].copy_(tensors[f"ema/{name}"])
        self.generator.set_state(tensors["generator"])
        self.losses = tensors["losses"].tolist()
        self.step, self.wall, self.cpu = header["step"], header["wall"], header["cpu"]

    def _counter(self, step):
        """The optimiser's own count of its steps: a fused one keeps it on the device."""
        return step.to(self.device) if self.device.type == "cuda" else step.clone()

    def save(self):
        self.read_losses()
        if self.folder is None:
            return
        tensors = {"generator": self.generator.get_state(),
                   "losses": torch.tensor(self.losses, dtype=torch.float64)}
        for parameter, name in self.names.items():
            tensors[f"weight/{name}"] = parameter
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"optimiser/{name}/{key}"] = value
            if self.ema is not None:
                tensors[f"ema/{name}"] = self.ema[name]
        header = {**self.identity, "settings": self.settings.as_dict(), "step": self.step,
                  "wall": self.wall, "cpu": self.cpu}
        checkpoints.save(self.folder, checkpoints.Checkpoint(tensors, header))

    # -- the loop ------------------------------------------------------------------------------------

    def read_losses(self):
        """Fetch the losses of the last steps. FloatingPointError if one is not finite: nothing is saved then."""
        if not self.unread:
            return
        values = torch.stack(self.unread).tolist()
        self.unread = []
        for value in values:
            if not math.isfinite(value):
                kept = "" if self.folder is None else f"; the last checkpoint in {self.folder} is kept"
                raise FloatingPointError(f"the loss is {value} at step {len(self.losses) + 1}: training stopped{kept}."
                                         f" A smaller lr than {self.settings.lr} may help")
            self.losses.append(value)

    def _advance(self):
        """One optimiser step."""
        settings = self.settings
        index = self.order(self.step).to(self.device)
        x0 = self.images[index]
        label = None if self.labels is None else self.labels[index]
        t = draw_times(settings.batch, self.generator, settings.stratified)
        eps = torch.randn(x0.shape, generator=self.generator, device=self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            loss = noise_prediction_loss(self.network, x0, t, eps, label)
        self.unread.append(loss.detach())
        if len(self.unread) >= self.together:
            self.read_losses()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate(self.step)
        self.optimiser.step()
        if self.ema is not None:
            with torch.no_grad():
                for parameter, name in self.names.items():
                    self.ema[name].lerp_(parameter, 1 - settings.ema)
        self.step += 1

    def steps(self, minutes, progress):
        if progress is None:
            progress = progress_wanted()
        started = saved = tick = time.monotonic()
        busy = time.process_time()
        self.network.train()
        intact = True
        bar = tqdm(total=self.settings.steps, initial=self.step, disable=not progress, unit="step",
                   desc="training")
        try:
            while self.step < self.settings.steps:
                if minutes is not None and tick - started > 60 * minutes:
                    break
                intact = False
                # cuDNN's fastest sums come in no fixed order
                with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
                    self._advance()
                intact = True
                now, cpu = time.monotonic(), time.process_time()
                self.wall, self.cpu = self.wall + now - tick, self.cpu + cpu - busy
                tick, busy = now, cpu
                if now - saved > self.every:
                    intact = False
                    self.save()
                    intact, saved = True, now
                bar.update()
                if self.losses:
                    bar.set_postfix(loss=f"{sum(self.losses[-100:]) / len(self.losses[-100:]):.4f}", refresh=False)
                yield self.step, self.losses[-1] if self.losses else math.nan
                tick, busy = time.monotonic(), time.process_time()  # the caller's own work does not count
        finally:
            bar.close()
            with self.held:
                if intact:
                    self.save()
            self.network.eval()
            self.network.training_record = {
                "steps": self.step, "finished": self.step >= self.settings.steps, "losses": self.losses,
                "wall_minutes": self.wall / 60, "cpu_minutes": self.cpu / 60}
            if self.ema is not None and self.step >= self.settings.steps:
                with torch.no_grad():
                    for parameter, name in self.names.items():
                        parameter.copy_(self.ema[name])
