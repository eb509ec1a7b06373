"""Build of the optional C++ engine; everything else is in pyproject.toml.

One source, elsedu/posterior/native/shift.cpp, is compiled once for each instruction set; the extension
chooses at run time, so a wheel built on one machine runs on another. Without a compiler the installation
goes on, and elsedu uses PyTorch instead (`elsedu.posterior.backends()` says so).
"""

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = "elsedu/posterior/native"
COMMON = ["-O3", "-std=c++17", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
X86 = {
    "avx512": ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"],
    "avx2": ["-mavx2", "-mfma"],
}


class BuildKernel(build_ext):
    """Compile the kernel for every instruction set of this processor family, then the module that chooses."""

    def build_extension(self, ext):
        variants = {"base": []} | (X86 if platform.machine().lower() in ("x86_64", "amd64") else {})
        for isa, flags in variants.items():
            ext.extra_objects += self.compiler.compile(
                [f"{HERE}/shift.cpp"], output_dir=str(Path(self.build_temp) / isa), include_dirs=[HERE],
                macros=[("ELSEDU_ISA", isa)], extra_postargs=[*COMMON, *flags],
            )
            ext.define_macros.append((f"ELSEDU_HAS_{isa.upper()}", "1"))
        super().build_extension(ext)


setup(
    cmdclass={"build_ext": BuildKernel},
    ext_modules=[
        Extension(
            "elsedu.posterior._shift", [f"{HERE}/module.cpp"], include_dirs=[HERE], optional=True,
            extra_compile_args=["-O2", "-std=c++17"], extra_link_args=["-pthread"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")], py_limited_api=True,
            depends=[f"{HERE}/{name}" for name in ("shift.cpp", "shift.hpp", "simd.hpp")],
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
