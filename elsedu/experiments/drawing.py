"""The same noise through everything: the images that a comparison compares (chapter "Prediction").

Seeds are worked off in batches of a fixed size. Each finished batch is a piece (`elsedu.experiments.store`), so a
killed run goes on where it was, and the numbers do not depend on the interruption.
"""

from __future__ import annotations

import time
from itertools import pairwise

import torch

from elsedu._common.progress import bar
from elsedu._common.records import device_of
from elsedu.diffusion import seeds
from elsedu.diffusion.sampling import sample, times
from elsedu.experiments.store import batches


@torch.no_grad()
def draw_with_variance(machine, noise, steps, label=None):
    """Sample with a machine and keep its own error map: (images, variance), both (B, C, H, W).

    variance: the posterior variance of the clean pixel, averaged over the steps: what the machine, before
    any network is asked, says about where it is unsure.
    """
    schedule, x, total = machine.schedule, noise, torch.zeros_like(noise)
    grid = times(steps)
    for t, s in pairwise(grid):
        post = machine.posterior(x, t, label=label, fields=("mean", "variance"))
        total += post.variance
        eps = schedule.noise_from_x0(x, post.mean, t)
        x = schedule.add_noise(post.mean, s, eps)
    return x, total / steps


def draw(pieces, jobs, index, batch, progress=True):
    """Work off the jobs batch by batch: {job: {key: tensor over all seeds}}.

    pieces: `ResultStore`. jobs: {name: function(seeds) -> {key: (b, ...) tensor}}, cheapest first.
    """
    plan = [(job, name, part) for job in jobs for name, part in batches(index, batch)]
    parts, seconds = {job: [] for job in jobs}, {}
    work = bar(total=len(plan), desc="drawing", unit="batch", leave=False, progress=progress)
    for k, (job, name, part) in enumerate(plan):
        work.set_postfix_str(job + _left(seconds, [later for later, _, _ in plan[k:]]))
        start = time.perf_counter()
        parts[job].append(pieces.get(f"{job}.{name}", lambda job=job, part=part: jobs[job](part)))
        seconds[job] = max(seconds.get(job, 0.0), time.perf_counter() - start)
        work.update()
    work.close()
    return {job: {key: torch.cat([p[key] for p in found]) for key in found[0]} for job, found in parts.items()}


def _left(seconds, later):
    """The time left, from the slowest batch of each job so far; jobs not met yet count as the mean of the others."""
    if not seconds:
        return ""
    mean = sum(seconds.values()) / len(seconds)
    return f", about {sum(seconds.get(job, mean) for job in later) / 60:.1f} min left"


def sampling_jobs(network, machines, shape, *, second=None, steps=20, network_steps=(20, 150), label=None,
                  device=None):
    """({name: function(seeds) -> {"images": (b, C, H, W)}}, start) for the network(s) and every machine.

    Names: "network-<steps>", "second-<steps>" and the machines' own. "els" also returns "variance".
    start(seeds) is (noise, labels). All run on `device`, by default where the network is.
    """
    device = device_of(network) if device is None else device

    def start(part):
        classes = network.classes if network.label_required else None
        labels = seeds.labels(part, classes) if label is None else torch.full((len(part),), label)
        if classes is None and label is None:
            labels = None
        return seeds.noise("test", part, shape).to(device), labels

    def plain(denoiser, count):
        def job(part):
            noise, labels = start(part)
            return {"images": sample(denoiser, noise, count, labels)}
        return job

    def recording(part):
        noise, labels = start(part)
        images, variance = draw_with_variance(machines["els"], noise, steps, labels)
        return {"images": images, "variance": variance}

    jobs = {}
    for count in network_steps:
        jobs[f"network-{count}"] = plain(network, count)
        if second is not None:
            jobs[f"second-{count}"] = plain(second, count)
    for name, machine in machines.items():
        jobs[name] = recording if name == "els" else plain(machine, steps)
    return jobs, start
