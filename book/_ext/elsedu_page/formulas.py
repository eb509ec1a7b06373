"""Displayed formulas: broken into short lines on a telephone, as one line where there is room.

The sources break long formulas for narrow screens. Breaks that a wide screen does not need become the macro
``\\elsbreak``, which _static/book.js defines: a new line on a telephone, nothing elsewhere.
"""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

WIDE = 56  # letters that fit into one line of the column
_BLOCK = re.compile(r"\\begin\{(aligned|split)\}(.*?)\\end\{\1\}", re.S)


# Commands that print nothing of their own.
_SILENT = re.compile(
    r"\\(?:big|Big|bigg|Bigg|left|right|tfrac|operatorname|text|mathrm|mathbf|mathcal|mathbb|hat|tilde|bar|,|;|!|:)"
    r"(?![a-zA-Z])|\\(?:quad|qquad)"
)


def letters(tex):
    """About how many letters wide a formula is."""
    tex = _SILENT.sub("", tex)
    tex = re.sub(r"\\d?frac\{((?:[^{}]|\{[^{}]*\})*)\}\{((?:[^{}]|\{[^{}]*\})*)\}",
                 lambda m: max(m[1], m[2], key=len), tex)  # fmt: skip
    tex = re.sub(r"\\[a-zA-Z]+", "x", tex)
    scripts = sum(len(m[1] or m[2]) for m in re.finditer(r"[_^](?:\{([^{}]*)\}|(\S))", tex))
    return len(re.sub(r"[\s{}_^&\\]", "", tex)) - 0.4 * scripts + 0.5 * len(re.findall(r"[=+\-<>]", tex))


def joined(body):
    """The lines of an ``aligned`` block with the breaks that only telephones need marked as such."""
    lines = re.split(r"\\\\(?!\[)", body)
    if len(lines) < 2 or r"\begin" in body:
        return body
    done = [lines[0]]
    for line in lines[1:]:
        start = line.lstrip()
        both = done[-1].rpartition("\n\n")[2] + start
        # Only a line that goes on with what stands before it: it begins with & and a relation or an operator.
        goes_on = re.match(
            r"&\s*(?:\\(?:quad|qquad|,|;)\s*)*(=|\+|-|\\cdot|\\times|\\le|\\ge|\\approx|\\to|\\propto|\\log|\\sum|\\Big|\\big|\\exp|\\int|\(|\[)",
            start,
        )
        if goes_on and letters(both) <= WIDE:
            done[-1] = done[-1].rstrip() + r" \elsbreak " + re.sub(r"^&\s*(?:\\(?:quad|qquad|,|;)\s*)*", "", start)
        else:
            done.append(line)
    return r"\\".join(done)


class Lines(SphinxTransform):
    """Mark the line breaks of every displayed formula that are for telephones only."""

    default_priority = 230

    def apply(self):
        for block in self.document.findall(nodes.math_block):
            text = _BLOCK.sub(lambda m: f"\\begin{{{m[1]}}}{joined(m[2])}\\end{{{m[1]}}}", block.astext())
            block[:] = [nodes.Text(text)]


def setup(app):
    app.add_transform(Lines)
