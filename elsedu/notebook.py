"""What the first cell of every chapter does: style, seed, device and the minutes to expect."""

import sys

import torch

from .figures import use_style

__all__ = ["begin"]


def begin(minutes: float, gpu_minutes: float | None = None) -> torch.device:
    """Prepare a chapter's notebook and say what to expect.

    Sets the house style of the figures, draws them sharp (two pixels a point), seeds torch with 0, and
    prints the device and the minutes that the whole chapter takes on it.

    Parameters
    ----------
    minutes : float
        Minutes on a CPU with two cores, measured.
    gpu_minutes : float, optional
        Minutes on a GPU; only given where they were measured.

    Returns
    -------
    torch.device
        CUDA where there is one, else the CPU.
    """
    if not minutes > 0:
        raise ValueError(f"minutes must be positive, got {minutes!r}")
    use_style()
    if "ipykernel" in sys.modules:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")
    torch.manual_seed(0)
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    name = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    expected = gpu_minutes if cuda and gpu_minutes else minutes
    print(f"Device: {name}. This chapter takes about {_in_words(expected)} to run.")
    return device


def _in_words(minutes):
    """1.5 -> '1.5 minutes', 0.4 -> '24 seconds'."""
    if minutes < 0.95:
        return f"{60 * minutes:.0f} seconds"
    return "1 minute" if round(minutes, 1) == 1 else f"{minutes:.2g} minutes"
