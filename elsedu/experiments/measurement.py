"""From images to the numbers of the tables (chapter "Prediction").

Everything here is arithmetic on finished pieces: it can be repeated without drawing again, and it gives
the same bytes each time. Nothing but numbers (and their names) goes into the `measured` block.
"""

from __future__ import annotations

import numpy as np

from elsedu._common.records import rounded
from elsedu.analysis import metrics, statistics
from elsedu.analysis.teacher_forcing import EDGES, rank_correlation
from elsedu.data.pixels import to_bytes
from elsedu.machines.lineup import LINEUP

LINEAR = tuple(entry.name for entry in LINEUP.values() if entry.linear)
METRICS = ("pearson_r", "squared_pearson", "determination")


def measure(images, data, forced, times, truth=None):
    """The `measured` block.

    images: {"network-150": {"images": (S, C, H, W)}, ..., "els": {"images", "variance"}, ...}
    data: the ImageSet. forced: what `teacher_forced` returned over all seeds, at `times` (rising).
    truth: what `held_out` returned, or None.
    """
    pictures = {name: found["images"] for name, found in images.items()}
    counts = sorted(int(name.split("-")[1]) for name in pictures if name.startswith("network-"))
    predictors = [name for name in pictures if "-" not in name]
    block = {"seeds": len(pictures[f"network-{counts[0]}"]), "agreement": {}, "per_seed": {}}
    nearest = {name: metrics.nearest(data.images, pictures[name]) for name in pictures if name not in LINEAR}
    for count in counts:
        target = pictures[f"network-{count}"]
        others = {name: pictures[name] for name in predictors}
        if f"second-{count}" in pictures:
            others["ceiling"] = pictures[f"second-{count}"]
        others["nearest"] = data.images[nearest[f"network-{count}"][0]]
        values = {name: metrics.summary(other, target) for name, other in others.items()}
        block["agreement"][str(count)] = {
            name: {metric: statistics.median(found[metric]) for metric in METRICS}
            | ({} if name == "is" or "is" not in values else
               {"above_is": statistics.above(found["pearson_r"], values["is"]["pearson_r"])})
            for name, found in values.items()}
        block["per_seed"][str(count)] = {
            name: {metric: rounded(found[metric]) for metric in ("pearson_r", "determination")}
            for name, found in values.items()}
    block["margin"] = margins(block["per_seed"])
    if len(counts) > 1:
        first, last = (pictures[f"network-{count}"] for count in (counts[0], counts[-1]))
        block["steps_agree"] = statistics.median(metrics.pearson_r(first, last))
    block["nearest_distance"] = {
        name: statistics.median(distance / np.sqrt(data.images[0].numel())) for name, (_, distance) in nearest.items()}
    block["nearest_index"] = {name: index.tolist() for name, (index, _) in nearest.items()
                              if name in (f"network-{counts[-1]}", "els", "ls")}
    block["anchoring"] = {name: anchoring(drawn) for name, drawn in [*pictures.items(), ("data", data.images)]}
    block["forced"] = {"t": times} | {
        key.removeprefix("r."): _over_time(value) for key, value in forced.items() if key.startswith("r.")}
    block["error_map"] = error_map(images, forced, times, counts[-1], data, truth)
    return rounded(block)


def margins(per_seed):
    """By how much ELS is above every other predictor in r, seed by seed.

    per_seed: the block of that name. {steps: {predictor: `statistics.paired`}}; {} without ELS.
    """
    return {steps: {name: statistics.paired(found["els"]["pearson_r"], other["pearson_r"])
                    for name, other in found.items() if name not in ("els", "nearest")}
            for steps, found in per_seed.items() if "els" in found}


def anchoring(images):
    """Share of the pixels' variance that their position explains, a float in [0, 1].

    images: (S, C, H, W). Variance over pixels of the mean image, over the variance of all pixels of all
    images. Where nothing anchors an image to the frame (circular padding) the mean image is flat and the
    share is near 0 (about 1/S by chance); digits that stand in the middle give a large one.
    """
    wide = images.double()
    spread = wide.var(unbiased=False)
    return float(wide.mean(0).var(unbiased=False) / spread) if spread > 0 else float("nan")


def _over_time(values):
    """{"median", "low", "high"}: lists over rising t, from (S, n) in falling t."""
    records = [statistics.median(column) for column in values.flip(1).T.numpy()]
    return {key: [record[key] for record in records] for key in ("median", "low", "high")}


def error_map(images, forced, times, count, data, truth):
    """Does the machine know where it is wrong? Rank correlations of predicted and actual errors over pixels.

    "final": of the variance along the machine's own reverse process with the squared difference between
    its sample and the network's; "final_baseline": the same with the variance of each pixel over the
    training images, a map that knows nothing of the sample. "network" and "held_out": at each time, against
    the network's denoised image and against the truth. The "reliability" curve pools the times up to 0.75:
    nearer to t = 1 a network's clean image is its predicted noise's error divided by a vanishing alpha.
    """
    found = {}
    if "els" in images and "variance" in images["els"]:
        els = images["els"]
        error = (els["images"] - images[f"network-{count}"]["images"]).square()
        trivial = data.images.var(0, unbiased=False)[None].expand_as(error)
        found["final"] = statistics.median(rank_correlation(els["variance"], error))
        found["final_baseline"] = statistics.median(rank_correlation(trivial, error))
        found["final_above_baseline"] = statistics.above(rank_correlation(els["variance"], error),
                                                         rank_correlation(trivial, error))
    for name, record in (("network", forced), ("held_out", truth)):
        if record is None or "rank" not in record:
            continue
        bins = record["bins"].sum(0).flip(0)                                # (n, K, 3), t rising
        calm = [k for k, t in enumerate(times) if t <= 0.75]
        found[name] = {
            "t": times, "rank": _over_time(record["rank"]),
            "variance": record["variance"].mean(0).flip(0), "error": record["error"].mean(0).flip(0),
            "reliability": _curve(bins[calm].sum(0)),
        }
    return found


def _curve(bins):
    """Mean variance and mean squared error of each bin of predicted variance, empty bins left out."""
    count, variance, error = bins.T
    some = count >= 20
    return {"pixels": [int(c) for c in count[some]], "variance": variance[some] / count[some],
            "error": error[some] / count[some]}


__all__ = ["EDGES", "METRICS", "anchoring", "error_map", "margins", "measure", "to_bytes"]
