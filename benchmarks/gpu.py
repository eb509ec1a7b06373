"""How fast the posterior is on a GPU, and how far from what that very GPU can do.

    python benchmarks/gpu.py --json FILE                  score evaluations at N = 50,000 and the machine's limits
    python benchmarks/gpu.py --published CHECKOUT         the same beside the paper's public code (needs torchvision)
    python benchmarks/gpu.py --aim                        100 samples at the paper's settings, minutes on the clock
    python benchmarks/gpu.py --tiles                      the Triton kernel's tile sizes against each other
    python benchmarks/gpu.py --rehearse                   all of it at tiny sizes on the CPU

Runs take turns, so that a machine whose speed drifts is fair to all; medians of the repeats are reported, with
the least and the largest. The limits are probes of a second or so each: how many exponentials, multiply-adds and
bytes a second the machine does when it does nothing else. An evaluation's share of a limit says how much of
the time would be left if it did only that.

The images are smooth random fields: the time does not depend on what the images show.
"""

import argparse
import os
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import torch
from engine import smooth_images

import elsedu
from elsedu._common import records

AIMS = {"unconditional": 120.0, "class-conditional": 15.0}  # seconds for 100 CIFAR-10 samples on an H100
PATIENCE = 30.0  # seconds of repeats for each run
WINDOWS = (3, 5, 7, 9, 11, 13, 15, 17)


# -- the clock -------------------------------------------------------------------------------------------


def seconds(run, device):
    """One call, from an idle device to an idle device."""
    wait(device)
    start = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - start


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_turns(runs, repeats, device):
    """{name: {median, least, largest}} in seconds, or {name: {error}}.

    The first call of each, which may compile, does not count, unless it alone takes more than PATIENCE.
    """
    times, failed = {name: [] for name in runs}, {}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            if name in failed or sum(times[name]) > PATIENCE:
                continue
            try:
                spent = seconds(run, device)
            except Exception as error:  # out of memory, a kernel that does not compile: the others go on
                failed[name] = f"{type(error).__name__}: {str(error)[:200]}"
                continue
            if turn or spent > PATIENCE:
                times[name].append(spent)
    return {name: {"error": failed[name]} if name in failed else
            {"median": statistics.median(t), "least": min(t), "largest": max(t)} for name, t in times.items()}


# -- what the machine can do -----------------------------------------------------------------------------


def limits(device, repeats, size, side):
    """Measured: bytes, exponentials and multiply-adds a second. size: floats copied; side: of the matrices."""
    a, b = torch.rand(size, device=device), torch.empty(size, device=device)
    runs = {"copy": partial(b.copy_, a)}
    rounds, exponentials = 64, exponential_probe(a, b)
    runs["exp"] = partial(exponentials, rounds)
    for name, dtype, precision in products(device):
        left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        runs[name] = partial(product, left, right, precision)
    took = in_turns(runs, repeats, device)
    work = {"copy": 8 * size, "exp": rounds * size, "fma_fp32": side**3, "fma_tf32": side**3, "fma_fp16": side**3}
    names = {"copy": "bytes_per_second", "exp": "exp_per_second", **{n: f"{n}_per_second" for n in work if "fma" in n}}
    return {names[n]: work[n] / t["median"] if "median" in t else None for n, t in took.items()}


def products(device):
    """(name, dtype, float32 precision) of the matrix products to try."""
    tensor_cores = [("fma_tf32", torch.float32, "high"), ("fma_fp16", torch.float16, "highest")]
    return [("fma_fp32", torch.float32, "highest"), *(tensor_cores if device.type == "cuda" else [])]


def product(left, right, precision):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        return left @ right
    finally:
        torch.set_float32_matmul_precision(before)


