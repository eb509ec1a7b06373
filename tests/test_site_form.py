"""What the site makes of a notebook (book/_ext/elsedu_page), piece by piece and without a build."""

import base64
import io
import re
import sys

import nbformat
import numpy as np
import pytest
from docutils import nodes
from pages import ROOT, pages
from PIL import Image

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from elsedu_page import bar, cells, formulas, head, pictures, references, tables

NOTEBOOKS = [p for p in pages() if p.suffix == ".ipynb"]
CHAPTERS = [p for p in NOTEBOOKS if p.parent.name.startswith("part")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("clean pixel as measured: True", ["clean pixel as measured"]),
        ("a constant       zero within 3 errors: True", ["a constant zero within 3 errors"]),
        ("t = 1: same denoiser: True - score is the slope: True", ["t = 1: same denoiser", "score is the slope"]),
        ("P = 1: naive = ELS: True, LS of the orbit = ELS: True", ["P = 1: naive = ELS", "LS of the orbit = ELS"]),
        ("agree, for each P: {1: True, 3: True}", ["agree, for each P"]),
        ("agree, for each P: {1: True, 3: False}", []),
        ("(a + b) + c    True", ["(a + b) + c"]),
        ("True", ["as computed"]),
        ("r = 0.93", []),
        ("TITLE = True love", []),
        ("LS symmetric: False", []),
    ],
)  # fmt: skip
def test_a_line_that_says_true_is_a_claim(line, expected):
    assert cells.claims(line) == expected


def test_a_printed_block_is_sorted():
    text = ("Device: CPU, 2 threads. This chapter takes about 24 seconds to run.\nr = 0.93\nagree: True\n"
            "ex-tweedie: correct, well done.\nex-steps: not answered yet: your function returns nothing.\n"
            "ex-one: where half of the pixels are white: not answered yet: your function returns nothing.")  # fmt: skip
    assert cells.sort_lines(text) == ("r = 0.93", ["agree", "the solution of tweedie"])


def test_a_contrast_stays_whole():
    """False beside True is what the block is about."""
    text = "one product: error below 1e-4: False\nthree products: error below 1e-4: True"
    assert cells.sort_lines(text) == (text, [])


def test_nothing_that_a_chapter_prints_is_lost():
    """Every stored line is on the page, among its checks, or one of the three kinds of noise."""
    total = 0
    for path in CHAPTERS:
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                text = output.get("text", "")
                stays, checked = cells.sort_lines(text)
                lines = [line for line in text.splitlines() if line.strip()]
                gone = [line for line in lines if line not in stays.splitlines()]
                for line in gone:
                    said = [re.sub(r"\s+", " ", claim) for claim in checked]
                    known = any(claim.split(" = ")[0] in re.sub(r"\s+", " ", line) for claim in said)
                    assert known or "not answered yet" in line or "well done" in line, line
                total += len(checked)
    assert total > 100


def cell(code, *outputs, tags=()):
    """A code cell as MyST-NB puts it into the tree."""
    box = nodes.container(nb_element="cell_code", cell_metadata={"tags": list(tags)}, classes=["cell"])
    source = nodes.container("", nodes.literal_block(code, code), nb_element="cell_code_source", classes=["cell_input"])
    box += source
    if outputs:
        output = nodes.container("", *outputs, nb_element="cell_code_output", classes=["cell_output"])
        box += output
    return box


def stream(text):
    return nodes.literal_block(text, text, classes=["output", "stream"])


class Environment:
    def __init__(self):
        self.docname, self.metadata = "book/part1/x", {"book/part1/x": {}}


def apply(transform, document):
    one = transform(document)
    document.settings.env = Environment()
    one.apply()
    return document.settings.env.metadata["book/part1/x"]


@pytest.fixture
def document():
    from docutils.utils import new_document

    return new_document("x")


def hidden(box):
    return cells.HIDDEN in box[0]["classes"]


def test_only_code_that_teaches_stays_open(document):
    document += cell("plot()", stream("r = 1"))
    document += cell("formula()", stream("r = 1"), tags=["teach"])
    document += cell("quiet()", stream("agree: True"))
    document += cell("slider()", stream("Live sliders need a kernel: open this page."), tags=["live"])
    known = apply(cells.Cells, document)
    plot, formula, quiet, slider = document.children
    assert hidden(plot) and not hidden(formula) and hidden(quiet) and hidden(slider)
    assert len(plot.children) == 2, "its output stays"
    assert len(quiet.children) == 1 and cells.HIDDEN in quiet["classes"], "no empty output, no gap"
    assert len(slider.children) == 1
    assert known["els_checked"] == [("", "agree")]


