"""One line that says which engine computes on the CPU here: `python -m elsedu.posterior.native`.

The library is compiled if it is missing, also with a compiler that has failed before.
"""

from elsedu.posterior.backends import native
from elsedu.posterior.native import library
from elsedu.posterior.native.build import BuildError


def line() -> str:
    """ "engine: C++ avx512", or "engine: PyTorch (slow: why; what mends it)"."""
    try:
        library.load(again=True)
        return f"engine: C++ {native.instruction_set()}"
    except (BuildError, ValueError) as error:
        return f"engine: PyTorch (slow: {error})"


if __name__ == "__main__":
    print(line())
