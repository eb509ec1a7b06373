"""What lies in elsedu/live/dist is what the sources give, byte for byte."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import build_live

DIST = build_live.LIVE / "dist"
node = pytest.mark.skipif(not build_live.tools(), reason="no node tools: run `npm ci` in elsedu/live")


@pytest.mark.slow
def test_the_wasm_module_is_the_kernel(tmp_path):
    try:
        version = importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("no compiler: pip install -c constraints.txt ziglang")
    if version != build_live.ZIG:
        pytest.skip(f"ziglang {version} is installed; the module was built with {build_live.ZIG}")
    build_live.wasm(tmp_path / "shift.wasm")
    assert (tmp_path / "shift.wasm").read_bytes() == (DIST / "shift.wasm").read_bytes(), (
        "the C++ sources changed: run `python scripts/build_live.py`"
    )


@node
def test_the_scripts_are_the_modules(tmp_path):
    build_live.scripts(tmp_path)
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert built
    for name, content in built.items():
        assert content == (DIST / name).read_bytes(), f"{name} is old: run `python scripts/build_live.py scripts`"


@node
def test_types():
    build_live.check_types()


def test_the_compiler_is_the_pinned_one():
    pins = (build_live.ROOT / "constraints.txt").read_text().split()
    assert f"ziglang=={build_live.ZIG}" in pins


def test_the_lock_names_no_registry():
    lock = (build_live.LIVE / "package-lock.json").read_text()
    assert "integrity" in lock and "resolved" not in lock and "http" not in lock
