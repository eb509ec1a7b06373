"""Build of the optional C++ engine; everything else is in pyproject.toml.

How it is compiled is in elsedu/posterior/native/build.py. Without a compiler the installation goes on, and elsedu
computes in PyTorch until one is there (`python -m elsedu.posterior.native` says which it is, and why).
ELSEDU_NATIVE_BUILD=0 leaves the compilation out.
"""

import importlib.util
import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

FOLDER = "elsedu/posterior/native"


def build_module():
    """elsedu/posterior/native/build.py, without importing elsedu, whose requirements may not be there yet."""
    spec = importlib.util.spec_from_file_location("elsedu_build", Path(__file__).parent / FOLDER / "build.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = build_module()


class BuildLibrary(build_ext):
    """Make the shared library where setuptools expects an extension module."""

    def get_ext_filename(self, fullname):
        return str(Path(*fullname.split(".")[:-1], build.library_name()))

    def build_extension(self, ext):
        target = Path(self.get_ext_fullpath(ext.name)).absolute()
        target.parent.mkdir(parents=True, exist_ok=True)
        for outdated in target.parent.glob("engine-*"):
            if outdated != target:
                outdated.unlink()
        if os.environ.get("ELSEDU_NATIVE_BUILD") == "0":
            return
        said = []
        try:
            for compiler in build.compilers():
                try:
                    build.compile_library(target, compiler)
                    return
                except build.BuildError as error:
                    said.append(str(error))
        except build.BuildError as error:
            said.append(str(error))
        print(f"warning: elsedu is installed without its C++ engine: {'; '.join(said)}", file=sys.stderr)


class Wheel(bdist_wheel):
    """One wheel for every Python 3 of a platform; one for every platform if the library could not be built."""

    def get_tag(self):
        if not list(Path(self.bdist_dir).glob(f"{FOLDER}/engine-*")):
            return "py3", "none", "any"
        platform = super().get_tag()[2]
        if sys.platform == "darwin":  # not that of Python, which may be universal2
            platform = f"macosx_{build.MACOS.replace('.', '_')}_{build.machine()}"
        return "py3", "none", platform


setup(
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": Wheel},
    ext_modules=[Extension("elsedu.posterior.native.engine", [f"{FOLDER}/interface.cpp"], optional=True)],
)
