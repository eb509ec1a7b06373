"""Evidence that a cell prints in columns becomes a table on the page (tag ``columns``).

The notebook keeps its plain text, which nbval compares. A column is a run of characters that is blank in no line;
gaps of one character do not part columns, unless a number stands on either side of them in every line.
"""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

TAG = "columns"
_NAMES = {
    "digits": "digits 8×8", "mnist16": "MNIST 16×16", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10", "celeba": "CelebA", "resnet": "ResNet", "unet": "UNet", "zero": "zero border",
    "circular": "torus", "attention": "attention",
}  # fmt: skip
_ROW = re.compile(r"^(digits|mnist16|mnist|fashion_mnist|cifar10|celeba)-(resnet|unet)-(zero|circular|attention)$")


def human(name):
    """ "mnist16-unet-zero" -> "MNIST 16×16, UNet, zero border"; other texts as they are."""
    if match := _ROW.match(name):
        return ", ".join(_NAMES[part] for part in match.groups())
    return name


def columns(lines):
    """Cut lines of text at the places that are blank in all of them (two blanks, or one beside the line's end)."""
    width = max(map(len, lines))
    padded = [line.ljust(width) for line in lines]
    blank = [all(line[k] == " " for line in padded) for k in range(width)] + [True, True]
    cuts, start, k = [], None, 0
    while k < width + 1:
        if not blank[k] and start is None:
            start = k
        elif start is not None and blank[k] and (blank[k + 1] or k >= width or _numbers(padded, k)):
            cuts.append((start, k))
            start = None
        k += 1
    return [[line[a:b].strip() for a, b in cuts] for line in padded]


def _numbers(lines, k):
    """Whether the words on both sides of a gap are numbers in every line but the first."""
    body = lines[1:] or lines
    left = [line[:k].split()[-1:] for line in body]
    right = [line[k:].split()[:1] for line in body]
    return all(word and re.match(r"^[-+]?\.?\d[\d.,%]*\*?$", word[0]) for word in [*left, *right])


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
            paragraph += nodes.strong(text=starred[1]) if starred else nodes.Text(human(cell))
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