def test_a_wide_table_may_use_the_margin(document):
    for count in (3, 9):
        document += cell("x", nodes.raw("", f"<table><tr>{count * '<th>x</th>'}</tr></table>", format="html"))
    apply(cells.Cells, document)
    assert ["full-width" in box["classes"] for box in document.children] == [False, True]


def test_a_solution_shows_its_code_without_colabs_title(document):
    box = nodes.admonition(classes=["solution"])
    box += cell("# @title Solution\nx = 1")
    document += box
    apply(cells.Cells, document)
    assert not hidden(box[0]) and box[0].astext() == "x = 1"


def test_columns_become_a_table():
    lines = ["                        own variance  fixed map",
             "digits-resnet-zero              0.72       0.58",
             "mnist16-unet-attention          0.69      -0.60*"]  # fmt: skip
    assert tables.columns(lines) == [["", "own variance", "fixed map"], ["digits-resnet-zero", "0.72", "0.58"],
                                     ["mnist16-unet-attention", "0.69", "-0.60*"]]  # fmt: skip


def test_groups_of_rows_keep_their_heads(document):
    head = "{:<22}  r  P at t = .1 .3\n"
    text = head.format("digits-resnet-zero") + f"{'one':>18}  0.96  3  5\n{'three':>18}  0.95  3 15\n"
    text += head.format("digits-unet-zero") + f"{'two':>18}  0.91  3  7"
    document += cell("x", stream(text), tags=["columns"])
    apply(tables.Columns, document)
    (table,) = document.findall(nodes.table)
    rows = [[e.astext() for e in row] for row in table.findall(nodes.row)]
    assert rows[0] == ["digits 8×8, ResNet, zero border", "r", "P at t = .1 .3"] and rows[1] == ["one", "0.96", "3  5"]
    assert next(s.astext() for s in table.findall(nodes.strong)) == "digits 8×8, UNet, zero border"


def test_a_tagged_cell_shows_tables_and_notes(document):
    text = "Median of r\n      IS     LS\none  0.1    0.2\ntwo  0.3*   0.4\n\none line less"
    document += cell("x", stream(text), tags=["columns"])
    apply(tables.Columns, document)
    assert [p.astext() for p in document.findall(nodes.paragraph) if "els-note" in p["classes"]] == \
        ["Median of r", "one line less"]  # fmt: skip
    assert [e.astext() for e in document.findall(nodes.entry)] == [
        "",
        "IS",
        "LS",
        "one",
        "0.1",
        "0.2",
        "two",
        "0.3",
        "0.4",
    ]
    assert [s.astext() for s in document.findall(nodes.strong)] == ["0.3"]


def test_short_formulas_are_joined_where_there_is_room():
    body = "\n&\\mathbb P(x_0 = y_i \\mid x) \\\\\n&= \\frac{a}{b} \\\\\n&= w_i .\n"
    joined = formulas.joined(body)
    assert joined.count(r"\elsbreak") == 2 and r"\\" not in joined
    several = "\n\\ell_i &= -\\frac{a}{b}, \\\\\nw_i &= c .\n"
    assert formulas.joined(several) == several, "two equations stay two lines"
    long = "\n&" + 30 * "a + " + "b \\\\\n&= " + 20 * "c + " + "d\n"
    assert formulas.joined(long) == long


def test_chapters_are_called_by_their_number():
    assert references.chapter_name(8, "We saw in ") == "chapter 8"
    assert references.chapter_name(1, "You may start here. ") == "Chapter 1"
    assert references.chapter_name(1, "") == "Chapter 1"


def test_parentheses_are_not_doubled(document):
    from sphinx import addnodes

    paragraph = nodes.paragraph(
        "", "", nodes.Text("so (see ("), addnodes.pending_xref(reftype="eq"), nodes.Text(")) and")
    )
    document += paragraph
    apply(references.Parentheses, document)
    assert [n.astext() for n in paragraph.children if isinstance(n, nodes.Text)] == ["so (see ", ") and"]


