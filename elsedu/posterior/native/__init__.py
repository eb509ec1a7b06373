"""The C++ engine: its sources, how they become a shared library (`build`), and the library in use (`library`).

`python -m elsedu.posterior.native` says which engine computes here, and compiles the library if it is missing.
"""
