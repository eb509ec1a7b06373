"""The book's sources: one address everywhere, all chapters listed, the house rules kept."""

import importlib.util
import os
import re
import subprocess
import sys

import nbformat
import pytest
import yaml
from pages import ROOT, pages

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
ADDRESS = CONFIG["repository"]["url"]
NOTEBOOKS = sorted(p for p in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
TEXTS = sorted([*NOTEBOOKS, *(ROOT / "book").glob("**/*.md"), ROOT / "README.md"])

MINUTES = 25  # the longest main path of a chapter, by the rule of scripts/nb.py minutes


def names(paths):
    return [str(p.relative_to(ROOT / "book")) for p in paths]


def script(name):
    """A script of scripts/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


nb = script("nb")


def test_every_notebook_is_in_the_book():
    assert set(NOTEBOOKS) <= set(pages())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_notebook_keeps_the_house_rules(path):
    assert nb.problems(path) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_chapter_is_read_in_one_sitting(path):
    taken = nb.minutes(nbformat.read(path, as_version=4))["main"]
    assert taken <= MINUTES, (
        f"{path.name}: the main path takes {taken:.1f} minutes to read, the limit is {MINUTES}: a longer one is two. "
        "Cut, put what can be skipped into a drop-down (`:class: dropdown`), fold code that only plots "
        "(tag hide-input); `python scripts/nb.py minutes` has the rule."
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_set_up_cell_installs_from_the_repository(path):
    code = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert f'%pip install -q "elsedu @ git+{ADDRESS}"' in code[0]
    assert "google.colab" in code[0], "elsedu must be installed in Colab only"
    assert not any("%pip" in c or "!pip" in c for c in code[1:])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_labels_are_the_books(path):
    """Labels carry the prefix of their kind, so that links never clash."""
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    for kind, label in re.findall(r"\{(prf:\w+|exercise)\}[^\n]*\n:label: (\S+)", text):
        prefix = {"exercise": "ex-", "prf:theorem": "thm-", "prf:definition": "def-"}.get(kind, "")
        assert label.startswith(prefix)
    for label in re.findall(r"^\s*\$\$ \(([^)]+)\)", text, re.M):
        assert label.startswith("eq-")


def test_labels_are_unique():
    """Of pages, equations, figures, theorems and exercises, over the whole book."""
    found = {}
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            figure = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
            labels = [figure] if figure else []
            if cell.cell_type == "markdown":
                groups = re.findall(r"^:label: (\S+)|\$\$ \(([^)]+)\)$|^\(([\w-]+)\)=$", cell.source, re.M)
                labels = [label for group in groups for label in group if label]
            for label in labels:
                assert label not in found, f"{label}: in {found[label].name} and {path.name}"
                found[label] = path
    assert len(found) > 3 * len(NOTEBOOKS)


def test_readme_and_citation_name_the_repository():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    owner = ADDRESS.removeprefix("https://github.com/")
    colab = r"https://colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)/blob/(\w+)/(\S+?\.ipynb)"
    links = re.findall(colab, readme)
    assert links
    for repository, branch, path in links:
        assert (repository, branch) == (owner, CONFIG["repository"]["branch"])
        assert (ROOT / path).exists()
    assert all(a == ADDRESS for a in re.findall(r"https://github\.com/[\w.-]+/elsedu\b", readme))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == citation["url"] == ADDRESS


def test_readme_lists_every_chapter_with_its_minutes():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \[[^\]]+\]\((book/\S+\.ipynb)\) \| .* \| ([\d.]+) \|$", readme, re.M))
    for path in (p for p in NOTEBOOKS if p.parent.name != "book"):
        code = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells)
        minutes = re.search(r"notebook\.begin\(minutes=([\d.]+)", code).group(1)
        assert rows.pop(str(path.relative_to(ROOT)), None) == minutes, path.name
    assert rows == {}


def test_citation_has_the_packages_version():
    import elsedu

    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == elsedu.__version__


def test_every_citation_is_in_the_bibliography():
    known = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "book/references.bib").read_text(encoding="utf-8"), re.M))
    cited = set()
    for path in TEXTS:
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", path.read_text(encoding="utf-8")):
            cited |= {key.strip() for key in keys.split(",")}
    assert cited
    assert cited - known == set()


def test_pictures_of_the_readme_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    local = [p for p in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme) if not p.startswith("http")]
    assert local and all((ROOT / path).stat().st_size > 1000 for path in local)


def test_the_readmes_python_runs(tmp_path):
    """The ten lines draw a grid."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", readme, re.S).group(1)
    assert len(code.strip().splitlines()) <= 12
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    picture = next(tmp_path.glob("*.png"))
    from PIL import Image

    image = Image.open(picture).convert("L")
    assert min(image.size) > 100 and len(image.getcolors(100_000)) > 20


def test_web_assets_carry_their_licences():
    fonts = {p.name.split("-latin")[0] for p in (ROOT / "book/_static/fonts").glob("*.woff2")}
    assert fonts and all((ROOT / f"book/_static/fonts/{name}-OFL.txt").exists() for name in fonts)
    for folder in (ROOT / "book/_vendor/_static").iterdir():
        assert (folder / "LICENSE.txt").exists()


TEXT = """%%% md title
(x)=
# Title

%%% code setup
| tags: hide-input nbval-ignore-output
| figure: fig-x
| caption: What $x$ is,
|   and {cite:p}`kamb2025`.
| width: 50%
x = 1
# | not an option

%%% md table
| a | b |
|---|---|

%%% md ex-solution
:::{solution-start} ex-x
:::

%%% code ex-code
x = 2

%%% md ex-end
:::{solution-end}
:::

%%% code check
print(x)
"""


