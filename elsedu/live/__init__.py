"""The machine in the reader's browser (chapter "Computing it fast"): exhibits for the book and for notebooks.

`Machine` puts denoisers side by side on one noise. Everything runs in the page, from the project's own C++ source
compiled to WebAssembly, on the GPU through WebGPU, or in plain JavaScript.
"""

from .exhibits import Machine

__all__ = ["Machine"]
