"""What the site shows of a notebook, and how: the notebooks keep everything, the pages only what a reader needs.

Each module is one part of it; all of them work on the document trees at build time:

* `cells`: code behind one switch, checks gathered into a list, no stubs and no kernel messages;
* `tables`: evidence that a cell prints in columns becomes a table;
* `pictures`: figures in two themes and two widths, as files beside the page;
* `formulas`: formulas in one line where there is room;
* `references`: short names of chapters in links, equations numbered as they are seen;
* `bar`: the line under a chapter's title (reading time, checks, code);
* `head`: description, preview picture and icons of every page.
"""

from . import bar, cells, formulas, head, pictures, references, tables


def setup(app):
    for part in (cells, tables, pictures, formulas, references, bar, head):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