def test_notebooks_survive_the_way_to_text_and_back():
    notebook = nb.build(TEXT)
    nbformat.validate(notebook)
    again = nb.build(nb.text(notebook))
    assert again == notebook
    assert [c.id for c in notebook.cells] == ["title", "setup", "table", "ex-solution", "ex-code", "ex-end", "check"]
    setup, solution, check = (notebook.cells[k] for k in (1, 4, 6))
    assert setup.source == "x = 1\n# | not an option"
    assert setup.metadata.mystnb.figure.caption == "What $x$ is, and {cite:p}`kamb2025`."
    assert setup.metadata.mystnb.image.alt == "What x is, and kamb2025."
    assert solution.metadata.cellView == "form" and solution.source.startswith("# @title Solution\n")
    assert "cellView" not in check.metadata


@pytest.mark.parametrize(
    "text", ["words\n%%% md a\n", "%%% txt a\n", "%%% code a\n| colour: red\n", "%%% md a\n\n%%% md a\n"]
)
def test_bad_text_is_named(text):
    with pytest.raises(ValueError, match=r"%%%|colour|second cell"):
        nb.build(text)


def test_refresh_keeps_only_what_is_compared(tmp_path):
    path = tmp_path / "x.ipynb"
    nbformat.write(nb.build("%%% code a\nprint(1)\n\n%%% code b\n| tags: nbval-ignore-output\nprint(2)\n"), path)
    assert any("never refreshed" in p for p in nb.problems(path))
    nb.refresh(path)
    first, second = nbformat.read(path, as_version=4).cells
    assert first.outputs[0].text == "1\n" and first.execution_count == 1
    assert second.outputs == [] and second.execution_count is None
    assert nb.problems(path) == []


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%% code a\nx = '" + 80 * "x" + "'\n", "79 characters"),
        ("%%% code a\nplt.show()\n", "lacks the tag"),
        ("%%% code a\n| tags: nbval-ignore-output\nplt.show()\n", "without a caption"),
        ("%%% code a\nexplorers.explore(draw, axes)\n", "an explorer"),
        ("%%% md a\n```{note}\nx\n```\n", "::: fences"),
        ("%%% code a\n| tags: teach hide-input\nx = 1\n", "teaches and is hidden"),
    ],
)
def test_broken_rules_are_found(tmp_path, cell, words):
    path = tmp_path / "x.ipynb"
    path.write_text(nbformat.writes(nb.build(cell)), encoding="utf-8")
    assert any(words in problem for problem in nb.problems(path))


WATCH = """%%% md text
:::{{prf:theorem}} Title
:label: thm-x
{words}

$$
a = b
$$ (eq-x)
:::

::::{{admonition}} Proof (optional)
:class: dropdown
:::{{note}}
{words}
:::
{words}
::::
{words} {{term}}`x` and $y$

%%% code figure
| tags: hide-input nbval-ignore-output
| figure: fig-x
| caption: One, two, three.
plt.show()

%%% code shown
| tags: teach
x = 1

y = 2

%%% md ex
:::{{exercise}} Title
:label: ex-x
★★☆ {words}
:::

%%% code ex-try
check("ex-x", ...)

%%% md solution
:::{{solution-start}} ex-x
:::
{words}

%%% code solution-code
z = 3

%%% md end
:::{{solution-end}}
:::
"""


def test_reading_time_follows_its_rule():
    """The words outside of drop-downs, one equation, one figure, two lines of code that teaches; two stars."""
    taken = nb.minutes(nb.build(WATCH.format(words="word " * 97)))
    seconds = (2 * 97 + 3 + 3) * 60 / 200 + 15 + 10 + 2 * 4
    assert taken["main"] == pytest.approx(seconds / 60)
    assert taken["optional"] == pytest.approx(2 * 97 / 200)
    assert taken["exercises"] == 10
    assert taken["study"] == pytest.approx(((4 * 97 + 3 + 3) * 60 / 90 + 30 + 3 + 25 + 2 * 4) / 60)


def test_a_new_address_reaches_every_file(tmp_path, monkeypatch, capsys):
    import shutil

    address = script("address")
    for path in address.files():
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    monkeypatch.setattr(address, "ROOT", tmp_path)
    address.main("https://github.com/somebody/else")
    changed = {tmp_path / line for line in capsys.readouterr().out.splitlines()}
    assert {tmp_path / "_config.yml", tmp_path / "README.md", tmp_path / "CITATION.cff"} <= changed
    assert {tmp_path / p.relative_to(ROOT) for p in NOTEBOOKS} <= changed
    owner = ADDRESS.removeprefix("https://github.com/")
    assert not any(owner in path.read_text(encoding="utf-8") for path in address.files())
    with pytest.raises(SystemExit, match="OWNER"):
        address.main("not an address")


def test_links_collects_addresses():
    links = script("links")
    text = "see https://arxiv.org/abs/2412.20292. [x](https://a.org/b) <https://c.org> http://127.0.0.1:80/x"
    assert links.addresses(text) == {"https://arxiv.org/abs/2412.20292", "https://a.org/b", "https://c.org"}
    assert ROOT / "README.md" in links.sources()


def test_contributing_names_files_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = [p for p in re.findall(r"`([\w./]+)`", text) if "/" in p or p.endswith((".md", ".yml", ".toml"))]
    assert len(paths) > 20
    assert [p for p in paths if not (ROOT / p).exists()] == []
