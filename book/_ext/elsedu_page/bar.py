"""The line under a chapter's title: how long it takes, what was checked, its code, and the way to Colab.

Reading times are measured by the words (`minutes` in scripts/nb.py), run times are those that the notebook itself
names (``notebook.begin(minutes=...)``); the directive ``chapter-times`` makes the table of all of them.
"""

import functools
import html
import importlib.util
import itertools
import re
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[3]


@functools.cache
def _nb():
    spec = importlib.util.spec_from_file_location("elsedu_nb", ROOT / "scripts" / "nb.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def times(path):
    """{"read", "study", "exercises": minutes, "run": minutes} of a chapter's notebook; None of any other page."""
    if path.suffix != ".ipynb":
        return None
    notebook = nbformat.read(path, as_version=4)
    run = next((float(m[1]) for cell in notebook.cells if cell.cell_type == "code"
                if (m := re.search(r"notebook\.begin\(minutes=([\d.]+)", cell.source))), None)  # fmt: skip
    if run is None:
        return None
    each = _nb().minutes(notebook)
    return {"read": each["main"], "study": each["study"], "exercises": each["exercises"], "run": run}


def short(minutes):
    """0.4 -> "24 s", 17.2 -> "17 min", 43.9 -> "45 min" (to five where it is long)."""
    if minutes < 0.95:
        return f"{60 * minutes:.0f} s"
    return f"{5 * round(minutes / 5) if minutes > 22 else round(minutes)} min"


def badge(checked):
    """HTML of the quiet line that says what was checked, with the list on a click; "" where nothing was."""
    if not checked:
        return ""
    parts = []
    for section, group in itertools.groupby(checked, key=lambda one: one[0]):
        items = "".join(f"<li>{html.escape(claim)}</li>" for _, claim in group)
        parts.append((f"<p>{html.escape(section)}</p>" if section else "") + f"<ul>{items}</ul>")
    count = f"{len(checked)} statement{'s' * (len(checked) != 1)}"
    return (f'<details class="els-checked"><summary title="{count}">checked when this page was built</summary>'
            f'<div class="els-checked-list">{"".join(parts)}</div></details>')  # fmt: skip


def bar(minutes, checked, colab):
    """HTML of the whole line."""
    words = [f"<span>{short(minutes['read'])} to read, {short(minutes['study'])} to study</span>"]
    if minutes["exercises"]:
        words.append(f"<span>{short(minutes['exercises'])} of exercises</span>")
    words.append(badge(checked))
    if colab:
        words.append(f'<a href="{html.escape(colab)}" title="Runs in {short(minutes["run"])}">Open in Colab</a>')
    words.append('<button type="button" class="els-switch" aria-pressed="false">Code</button>')
    return f'<div class="els-bar">{"".join(word for word in words if word)}</div>'


def insert(app, doctree, docname):
    """Put the line under the title of a chapter."""
    path = Path(app.env.doc2path(docname))
    minutes = times(path) if "/part" in docname else None
    if minutes is None or app.builder.format != "html":
        return
    config = app.config.html_theme_options
    address = str(config.get("repository_url", "")).removeprefix("https://github.com/")
    branch = config.get("repository_branch", "main")
    colab = f"https://colab.research.google.com/github/{address}/blob/{branch}/{docname}.ipynb" if address else ""
    title = next(doctree.findall(nodes.title))
    line = bar(minutes, app.env.metadata[docname].get("els_checked", []), colab)
    title.parent.insert(title.parent.index(title) + 1, nodes.raw("", line, format="html"))


class ChapterTimes(SphinxDirective):
    """A table of all chapters: minutes to read, to study, for the exercises and to run."""

    def run(self):
        lines = []
        for docname in sorted(self.env.found_docs, key=str):
            if "/part" in docname and (minutes := times(Path(self.env.doc2path(docname)))):
                lines.append((docname, minutes))
        table = nodes.table(classes=["els-times"])
        group = nodes.tgroup(cols=5)
        group += [nodes.colspec(colwidth=width) for width in (40, 15, 15, 15, 15)]
        head, body = nodes.thead(), nodes.tbody()
        names = ["chapter", "to read", "to study", "exercises", "to run"]
        head += _row([nodes.inline(text=name) for name in names])
        for docname, minutes in self._in_order(lines):
            parsed, _ = self.state.inline_text(f"{{doc}}`/{docname}`", self.lineno)
            cells = [short(minutes[key]) if minutes[key] else "" for key in ("read", "study", "exercises", "run")]
            body += _row([nodes.inline("", "", *parsed), *(nodes.inline(text=cell) for cell in cells)])
        group += [head, body]
        table += group
        return [table]

    def _in_order(self, lines):
        """Chapters in the order of _toc.yml."""
        import yaml

        toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
        order = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
        return sorted((line for line in lines if line[0] in order), key=lambda line: order.index(line[0]))


def _row(cells):
    row = nodes.row()
    for cell in cells:
        entry = nodes.entry()
        paragraph = nodes.paragraph()
        paragraph += cell
        entry += paragraph
        row += entry
    return row


def setup(app):
    app.add_directive("chapter-times", ChapterTimes)
    app.connect("doctree-resolved", insert, priority=600)
