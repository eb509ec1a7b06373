"""Code cells on the site: which code stands open, which output is for the notebook only, and what was checked.

A cell tagged ``teach`` shows its code, and so does every solution (it lies in a drop-down of its own); all other code
waits behind the page's switch. Of the outputs go: all of a cell tagged ``quiet``, the device line, the messages of
exercises and of live sliders, and the lines that say ``True``, which the page gathers in one list (`bar` shows it).
"""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

HIDDEN = "els-code"  # the class of code that the switch shows
WIDE = 6  # a table of more columns may use the margin
_TRUE = re.compile(r"^(?P<claim>.*\S)(?:\s*:|\s{2,})\s*True\s*$")
_PAIR = re.compile(r"^(?P<claim>.*?\S): True(?: - |, )(?P<rest>.*: True)$")
_EACH = re.compile(r"^(?P<claim>.*\S):\s*\{(?P<cases>[^{}]*)\}\s*$")
_SOLVED = re.compile(r"^(?P<label>ex-[\w-]+): correct, well done\.$")
_NOISE = re.compile(r"^(Device: .*to run\.|ex-[\w-]+:.*not answered yet.*|Live sliders need a kernel.*)$")


def claims(line):
    """The statements that a printed line calls true; [] if it is another kind of line.

    >>> claims("t = 0.1: same denoiser: True - score is the gradient: True")
    ['t = 0.1: same denoiser', 'score is the gradient']
    """
    if pair := _PAIR.match(line):
        return [pair["claim"], *claims(pair["rest"])]
    if each := _EACH.match(line):
        values = [case.rpartition(":")[2].strip() for case in each["cases"].split(",")]
        return [each["claim"]] if values and all(value == "True" for value in values) else []
    if line.strip() == "True":
        return ["as computed"]
    if true := _TRUE.match(line):
        return [re.sub(r"\s{2,}", " ", true["claim"])]
    return []


def sort_lines(text):
    """Split what a cell printed into (text that stays, statements that were checked).

    A block that also says False is a contrast, not a check: it stays whole.
    """
    lines = [line for line in text.splitlines() if not _NOISE.match(line)]
    if any(re.search(r"\bFalse\b", line) for line in lines):
        return "\n".join(lines), []
    stays, checked = [], []
    for line in lines:
        if solved := _SOLVED.match(line):
            checked.append(f"the solution of {solved['label'].removeprefix('ex-').replace('-', ' ')}")
        elif found := claims(line):
            checked += found
        else:
            stays.append(line)
    return "\n".join(stays).strip("\n"), checked


def _in_solution(cell):
    """Whether a cell lies in the solution of an exercise."""
    node = cell.parent
    while node is not None:
        if "solution" in node.get("classes", []) or type(node).__name__.startswith("solution"):
            return True
        node = node.parent
    return False


def _section(node):
    """The title of the nearest section around a node, "" at the top of the page."""
    node = node.parent
    while node is not None:
        if isinstance(node, nodes.section) and isinstance(node.parent, nodes.section):
            return node[0].astext()
        node = node.parent
    return ""


def _tidy_outputs(cell):
    """Take the checks and the noise out of what a cell printed; return [(section, statement), ...]."""
    checked = []
    for block in list(cell.findall(nodes.literal_block)):
        if "stream" not in block.get("classes", []):
            continue
        text, found = sort_lines(block.astext())
        checked += [(_section(cell), claim) for claim in found]
        if text:
            block.rawsource = text
            block[:] = [nodes.Text(text)]
        else:
            block.parent.remove(block)
    return checked


class Cells(SphinxTransform):
    """Prepare every code cell of a page; the statements checked go into the page's metadata."""

    default_priority = 210  # after the parser's own transforms, before references are collected

    def apply(self):
        checked = []
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("nb_element") != "cell_code":
                continue
            tags = cell["cell_metadata"].get("tags", [])
            cell.attributes.pop("hide_mode", None)
            checked += _tidy_outputs(cell)
            if {"live", "quiet"} & set(tags):
                # The explorer above does on the page what a live cell does in the notebook; and what a quiet cell
                # prints is for those who run it.
                for output in [n for n in cell.children if n.get("nb_element") == "cell_code_output"]:
                    cell.remove(output)
            for part in list(cell.children):
                kind = part.get("nb_element")
                if kind == "cell_code_output" and not any(True for _ in part.findall(nodes.Text)) and not _shows(part):
                    cell.remove(part)
                elif kind == "cell_code_source":
                    self._source(part, "teach" in tags or _in_solution(cell))
            if any(raw.astext().count("<th") > WIDE for raw in cell.findall(nodes.raw)):
                cell["classes"].append("full-width")  # the theme lets it into the margin and hides the contents there
            if len(cell.children) == 1 and HIDDEN in cell[0].get("classes", []):
                cell["classes"].append(HIDDEN)  # nothing to see without the switch: no gap either
        self.env.metadata[self.env.docname]["els_checked"] = checked

    @staticmethod
    def _source(part, open_):
        """Drop Colab's title line; hide the code behind the switch unless it teaches."""
        for block in part.findall(nodes.literal_block):
            lines = block.astext().splitlines()
            if lines and lines[0].startswith("# @title"):
                block.rawsource = "\n".join(lines[1:])
                block[:] = [nodes.Text(block.rawsource)]
        if not open_:
            part["classes"].append(HIDDEN)


def _shows(part):
    """Whether an output holds anything besides text: pictures, raw HTML."""
    return any(isinstance(n, nodes.image | nodes.raw | nodes.figure | nodes.table) for n in part.findall())


def setup(app):
    app.add_transform(Cells)
