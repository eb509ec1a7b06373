"""The pages that the built book must hold, read from _toc.yml."""

from pathlib import Path

import nbformat
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"


def pages():
    """The sources of all pages, in order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    names = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    return [next(p for s in (".ipynb", ".md") if (p := ROOT / (name + s)).exists()) for name in names]


def html(page):
    """Where a page's HTML lies in the built book."""
    return HTML / page.relative_to(ROOT).with_suffix(".html")


def figure_cells(page):
    """The code cells of a notebook that must show a captioned figure in the book."""
    if page.suffix != ".ipynb":
        return []
    cells = nbformat.read(page, as_version=4).cells
    return [c for c in cells if c.cell_type == "code" and "figure" in c.metadata.get("mystnb", {})]


def missing_pages():
    """What the built book lacks, as sentences: pages, or figures in them."""
    lacks = []
    for page in pages():
        name = page.relative_to(ROOT)
        if not html(page).exists() or html(page).stat().st_size < 5000:
            lacks.append(f"{name}: no HTML page")
            continue
        soup = BeautifulSoup(html(page).read_text(encoding="utf-8"), "html.parser")
        figures = [f for f in soup.find_all("figure") if not f.find_parent("figure")]  # an exhibit has one inside
        full = [f for f in figures if f.find(["img", "svg", "canvas"]) and f.find("figcaption", recursive=False)]
        if len(full) < len(figure_cells(page)):
            lacks.append(f"{name}: {len(full)} figures with picture and caption, not {len(figure_cells(page))}")
    return lacks
