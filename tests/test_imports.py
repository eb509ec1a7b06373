"""The house rules of the package: who may import whom, what `__init__` files hold, and that no dependency is idle."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "elsedu"
# Lower imports never higher, function-level imports included; within a folder anything goes, but without circles.
# `figures` draws what it is given and knows no experiment; `teaching` and `cli` are imported by no other folder.
ORDER = (
    "_common",
    "diffusion",
    "posterior",
    "data",
    "machines",
    "analysis",
    "networks",
    "scales",
    "figures",
    "training",
    "experiments",
    "live",
    "teaching",
    "cli",
)
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "node_modules" not in path.parts)


def module(path):
    """elsedu/a/b.py -> "elsedu.a.b", elsedu/a/__init__.py -> "elsedu.a"."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path) for path in FILES}


def imports(path):
    """Modules of elsedu that a file imports anywhere, and names it takes from `elsedu` itself."""
    own = module(path).split(".")
    package = own if path.name == "__init__.py" else own[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "elsedu")
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            if source.split(".")[0] == "elsedu":
                for alias in (alias for alias in node.names if alias.name != "__version__"):
                    name = f"{source}.{alias.name}"
                    yield name if name in MODULES else source


def folder(name):
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else None


def test_every_folder_has_its_place():
    inside = {path.name for path in PACKAGE.iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert inside == set(ORDER)
    files = sorted(path.name for path in PACKAGE.iterdir() if path.is_file() and path.suffix in (".py", ".typed"))
    assert files == ["__init__.py", "__main__.py", "py.typed"]


@pytest.mark.parametrize("path", FILES, ids=[module(path) for path in FILES])
def test_lower_imports_never_higher(path):
    here = folder(module(path))
    if here in (None, "__main__"):
        return
    for name in imports(path):
        # the package itself names everything lazily: only the two highest layers may go through it
        there = folder(name)
        assert there is not None or here in ("live", "teaching", "cli"), f"imports the package itself: {name}"
        if there is not None:
            assert ORDER.index(there) <= ORDER.index(here), f"{here} imports {name}, which lies higher"


def test_there_are_no_circles():
    """Of modules, function-level imports included; a package stands for its `__init__`."""
    arrows = {module(path): {name for name in imports(path) if name != module(path)} for path in FILES}
    done, stack = set(), []

    def visit(name):
        assert name not in stack, " -> ".join([*stack[stack.index(name) :], name])
        if name in done or name not in arrows:
            return
        stack.append(name)
        for other in sorted(arrows[name]):
            visit(other)
        stack.pop()
        done.add(name)

    arrows.pop("elsedu")  # names everything, lazily
    for name in sorted(arrows):
        visit(name)


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=module)
def test_init_files_only_reexport(path):
    if path.parent == PACKAGE:
        return
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        names = isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
        assert text or names or isinstance(node, ast.Import | ast.ImportFrom), ast.unparse(node)[:80]


MODULE_OF = {"pillow": "PIL", "scikit-learn": "sklearn", "scikit-image": "skimage"}


def test_every_dependency_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=;\[ ]", entry)[0] for entry in project["dependencies"]}
    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    assert {name for name in declared if MODULE_OF.get(name, name) not in found} == set()
    optional = {re.split(r"[<>=;\[ ]", e)[0] for group in project["optional-dependencies"].values() for e in group}
    known = {MODULE_OF.get(name, name) for name in declared | optional} | set(sys.stdlib_module_names) | {"elsedu"}
    assert found - known <= {"IPython", "matplotlib_inline"}, found - known  # Jupyter brings them where they are needed