def exponential_probe(source, target):
    """A callable(rounds) that takes 2^z of every number `rounds` times: in registers where Triton can be had."""
    if elsedu.posterior.backends()["triton"][0] and source.is_cuda:
        return exponential_kernel(source, target)
    piece = source[:min(len(source), 2**15)]  # stays in the cache
    out = torch.empty_like(piece)

    def repeat(rounds):
        for _ in range(rounds * (len(source) // len(piece))):
            torch.exp2(piece, out=out)

    return repeat


def exponential_kernel(source, target):
    import triton
    from probes import exponentials

    block = 1024

    def repeat(rounds):
        exponentials[(triton.cdiv(len(source), block),)](source, target, len(source), rounds, BLOCK=block)

    return repeat


# -- score evaluations -----------------------------------------------------------------------------------


def pairs(images, batch, height, width, window):
    """(patch, query pixel) pairs of the zero-border ELS (prop-pairs in book/part5/computing_fast)."""
    inside = [max(0, length - 2 * (window // 2)) for length in (height, width)]
    rows, columns = (n**2 + length - n for n, length in zip(inside, (height, width)))
    return images * batch * rows * columns


def work(backend, images, batch, shape, window):
    """Multiply-adds of the inner products and bytes of device memory, by what the backend does (a lower bound)."""
    channels, height, width = shape
    count, depth = pairs(images, batch, height, width, window), channels * window**2
    if backend == "triton":  # three half-precision products; patches are written and read once, two halves each
        depth = -(-depth // 32) * 32 if depth > 16 else 16
        patches = images * height * width
        return {"fma": 3 * depth * count, "limit": "fma_fp16_per_second", "bytes": 2 * 4 * depth * patches}
    # logits: written, read for the maximum, lowered, exponentiated in place, read for the sums
    return {"fma": (depth + 1) * count, "limit": "fma_fp32_per_second", "bytes": 7 * 4 * count}


def evaluations(options, device, can):
    """One score evaluation for every window and batch: seconds, pairs a second, share of each limit."""
    shape, schedule = (3, options.side, options.side), elsedu.schedule.cosine()
    images = smooth_images(options.images, *shape[:2]).to(device)
    generator, rows = torch.Generator().manual_seed(1), []
    for window in options.windows:
        last = {}  # backend: seconds for the batch before
        for batch in sorted(options.batches):
            eps = torch.randn(batch, *shape, generator=generator).to(device)
            x = schedule.add_noise(images[:batch], 0.5, eps)
            runs = {name: partial(elsedu.EquivariantLocalScore(images, window, backend=name).denoise, x, 0.5)
                    for name in options.backends if last.get(name, 0) < PATIENCE}
            if options.published and batch == 1:  # it takes one noisy image at a time
                runs["published"] = published(options.published, images, window, x, 0.5)
            count = pairs(len(images), batch, *shape[1:], window)
            print(f"P {window:2}  batch {batch:2}", end="", flush=True)
            for name, took in in_turns(runs, options.repeats, device).items():
                row = {"backend": name, "window": window, "batch": batch, "images": len(images), "pairs": count, **took}
                last[name] = took.get("median", PATIENCE)
                if "median" in took:
                    row |= shares(name, row, shape, can)
                    print(f"   {name} {took['median']:.3g} s, {row['pairs_per_second']:.2e} pairs/s", end="")
                else:
                    print(f"   {name}: {took['error']}", end="")
                rows.append(row)
            print(flush=True)
    return rows


def shares(name, row, shape, can):
    """Pairs a second, and the share of the machine's limits that this evaluation comes to."""
    per_second = row["pairs"] / row["median"]
    result = {"pairs_per_second": per_second}
    if name in ("triton", "torch"):
        does = work(name, row["images"], row["batch"], shape, row["window"])
        best = can.get(does["limit"]) or can["fma_fp32_per_second"]
        result["share"] = {"exp": per_second / can["exp_per_second"], "fma": does["fma"] / row["median"] / best,
                           "bytes": does["bytes"] / row["median"] / can["bytes_per_second"]}
    return result


def published(checkout, images, window, x, t):
    """The paper's zero-border machine, from a checkout of its public code, on the same images."""
    sys.path.insert(0, str(checkout))
    from utils.idealscore import LocalEquivBordersScoreModule

    labels = torch.zeros(len(images), dtype=torch.long)
    module = LocalEquivBordersScoreModule(torch.utils.data.TensorDataset(images.cpu(), labels), kernel_size=window,
                                          batch_size=64, image_size=x.shape[-1], channels=x.shape[1])
    return torch.no_grad()(partial(module, torch.tensor([t]).to(x.device), x, device=x.device))


# -- the aims --------------------------------------------------------------------------------------------


def aims(options, device):
    """100 samples at the paper's settings (20 steps, published windows): seconds, and whether the aim is met."""
    images = smooth_images(options.images, 3, options.side).to(device)
    labels = torch.arange(len(images)) % options.classes
    data = elsedu.ImageSet(images, labels.to(device))
    scales = elsedu.scales.published("cifar10-resnet-zero")
    if options.rehearse:
        scales = elsedu.ScaleSchedule([min(w, 5) for w in scales.windows])
    noise = torch.randn(options.seeds, 3, options.side, options.side, generator=torch.Generator().manual_seed(2))
    noise, result = noise.to(device), {}
    for kind, seconds_aimed in AIMS.items():
        label = torch.arange(options.seeds) % options.classes if kind == "class-conditional" else None
        machine = elsedu.EquivariantLocalScore(data, scales, backend=options.backends[0])
        first = seconds(lambda m=machine, k=label: elsedu.sample(m, noise[:1], steps=options.steps,
                                                                 label=None if k is None else k[:1]), device)
        took = seconds(lambda m=machine, k=label: elsedu.sample(m, noise, steps=options.steps, label=k), device)
        result[kind] = {"seconds": took, "aim": seconds_aimed, "met": took <= seconds_aimed, "samples": len(noise),
                        "images": len(images), "steps": options.steps, "backend": options.backends[0],
                        "first_sample": first}  # compiles the kernels where no earlier run has
        print(f"{kind}: {len(noise)} samples in {took:.1f} s (aim: {seconds_aimed:.0f} s); "
              f"one sample before, kernels compiled: {first:.1f} s", flush=True)
    return result


def tiles(options, device):
    """The kernel's tile sizes against each other: seconds for one evaluation each."""
    from elsedu.posterior.backends import attention_triton

    images = smooth_images(options.images, 3, options.side).to(device)
    sizes, rows = attention_triton.SIZES if device.type == "cuda" else attention_triton.INTERPRETER, []
    for window in options.windows:
        for batch in options.batches:
            x = torch.randn(batch, *images.shape[1:], generator=torch.Generator().manual_seed(1)).to(device)
            machine = elsedu.EquivariantLocalScore(images, window, backend="triton")

            def run(size, machine=machine, x=x):
                attention_triton._fitting[x.device] = (size,)
                machine.denoise(x, 0.5)

            runs = {" ".join(f"{k}={v}" for k, v in size.items()): partial(run, size) for size in sizes}
            took = in_turns(runs, options.repeats, device)
            attention_triton._fitting.pop(x.device, None)
            rows.append({"window": window, "batch": batch, "sizes": took})
            print(f"P {window:2}  batch {batch:2}", {n: t.get("median", t.get("error")) for n, t in took.items()},
                  flush=True)
    return rows


# -- the command -----------------------------------------------------------------------------------------


def machine(device):
    """What was measured on: names and versions."""
    versions = records.versions() | {"cuda": torch.version.cuda}
    try:
        import triton
        versions["triton"] = triton.__version__
    except ImportError:
        versions["triton"] = None
    return {"device": records.device_name(device), "processor": records.processor(), "versions": versions,
            "commit": records.commit(), "backends": elsedu.posterior.backends()}


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--published", type=Path, help="a checkout of the paper's public code, to be timed as well")
    parser.add_argument("--aim", action="store_true", help="measure the two aims only")
    parser.add_argument("--tiles", action="store_true", help="compare the kernel's tile sizes only")
    parser.add_argument("--rehearse", action="store_true", help="everything, at tiny sizes, on the CPU")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--windows", type=int, nargs="+", default=WINDOWS)
    parser.add_argument("--batches", type=int, nargs="+", default=(1, 4, 16, 64))
    parser.add_argument("--backends", nargs="+", default=("triton", "torch"))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    options.side, options.classes, options.seeds, options.steps = 32, 10, 100, 20
    if options.rehearse:
        os.environ["TRITON_INTERPRET"] = "1"  # before anything imports triton
        options.images, options.windows, options.batches, options.repeats = 4, (3, 5), (1, 2), 1
        options.side, options.classes, options.seeds, options.steps = 6, 2, 2, 2
    options.backends = [name for name in options.backends if elsedu.posterior.backends()[name][0]]
    return options


def main(arguments=None):
    options = parse(arguments)
    if not options.rehearse and not torch.cuda.is_available():
        sys.exit("no CUDA device here; --rehearse runs the whole script at tiny sizes on the CPU")
    device = torch.device("cpu" if options.rehearse else "cuda")
    torch.set_grad_enabled(False)
    record = {"machine": machine(device), "rehearsal": options.rehearse}
    print(record["machine"], flush=True)
    chosen = [name for name in ("aim", "tiles") if getattr(options, name)]
    parts = ("limits", "evaluations", "aim", "tiles") if options.rehearse else chosen or ("limits", "evaluations")
    if "limits" in parts:
        size, side = (2**16, 64) if options.rehearse else (2**28, 8192)
        record["limits"] = limits(device, options.repeats, size, side)
        print({name: f"{value:.3g}" if value else value for name, value in record["limits"].items()}, flush=True)
    if "evaluations" in parts:
        record["evaluations"] = evaluations(options, device, record["limits"])
    if "tiles" in parts and "triton" in options.backends:
        record["tiles"] = tiles(options, device)
    if "aim" in parts:
        record["aims"] = aims(options, device)
    if options.json:
        records.write_json(options.json, records.rounded(record))


if __name__ == "__main__":
    main()
