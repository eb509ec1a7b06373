"""Evidence that a cell prints in columns becomes a table on the page (tag ``columns``).

The notebook keeps its plain text, which nbval compares. Columns are parted where every line has a gap: two blanks or
more, or one blank before a number.
"""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

from elsedu.experiments.tables import called

TAG = "columns"
_NUMBER = re.compile(r"^[-+]?\.?\d[\d.,%]*\*?$")


def columns(lines):
    """Cut lines of text at the places where every one of them has a gap (`_gap`)."""
    width = max(map(len, lines)) + 2
    padded = [line.ljust(width) for line in lines]
    cut = [all(_gap(line, k) for line in padded) and any(_wide(line, k) for line in padded) for k in range(width)]
    spans, start = [], None
    for k, here in enumerate(cut):
        if not here and start is None:
            start = k
        elif here and start is not None:
            spans.append((start, k))
            start = None
    spans += [(start, width)] if start is not None else []
    return [[line[a:b].strip() for a, b in spans] for line in padded]


def _wide(line, k):
    """Whether a place lies among two blanks or more, between words or before the first."""
    return line[k] == " " and bool(line[k:].strip()) and " " in (line[k - 1 : k] or " ", line[k + 1])


def _gap(line, k):
    """Whether a place parts two columns: among several blanks, or one blank before a number, after a number or name."""
    if line[k] != " ":
        return False
    left, right = line[:k].split(), line[k:].split()
    if not left or not right or line[k - 1] == " " or line[k + 1] == " ":
        return True
    return bool(_NUMBER.match(right[0]) and (len(left) == 1 or _NUMBER.match(left[-1])))


def _begins(lines, k):
    """Whether a line is the head of a group: it begins at the edge, as the first one does, and others are indented."""
    indented = [line.startswith("   ") for line in lines]
    return not indented[0] and not indented[k] and any(indented)


def _table(lines):
    """A table of printed lines, the first of them its head."""
    rows = columns(lines)
    table, group = nodes.table(classes=["els-columns"]), nodes.tgroup(cols=len(rows[0]))
    group += [nodes.colspec(colwidth=1) for _ in rows[0]]
    head, body = nodes.thead(), nodes.tbody()
    for k, cells in enumerate(rows):
        row = nodes.row()
        for cell in cells:
            entry, paragraph = nodes.entry(), nodes.paragraph()
            starred = re.match(r"^([-+\d.]+)\*$", cell)
            # Bold: an interval without zero; and the heads of further groups of rows.
            bold = starred or (k and _begins(lines, k))
            text = starred[1] if starred else called(cell)
            paragraph += nodes.strong(text=text) if bold else nodes.Text(text)
            entry += paragraph
            row += entry
        (body if k else head).append(row)
    group += [head, body]
    table += group
    return table


class Columns(SphinxTransform):
    """Replace the printed columns of tagged cells: a table a block; other lines become paragraphs."""

    default_priority = 212  # after `cells` took out what was checked

    def apply(self):
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("nb_element") != "cell_code" or TAG not in cell["cell_metadata"].get("tags", []):
                continue
            for block in [b for b in cell.findall(nodes.literal_block) if "stream" in b.get("classes", [])]:
                made = []
                for part in re.split(r"\n\s*\n", block.astext()):
                    lines = [line for line in part.splitlines() if line.strip()]
                    while lines and len(re.split(r"\s{2,}", lines[0].strip())) == 1:
                        made.append(nodes.paragraph(text=lines.pop(0), classes=["els-note"]))
                    if len(lines) > 1:
                        made.append(_table(lines))
                    else:
                        made += [nodes.paragraph(text=line, classes=["els-note"]) for line in lines]
                block.parent.replace(block, made)


def setup(app):
    app.add_transform(Columns)
