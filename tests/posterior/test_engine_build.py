"""The engine's library: compiled without Python headers when it is needed, found again, refused when it is wrong.

Each test has its own copy of the sources and its own cache, so that the library in use is never touched.
"""

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import needs

from elsedu.posterior.native import build, library
from elsedu.posterior.native.build import BuildError, Compiler

ROOT = Path(__file__).parents[2]
FIRST_LINES = (
    "import elsedu, torch\n"
    "m = elsedu.LocalScore(torch.zeros(2, 1, 4, 4), 3)\n"
    "assert m.denoise(torch.zeros(1, 1, 4, 4), 0.5).shape == (1, 1, 4, 4)\n"
    "print(elsedu.posterior.backends()['native'])\n"
)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The sources in a folder that looks like a checkout, an empty cache, nothing loaded and nothing failed yet."""
    sources = tmp_path / "checkout/elsedu/posterior/native"
    sources.mkdir(parents=True)
    (tmp_path / "checkout/pyproject.toml").touch()
    for name in build.SOURCES:
        shutil.copy(build.HERE / name, sources)
    shutil.copy(build.__file__, sources)
    monkeypatch.setattr(build, "HERE", sources)
    monkeypatch.setattr(build, "COMMON", ("-O0", *build.COMMON[1:]))  # compiled in a third of the time
    monkeypatch.setattr(library, "_loaded", None)
    monkeypatch.setattr(library, "_failures", {})
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ELSEDU_NATIVE_BUILD", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    return sources


@pytest.fixture
def shell_compiler(tmp_path, monkeypatch):
    """A function that makes `c++` a shell script, which notes each call, and the only compiler."""
    calls = tmp_path / "calls"
    calls.touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    def make(body):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "c++").write_text(f"#!/bin/sh\necho called >> {calls}\n{body}\n")
        (folder / "c++").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return lambda: len(calls.read_text().split())

    return make


def a_compiler():
    try:
        return build.compilers()[0]
    except BuildError as error:
        pytest.skip(str(error))


def in_a_new_process(lines=FIRST_LINES, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=300, check=False,
                          env=environment)


# -- compiling ---------------------------------------------------------------------------------------------


def test_it_is_compiled_at_the_first_need_and_found_again(elsewhere, capfd, monkeypatch):
    a_compiler()
    monkeypatch.setenv("ELSEDU_PROGRESS", "1")
    (elsewhere / "engine-outdated.so").touch()
    first = library.load()
    assert first.path == elsewhere / build.library_name() and first.supports("base")
    assert not (elsewhere / "engine-outdated.so").exists()
    assert capfd.readouterr().err.count("compiling") == 1
    monkeypatch.setattr(library, "_loaded", None)
    monkeypatch.setattr(build, "compile_library", None)  # would fail
    assert library.load().path == first.path
    (elsewhere / "shift.cpp").write_text((elsewhere / "shift.cpp").read_text() + "// changed\n")
    assert build.library_name() != first.path.name


def test_no_python_header_is_read():
    """The compiler itself says which files it opens."""
    compiler = a_compiler()
    flags = ["-std=c++17", "-DELSEDU_ISA=base", "-M"]
    for source in ("interface.cpp", "shift.cpp"):
        command = [*compiler.command, *flags, build.HERE / source]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "shift.hpp" in done.stdout
        assert not re.search(r"Python\.h|pyconfig", done.stdout)


def test_several_processes_compile_it_once(elsewhere, shell_compiler, tmp_path):
    """Three that need it at the same moment: one compiles, the others wait and load what it made."""
    real = a_compiler()
    count = shell_compiler(f'exec {" ".join(real.command)} "$@"')
    lines = ("import sys\nfrom pathlib import Path\nfrom elsedu.posterior.native import build, library\n"
             f"build.HERE = Path({str(elsewhere)!r})\nbuild.COMMON = ('-O0', *build.COMMON[1:])\n"
             "print(library.load().path)\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CXX": str(tmp_path / "bin/c++"), "PATH": "/usr/bin:/bin"}
    started = [subprocess.Popen([sys.executable, "-c", lines], stdout=subprocess.PIPE, text=True, env=environment)
               for _ in range(3)]
    said = {process.communicate(timeout=300)[0].strip() for process in started}
    assert said == {str(elsewhere / build.library_name())}
    variants = 3 if build.machine() == "x86_64" else 1
    assert count() == (variants - 1) + 1 + (variants + 1) + 1  # flags looked at, files compiled, linked


def test_an_installation_keeps_it_in_the_cache(elsewhere):
    a_compiler()
    (elsewhere.parents[2] / "pyproject.toml").unlink()
    assert library.load().path == library.cache_folder() / build.library_name()
    assert not list(elsewhere.glob("engine-*"))


@pytest.mark.parametrize("broken", ["text", "another library"])
def test_what_lies_there_but_cannot_be_loaded_is_replaced(broken, elsewhere):
    a_compiler()
    there = elsewhere / build.library_name()
    if broken == "text":
        there.write_text("not a library")
    else:
        shutil.copy(importlib.util.find_spec("_ctypes").origin, there)
    assert library.load().supports("base")


def test_flags_that_a_compiler_does_not_know_are_left_out(tmp_path, elsewhere):
    """One that knows no AVX-512 and no -fno-trapping-math; what is left must still work."""
    real = a_compiler()
    picky = tmp_path / "picky"
    picky.write_text('#!/bin/sh\ncase " $* " in *" -mavx512f "*|*" -fno-trapping-math "*) exit 1;; esac\n'
                     f'exec {" ".join(real.command)} "$@"\n')
    picky.chmod(0o755)
    made = build.compile_library(tmp_path / "e.so", Compiler((str(picky),), "picky"))
    assert "base" in made and "avx512" not in made
    assert library.Library(tmp_path / "e.so").supports("base")


def test_a_universal_python_on_macos(monkeypatch):
    """It is built for one processor, never with the flags of another."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    for asked, expected in (("-arch arm64", "arm64"), ("-arch arm64 -arch x86_64", "x86_64"), ("", "x86_64")):
        monkeypatch.setenv("ARCHFLAGS", asked)
        assert build.machine() == expected
    assert build.library_name().endswith("-darwin-x86_64.dylib")
    assert build._for_platform(Compiler(("c++",), "c++"))[-3:] == ["-arch", "x86_64", "-mmacosx-version-min=11.0"]


