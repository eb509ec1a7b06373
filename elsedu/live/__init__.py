"""The machine in the reader's browser (chapter "Computing it fast"): exhibits for the book and for notebooks.

`Machine` puts denoisers side by side on one noise; `Inspector` shows the patches behind a pixel; `TwoPixels` and
`TwoImages` are the two smallest worlds; `Surgery` cuts and joins; `Bet` asks which picture is the network's.
Everything runs in the page, from the project's own C++ source compiled to WebAssembly, on the GPU through WebGPU,
or in plain JavaScript; nothing leaves it.
"""

from .bet import Bet
from .inspector import Inspector, unseen
from .machine import Machine
from .surgery import Surgery
from .two_images import TwoImages
from .two_pixels import TwoPixels

__all__ = ["Bet", "Inspector", "Machine", "Surgery", "TwoImages", "TwoPixels", "unseen"]
