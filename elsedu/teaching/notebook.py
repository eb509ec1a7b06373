"""What the first cell of every chapter does: style, seed, device, minutes, and which images there are."""

import os
import sys

import torch

from elsedu.figures import use_style

__all__ = ["begin", "real_or"]


def begin(minutes: float) -> torch.device:
    """Prepare a chapter's notebook and say what to expect.

    Sets the house style of the figures, draws them sharp (two pixels a point), seeds torch with 0, and
    prints the device and the minutes that the whole chapter takes on it.

    Args:
        minutes: Minutes on a CPU with two cores, measured.

    Returns:
        CUDA where there is one, else the CPU.

    Raises:
        ValueError: If minutes is not positive.
    """
    if not minutes > 0:
        raise ValueError(f"minutes must be positive, got {minutes!r}")
    use_style()
    if "ipykernel" in sys.modules:
        _sharp_figures()
    torch.manual_seed(0)
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    name = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    print(f"Device: {name}. This chapter takes about {_in_words(minutes)} to run.")
    return device


def _sharp_figures():
    """Two pixels a point; in the built book (ELSEDU_BOOK=1) figures in two themes and two widths."""
    if os.environ.get("ELSEDU_BOOK") == "1":
        from IPython import get_ipython

        from elsedu.figures.page import show_on_pages

        show_on_pages(get_ipython())
    else:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


def real_or(name, instead, *, size=None, limit=None, limit_instead=None):
    """The real image set if its files are on this machine, else an embedded one; prints which it is.

    Nothing is downloaded. So a chapter runs at once everywhere, and on the paper's data where they are.

    Parameters
    ----------
    name : the set of the paper: "mnist", "fashion_mnist", "cifar10" or "celeba"
    instead : an embedded set, e.g. "photos32"
    size : of `elsedu.load`, for whichever it is
    limit, limit_instead : at most so many images of the one and of the other, drawn at random; None for all

    Returns
    -------
    ImageSet
    """
    from elsedu.data import SOURCES, here, load

    real = here(name)
    chosen = name if real else instead
    most = limit if real else limit_instead
    count = SOURCES[chosen].images
    data = load(chosen, size=size, limit=most if most is not None and most < count else None)
    if real:
        print(f"Images: {name}, {len(data):,} of them.")
    else:
        how = ("set ELSEDU_DATA to a folder with your copy" if name == "celeba"
               else f"`elsedu data fetch {name}` downloads it once, or set ELSEDU_DATA to a folder with it")
        print(f"Images: {instead}, {len(data):,} of them, because {name} is not on this machine ({how}).")
    return data


def _in_words(minutes):
    """1.5 -> '1.5 minutes', 0.4 -> '24 seconds'."""
    if minutes < 0.95:
        return f"{60 * minutes:.0f} seconds"
    return "1 minute" if round(minutes, 1) == 1 else f"{minutes:.2g} minutes"