@pytest.mark.slow
def test_the_compiler_from_the_package_index(tmp_path):
    """ziglang compiles every instruction set, and for processors older than this one."""
    if not importlib.util.find_spec("ziglang"):
        pytest.skip("ziglang is not installed")
    zig = Compiler((sys.executable, "-m", "ziglang", "c++"), "ziglang")
    assert zig.is_zig
    made = build.compile_library(tmp_path / "e.so", zig)
    assert made == (["base", "avx512", "avx2"] if build.machine() == "x86_64" else ["base"])
    assert library.Library(tmp_path / "e.so").supports("base")


# -- when it cannot be compiled ----------------------------------------------------------------------------


def test_no_compiler_is_one_line_and_quick_and_a_compiler_that_appears_is_used(elsewhere, monkeypatch, tmp_path):
    real = a_compiler()
    find_spec, path = importlib.util.find_spec, os.environ["PATH"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ziglang" else find_spec(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    for _ in range(2):
        with pytest.raises(BuildError, match=r"^no C\+\+ compiler was found; `.*-m pip install ziglang`.*$"):
            library.load()
    (tmp_path / "cl").write_text("#!/bin/sh\n")
    (tmp_path / "cl").chmod(0o755)
    with pytest.raises(BuildError, match="Microsoft's compiler cannot compile it"):
        library.load()
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("CXX", " ".join(real.command))
    assert library.load().supports("base")


def test_a_compiler_that_fails_is_asked_once(elsewhere, shell_compiler, monkeypatch):
    count = shell_compiler('case "$*" in *empty.cpp*) exit 0;; esac\n'
                           'echo "a.cpp:1: fatal error: no header" >&2\nexit 1')
    for _ in range(3):
        with pytest.raises(BuildError, match=r"c\+\+ failed: a.cpp:1: fatal error: no header; .*pip install ziglang"):
            library.load()
    asked = count()
    monkeypatch.setattr(library, "_failures", {})  # another process reads the note
    with pytest.raises(BuildError, match="no header"):
        library.load()
    assert count() == asked
    with pytest.raises(BuildError, match="no header"):
        library.load(again=True)
    assert count() > asked
    assert not list(elsewhere.glob("*engine-*"))


def test_a_name_in_cxx_that_is_not_there(elsewhere, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    with pytest.raises(BuildError, match="no compiler 'no-such-compiler', which the environment variable CXX names"):
        library.load()


def test_no_folder_that_can_be_written(elsewhere, monkeypatch):
    """Read-only folders stop a user, but not root: here a file stands where each folder should be."""
    a_compiler()
    monkeypatch.setenv("ELSEDU_CACHE", str(elsewhere / "shift.hpp"))
    monkeypatch.setattr(library, "one_writer", lambda *_: (_ for _ in ()).throw(PermissionError("read-only")))
    with pytest.raises(BuildError, match=r"no folder to keep it in .* set ELSEDU_CACHE"):
        library.load()


def test_without_the_engine_torch_serves(tmp_path):
    """An installation without a compiler: everything works, and `backends` says why not native."""
    lines = f"import elsedu.posterior.native.build as b\nb.HERE = b.Path({str(tmp_path)!r})\n" + FIRST_LINES
    for name in (*build.SOURCES, "build.py"):
        shutil.copy(ROOT / "elsedu/posterior/native" / name, tmp_path)
    done = in_a_new_process(lines, ELSEDU_CACHE=str(tmp_path / "cache"), ELSEDU_NATIVE_BUILD="0")
    assert done.returncode == 0, done.stderr
    assert "(False" in done.stdout and "ELSEDU_NATIVE_BUILD=0 forbids" in done.stdout


# -- the interface -----------------------------------------------------------------------------------------


@pytest.fixture
def asked():
    """A small request that is right, and the arrays that must outlive it."""
    needs("native")
    rng = np.random.default_rng(0)
    arrays = {"dictionary": rng.standard_normal((3, 1, 4, 4), dtype=np.float32),
              "queries": rng.standard_normal((1, 1, 4, 4), dtype=np.float32),
              "alpha": np.array([0.8]), "sigma": np.array([0.6]), "windows": np.array([1, 3], dtype=np.int32)}
    job = {name: array.ctypes.data for name, array in arrays.items()}
    job |= {"images": 3, "batch": 1, "channels": 1, "height": 4, "width": 4, "window_count": 2, "equivariant": True,
            "circular": False, "interior": False, "full": False, "reach": 20.0}
    out = {"m": np.zeros((1, 2, 4, 4)), "sums": np.zeros((1, 2, 4, 4, 2)), "source": np.zeros((1, 2, 4, 4), np.int64),
           "tied": np.zeros((1, 2, 4, 4), np.uint8)}
    return arrays, job, out


def call(asked, isa="base", threads=1, **changed):
    _, job, out = asked
    library.load().posterior(isa, threads, job | changed, **{name: array.ctypes.data for name, array in out.items()})


def test_a_right_request_is_answered(asked):
    call(asked)
    assert (asked[2]["sums"][..., 0] >= 1).all()  # the nearest patch has weight 1
    before = asked[2]["sums"].copy()
    call(asked, threads=7)
    np.testing.assert_allclose(asked[2]["sums"], before, rtol=1e-5)


@pytest.mark.parametrize(("changed", "wrong"), [
    ({"images": 0}, "no images"), ({"batch": -1}, "no images or no queries"), ({"channels": 0}, "without channels"),
    ({"height": 0}, "pixels"), ({"window_count": 0}, "no windows"), ({"dictionary": None}, "an array is missing"),
    ({"reach": float("nan")}, "reach"), ({"threads": 0}, "thread"), ({"isa": "mmx"}, "instruction set"),
])
def test_a_wrong_request_is_refused(changed, wrong, asked):
    with pytest.raises(ValueError, match=f"the C\\+\\+ engine refuses: .*{wrong}"):
        call(asked, **changed)
    assert not asked[2]["sums"].any()


@pytest.mark.parametrize(("array", "value", "wrong"), [
    ("windows", [3, 3], "windows that do not grow"), ("windows", [2, 3], "not an odd number"),
    ("windows", [-1, 3], "not an odd number"), ("sigma", [0.0], "sigma"), ("sigma", [float("nan")], "sigma"),
])
def test_wrong_values_are_refused(array, value, wrong, asked):
    asked[0][array][:] = value
    with pytest.raises(ValueError, match=wrong):
        call(asked)


def test_another_version_of_the_interface_is_refused(asked, monkeypatch):
    monkeypatch.setattr(library, "INTERFACE_VERSION", 999)
    with pytest.raises(ValueError, match="another version of the interface"):
        call(asked)


def test_fields_in_another_place_are_found_when_it_is_loaded(asked, monkeypatch):
    path = library.load().path

    class Swapped(ctypes.Structure):
        _fields_ = [library.Request._fields_[1], library.Request._fields_[0], *library.Request._fields_[2:]]

    monkeypatch.setattr(library, "Request", Swapped)
    with pytest.raises(OSError, match=r"lays a request out as version:0 size:4 .*, library.py as size:0 version:4 "):
        library.Library(path)
