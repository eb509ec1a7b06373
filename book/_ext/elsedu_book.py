"""What the book's build sets for itself and for the kernels it starts.

* ``import elsedu`` works from a checkout without an installation;
* ELSEDU_BOOK=1: live widgets print one line, so that no page carries widget code;
* ELSEDU_PROGRESS=0: no progress bars in the pages.
"""

import os
import pathlib
import sys

ROOT = str(pathlib.Path(__file__).resolve().parents[2])
sys.path.insert(0, ROOT)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
os.environ["ELSEDU_BOOK"] = "1"
os.environ["ELSEDU_PROGRESS"] = "0"


def _without_module_text(app, what, name, obj, options, lines):
    """The API page introduces each module in its own words; module docstrings are for readers of the code."""
    if what == "module":
        lines.clear()


def _write_live_scripts(app, exception):
    """What the living exhibits fetch when a reader plays: once for all pages, under _static/live."""
    if exception is None and app.builder.format == "html":
        from elsedu.live.page import write_scripts

        write_scripts(pathlib.Path(app.outdir) / "_static" / "live")


def setup(app):
    import elsedu_page

    app.setup_extension("sphinx.ext.autodoc")
    elsedu_page.setup(app)
    app.connect("autodoc-process-docstring", _without_module_text)
    app.connect("build-finished", _write_live_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
