"""Are the kernels right on this device? The cases of tests/test_triton.py and larger ones, against float64."""

from __future__ import annotations

SMALL = [("els-zero", (3, 1, 7, 6, 2), 3), ("els-zero", (2, 3, 6, 7, 1), 5), ("els-zero", (2, 1, 5, 5, 1), 1),
         ("els-zero", (2, 1, 4, 4, 1), 9), ("els-circular", (3, 1, 5, 6, 2), 3), ("els-circular", (2, 3, 5, 5, 1), 5),
         ("els-interior", (3, 1, 6, 5, 1), 3), ("ls-zero", (3, 3, 5, 5, 1), 3), ("is", (3, 1, 4, 4, 1), 3)]
LARGE = [("els-zero", (40, 3, 32, 32, 5), 3), ("els-zero", (40, 3, 32, 32, 5), 9), ("els-zero", (40, 1, 32, 32, 9), 17),
         ("els-circular", (40, 1, 32, 32, 9), 7)]


def correctness(device, rehearse=False):
    """{case: largest error} of what "auto" chooses on the device; AssertionError names the case that is wrong.

    The error of posterior mean and evidence is at most twice that of the float32 PyTorch path. The truth is
    the formula as written, in float64 (small cases), or PyTorch in float64 (large ones).
    """
    import torch

    import elsedu

    report = {}
    cases = [(case, "definition") for case in SMALL] + [(case, "torch") for case in LARGE]
    for (name, (count, channels, height, width, batch), window), oracle in cases[:2] if rehearse else cases:
        generator = torch.Generator().manual_seed(count * height + window)
        images = torch.tanh(torch.randn(count, channels, height, width, generator=generator))
        data = elsedu.ImageSet(images, torch.arange(count) % 2)
        clean = images[torch.arange(batch) % count]
        noise = torch.randn(clean.shape, generator=generator)
        for t in (0.05, 0.6):
            x = elsedu.schedule.cosine().add_noise(clean, t, noise)
            for label in (None, 1):
                place = "cpu" if oracle == "definition" else device
                truth = _machine(name, data, window, oracle).posterior(x.double().to(place), t, label=label)
                own, plain = (_error(_machine(name, data, window, backend), x.to(device), t, label, truth)
                              for backend in ("auto", "torch"))
                case = f"{name} {count}x{channels}x{height}x{width} window {window} t {t} label {label}"
                assert own <= 2 * plain + 5e-6, f"{case}: error {own:.1e}, PyTorch's is {plain:.1e}"
                report[case] = own
    return report


def _error(machine, x, t, label, truth):
    found = machine.posterior(x, t, label=label, fields=("mean", "log_evidence"))
    mean = (found.mean.double().cpu() - truth.mean.double().cpu()).abs().max()
    evidence = (found.log_evidence.double().cpu() - truth.log_evidence.double().cpu()).abs().max()
    return max(float(mean), float(evidence) / 100)


def _machine(name, data, window, backend):
    import elsedu

    if name == "is":
        return elsedu.IdealScore(data, backend=backend)
    kind, border = name.split("-")
    make = elsedu.LocalScore if kind == "ls" else elsedu.EquivariantLocalScore
    options = {"dictionary": "interior"} if border == "interior" else {}
    return make(data, window, border="circular" if border == "interior" else border, backend=backend, **options)
