"""Pictures that cells show as HTML: large ones become files beside the page, and every one gets its words.

`elsedu.figures.page` writes pictures into the HTML as ``data:`` addresses. As files they are loaded when they are
needed (one theme, one width), and a page stays light.
"""

import base64
import hashlib
import re
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform

FOLDER = "_images/figures"
_INLINE = 1500  # a picture of fewer letters stays where it is
_DATA = re.compile(r'(?P<name>src|srcset)="data:image/png;base64,(?P<data>[A-Za-z0-9+/=]+)"')
_UNSAID = re.compile(r'(alt|aria-label)="figure"')


def words(image, caption):
    """The alternative text of a figure: the author's, unless it only repeats the caption below."""
    alt = (image.get("alt") or "").strip()
    plain = re.sub(r"\{[a-z:]+\}`([^`<]*?)(?: ?<[^`]*>)?`", r"\1", caption or "")
    plain = re.sub(r"[$*_`\\{}]", "", plain)
    if not alt or alt == plain:
        return "The figure that the caption describes"
    return alt


def _escape(text):
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def to_files(html, folder, prefix):
    """Move the large pictures of some HTML into files named by their content; return the HTML that shows them."""

    def move(match):
        if len(match["data"]) < _INLINE:
            return match[0]
        png = base64.b64decode(match["data"])
        name = hashlib.sha256(png).hexdigest()[:20] + ".png"
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / name).exists():
            (folder / name).write_bytes(png)
        return f'{match["name"]}="{prefix}{FOLDER}/{name}"'

    return _DATA.sub(move, html)


def _say(html, alt):
    """Put the alternative text where `figures.page` left a place for it."""
    return _UNSAID.sub(lambda match: f'{match[1]}="{alt}"', html)


class Pictures(SphinxTransform):
    """Give words to the pictures of each cell, and files to those that `figures.page` drew."""

    default_priority = 215

    def apply(self):
        prefix = "../" * self.env.docname.count("/")
        folder = Path(self.app.outdir) / FOLDER
        for cell in self.document.findall(nodes.container):
            if cell.get("nb_element") != "cell_code":
                continue
            options = cell["cell_metadata"].get("mystnb", {})
            alt = _escape(words(options.get("image", {}), options.get("figure", {}).get("caption")))
            for raw in cell.findall(nodes.raw):
                html = raw.astext()
                if 'class="els-' not in html:
                    continue
                html = _say(html, alt)
                if 'class="els-figure' in html:
                    html = to_files(html, folder, prefix)
                raw.rawsource = html
                raw[:] = [nodes.Text(html)]
            # A picture of matplotlib's own, in a cell that does not go through `figures.page`.
            for image in cell.findall(nodes.image):
                if image.get("alt") or "image" in options:
                    image["alt"] = words(options.get("image", {}), options.get("figure", {}).get("caption"))


def setup(app):
    app.add_transform(Pictures)
