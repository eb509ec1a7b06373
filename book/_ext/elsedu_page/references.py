"""Links and numbers: chapters are called by their number, equations count as the reader sees them.

* A link to a chapter that has no text of its own says "chapter 8"; its full title is the tooltip. Where the link
  stands alone, as in a table or a list, the title stays.
* ``({eq}`eq-x`)`` does not print double parentheses.
* Equations inside closed proofs are numbered after those of the main path, so that the main path has no gaps.
"""

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform


class Parentheses(SphinxTransform):
    """Drop the parentheses that an author put around a reference to an equation, which brings its own."""

    default_priority = 220

    def apply(self):
        for ref in list(self.document.findall(addnodes.pending_xref)):
            if ref.get("reftype") != "eq":
                continue
            at = ref.parent.index(ref)
            around = ref.parent.children[at - 1 : at] + ref.parent.children[at + 1 : at + 2]
            if len(around) == 2 and at > 0 and all(isinstance(n, nodes.Text) for n in around):
                before, after = (n.astext() for n in around)
                if before.endswith("(") and after.startswith(")"):
                    ref.parent.replace(around[0], nodes.Text(before[:-1]))
                    ref.parent.replace(around[1], nodes.Text(after[1:]))


def chapter_name(number, before):
    """ "chapter 8", or "Chapter 8" where a sentence begins."""
    start = not before.strip() or before.rstrip().endswith((".", ":", "?", "!"))
    return f"{'Chapter' if start else 'chapter'} {number}"


def _alone(node):
    """Whether a link is all that its paragraph or cell says."""
    block = node
    while block.parent is not None and not isinstance(block, nodes.paragraph | nodes.entry | nodes.title):
        block = block.parent
    return block.astext().strip() == node.astext().strip()


def shorten(app, doctree, docname):
    """Name chapters by their numbers in the links of one page."""
    env = app.env
    if docname == env.config.root_doc:
        return  # the front page lists the chapters by their names
    chapters = {}
    for page, numbers in env.toc_secnumbers.items():
        if number := numbers.get(""):
            chapters[app.builder.get_relative_uri(docname, page)] = (page, number[0])
    for ref in list(doctree.findall(nodes.reference)):
        page, number = chapters.get(ref.get("refuri", "").partition("#")[0], (None, None))
        if page is None or page == docname or "sd-stretched-link" in str(ref.get("classes")):
            continue
        title = env.titles[page].astext()
        if ref.astext() != title or _alone(ref):
            continue
        before = ""
        siblings = ref.parent.children
        for near in reversed(siblings[: siblings.index(ref)]):
            before = near.astext() + before
        inner = next(ref.findall(nodes.Text))
        inner.parent.replace(inner, nodes.Text(chapter_name(number, before)))
        ref["reftitle"] = title


def _hidden(node):
    """Whether a node lies in a closed drop-down."""
    while node is not None:
        if "dropdown" in node.get("classes", []):
            return True
        node = node.parent
    return False


def main_path_first(app, env):
    """Renumber the equations of each page: those that stand open first, then those in closed proofs."""
    for docname, kinds in env.toc_fignumbers.items():
        numbers = kinds.get("displaymath")
        if not numbers:
            continue
        hidden = {}
        for block in env.get_doctree(docname).findall(nodes.math_block):
            for name in block.get("ids", []) or [nodes.make_id(f"equation-{block.get('label')}")]:
                hidden[name] = _hidden(block)
            hidden[f"equation-{block.get('label')}"] = _hidden(block)
        order = sorted(numbers, key=lambda name: numbers[name])
        later = sorted(order, key=lambda name: hidden.get(name, False))  # stable
        values = sorted(numbers.values())
        numbers.update(zip(later, values))
    return []


def setup(app):
    app.add_transform(Parentheses)
    app.connect("doctree-resolved", shorten, priority=700)
    app.connect("env-get-updated", main_path_first, priority=900)  # after Sphinx has counted
