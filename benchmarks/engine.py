"""How long one score evaluation takes: each backend, and the usual way, on this machine.

    python benchmarks/engine.py [--quick] [--threads 2] [--json FILE] [--against FILE.py:FUNCTION]

The two backends that a CPU has are held against each other and against "the usual way", which unfolds patches and
computes all inner products with conv2d, then a softmax: what one writes first. The torch backend, which serves where
there is no C++ engine, must never be slower than that. --against adds an implementation of your own,
FUNCTION(images, x, alpha, sigma, window) -> denoised, for the zero-border ELS. Runs are interleaved, so that a machine
whose speed drifts is fair to all; times are the best of the repeats, and ratios are the ones to quote.
"""

import argparse
import importlib.util
import json
import platform
import resource
import time
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

import elsedu


def smooth_images(count, channels, side, seed=0):
    """Random fields whose neighbouring pixels resemble each other, in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, channels, side // 4, side // 4, generator=generator)
    fine = torch.randn(count, channels, side, side, generator=generator)
    return torch.tanh(F.interpolate(coarse, size=(side, side), mode="bilinear") * 1.5 + 0.2 * fine)


def usual_way(images, x, alpha, sigma, window):
    """The inside pixels of the zero-border ELS with one convolution whose filters are all patches."""
    channels, radius = images.shape[1], window // 2
    patches = F.unfold(images, window).transpose(1, 2).reshape(-1, channels, window, window)
    ones = torch.ones(1, channels, window, window)
    dots, own = F.conv2d(x, patches), F.conv2d(x**2, ones)
    distance = own - 2 * alpha * dots + alpha**2 * patches.square().sum((1, 2, 3)).view(1, -1, 1, 1)
    weight = torch.softmax(-distance / (2 * sigma**2), 1)
    return torch.einsum("bnhw,nc->bchw", weight, patches[:, :, radius, radius])


def best_of(runs, repeats):
    """{name: best seconds} of callables that take turns."""
    for run in runs.values():
        run()
    times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: min(values) for name, values in times.items()}


def contenders(names, outside, images, x, t, alpha, sigma, window):
    """{name: one evaluation as a callable}."""
    runs = {n: partial(elsedu.EquivariantLocalScore(images, window, backend=n).denoise, x, t) for n in names}
    runs["usual"] = partial(usual_way, images, x, alpha, sigma, window)
    if outside:
        runs["against"] = partial(outside, images, x, alpha, sigma, window)
    return runs


def grid(options, outside):
    """One evaluation over 64 images of 32 x 32, for colours, windows and times."""
    schedule, rows = elsedu.schedule.cosine(), []
    names = [n for n in ("native", "torch") if elsedu.posterior.backends()[n][0]]
    print("milliseconds for one evaluation over 64 images of 32 x 32; in brackets: times faster than the usual way")
    for channels in (1, 3):
        images = smooth_images(64, channels, 32)
        for window in (3, 7, 11, 17):
            for t in ((0.5,) if options.quick else (0.05, 0.5, 0.95)):
                eps = torch.randn(1, channels, 32, 32, generator=torch.Generator().manual_seed(1))
                x = schedule.add_noise(images[:1], t, eps)
                alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
                runs = contenders(names, outside, images, x, t, alpha, sigma, window)
                seconds = best_of(runs, options.repeats)
                base = seconds.get("against", seconds["usual"])
                rows.append({"channels": channels, "window": window, "t": t, **seconds})
                print(f"channels {channels}  P {window:2}  t {t:<4}  " + "  ".join(
                    f"{name} {1e3 * s:7.1f} ({base / s:5.1f})" for name, s in seconds.items()))
    for name in [n for n in names if rows]:
        ratios = torch.tensor([r.get("against", r["usual"]) / r[name] for r in rows]).double()
        print(f"{name}: least {ratios.min():.1f}, geometric mean {ratios.log().mean().exp():.1f} times faster")
    return rows


def extras(options):
    """One pass for several windows, batches, linearity in the number of images, memory."""
    result = {}
    sides = [3, 5, 7, 9, 11, 13, 15]
    for channels, side in ((3, 32), (1, 16)):
        images = smooth_images(64 if side == 32 else 256, channels, side)
        x = torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(1))
        machines = {w: elsedu.EquivariantLocalScore(images, w) for w in sides}
        seconds = best_of({
            "one": lambda m=machines, x=x: m[3].posterior(x, 0.5, windows=sides, fields=("mean",)),
            "separate": lambda m=machines, x=x: [m[w].denoise(x, 0.5) for w in sides],
        }, options.repeats)
        result[f"one pass / separate, {channels}x{side}x{side}"] = seconds["one"] / seconds["separate"]
    images = smooth_images(64, 3, 32)
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    m = elsedu.EquivariantLocalScore(images, 7)
    seconds = best_of({"eight": lambda: m.denoise(x, 0.5), "one": lambda: m.denoise(x[:1], 0.5)}, options.repeats)
    result["batch of 8 / one call"] = seconds["eight"] / seconds["one"]
    if not options.quick:
        result |= pure_noise(options, sides)
        many = smooth_images(5000, 1, 16)
        large, small = elsedu.EquivariantLocalScore(many, 5), elsedu.EquivariantLocalScore(many[:2500], 5)
        y = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
        small.denoise(y, 0.5)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        large.denoise(y, 0.5)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = best_of({"5000": lambda: large.denoise(y, 0.5), "2500": lambda: small.denoise(y, 0.5)}, 5)
        result["5,000 images / 2,500"] = seconds["5000"] / seconds["2500"]
        result["peak memory added by the larger call, MiB"] = (after - before) / 1024
    for name, value in result.items():
        print(f"{name}: {value:.2f}")
    return result


def pure_noise(options, sides):
    """What is hardest to share: thousands of digits and a query of pure noise, to which most of their patches count.

    Nearly all the time goes into weights then, and no two windows and no two queries have one in common.
    """
    digits, result = elsedu.load("mnist5k", size=16), {}
    x = torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    machines = {w: elsedu.EquivariantLocalScore(digits, w) for w in sides}
    seconds = best_of({
        "one pass": lambda: machines[3].posterior(x[:1], 0.5, windows=sides, fields=("mean",)),
        "separate": lambda: [machines[w].denoise(x[:1], 0.5) for w in sides],
        "eight": lambda: machines[7].denoise(x, 0.5),
        "one": lambda: machines[7].denoise(x[:1], 0.5),
    }, options.repeats)
    result["one pass / separate, 5,000 digits and noise"] = seconds["one pass"] / seconds["separate"]
    result["batch of 8 / one call, 5,000 digits and noise"] = seconds["eight"] / seconds["one"]
    result["milliseconds of one call, 5,000 digits and noise, P = 7"] = 1e3 * seconds["one"]
    return result


def load(reference):
    """FILE.py:FUNCTION as a callable."""
    path, _, name = reference.rpartition(":")
    spec = importlib.util.spec_from_file_location("against", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one time only, no large sets")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--against", help="FILE.py:FUNCTION to compare with")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = {"processor": platform.processor() or platform.machine(), "threads": options.threads,
               "torch": torch.__version__, "backends": elsedu.posterior.backends()}
    print(machine)
    with torch.no_grad():
        record = {"machine": machine, "grid": grid(options, load(options.against) if options.against else None),
                  "extras": extras(options)}
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