def test_reading_times_are_those_of_the_words():
    times = bar.times(CHAPTERS[0])
    each = bar._nb().minutes(nbformat.read(CHAPTERS[0], as_version=4))
    assert times["read"] == each["main"] and times["study"] == each["study"] > 1.5 * each["main"]
    assert bar.times(ROOT / "book" / "glossary.md") is None
    assert [bar.short(m) for m in (0.4, 1.2, 17.4, 43.9)] == ["24 s", "1 min", "17 min", "45 min"]


def test_the_badge_lists_what_was_checked():
    text = bar.badge([("A <b>", "x < y"), ("A <b>", "z"), ("", "w")])
    assert text.count("<li>") == 3 and "x &lt; y" in text and "A &lt;b&gt;" in text and "3 statements" in text
    assert bar.badge([]) == ""


def picture(size):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def test_large_pictures_become_files(tmp_path):
    large, small = picture(64), picture(4)
    html = f'<img src="data:image/png;base64,{large}"><img src="data:image/png;base64,{small}">'
    moved = pictures.to_files(html, tmp_path, "../../")
    (name,) = tmp_path.iterdir()
    assert base64.b64encode(name.read_bytes()).decode() == large
    assert f'src="../../{pictures.FOLDER}/{name.name}"' in moved and small in moved and large not in moved


def test_captions_are_not_read_twice():
    caption = "What *to* see: $x$ and {term}`score`."
    assert pictures.words({"alt": "What to see: x and score."}, caption) == "The figure that the caption describes"
    assert pictures.words({"alt": "Three rows of digits."}, caption) == "Three rows of digits."
    assert pictures.words({}, caption) == "The figure that the caption describes"


def test_every_page_describes_itself():
    from docutils.utils import new_document

    document = new_document("x")
    document += nodes.paragraph(text="Short.")
    document += nodes.paragraph(text="Question. " + 60 * "word ")
    text = head.description(document)
    assert text.startswith("word word") and len(text) <= 200 and text.endswith(" ...")
    tags = head.tags('A "title"', text, "https://x.org/y", "book/intro")
    assert 'content="A &quot;title&quot;"' in tags and "https://x.org/y/_static/preview.png" in tags
    assert (ROOT / "book/_static/preview.png").exists()


def test_mathjax_is_for_pages_with_formulas(document):
    class Script(str):
        attributes = {}

    settings = Script("")
    settings.attributes = {"body": "window.MathJax = {}"}
    scripts = [Script("_static/mathjax/tex-chtml.js"), settings, Script("_static/book.js")]
    assert head.without_mathjax(scripts) == ["_static/book.js"]
    document += nodes.paragraph(text="No formula.")
    assert not head.has_formulas(document)
    document += nodes.raw("", '<span class="math">x</span>', format="html")
    assert head.has_formulas(document)


def test_icon_fonts_leave_the_style_sheet():
    fonts = "@font-face{font-family:Font Awesome\\ 6 Free;src:url(a.woff2)}"
    letters = '.fa-sun:before,.fa-moon::before{content:"\\f185"}'
    assert head.without_icon_fonts(fonts + letters + "p{margin:0}") == "p{margin:0}"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_opens_little_code(path):
    """Code that teaches is chosen: it is the smaller part of a chapter's code."""
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    taught = sum(len(c.source.splitlines()) for c in code if "teach" in c.metadata.get("tags", []))
    assert taught <= 0.35 * sum(len(c.source.splitlines()) for c in code)


def test_icons_cover_what_the_themes_ask_for():
    """Every icon class in the templates of the two themes is drawn in icons.css."""
    from pathlib import Path

    import pydata_sphinx_theme
    import sphinx_book_theme

    drawn = set(re.findall(r"\.(fa-[\w-]+)", (ROOT / "book/_static/icons.css").read_text(encoding="utf-8")))
    asked = set()
    for package in (pydata_sphinx_theme, sphinx_book_theme):
        folder = Path(package.__file__).parent
        for file in [*folder.rglob("*.html"), *(folder / "header_buttons").glob("*.py")]:
            asked |= set(
                re.findall(
                    r"\bfa[srb]? (fa-[\w-]+)|\bfa-(?:solid|brands|regular) +(fa-[\w-]+)",
                    file.read_text(encoding="utf-8"),
                )
            )
    asked = {name for pair in asked for name in pair if name}
    assert len(asked) > 10
    assert asked - drawn <= {"fa-lg"}
