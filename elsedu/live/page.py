"""The HTML of an exhibit: a still picture that needs no script, its specification, and the scripts that move it.

In the built book (ELSEDU_BOOK=1) the scripts lie once under `_static/live` and are fetched when the reader plays; in a
notebook everything stands inside the output, so that it works in JupyterLab, Colab and exported HTML, offline too.
"""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from string import Template

from PIL import Image

from elsedu.figures.grids import to_pixels

from . import catalogue
from .payload import image_payload, network_payload, script

DIST = Path(__file__).parent / "dist"
#: Where the book keeps the scripts, seen from its root.
FOLDER = "_static/live/"


def picture(values) -> str:
    """A small PNG of one image (C, H, W) in [-1, 1] as a data address."""
    pixels = to_pixels(values)[0]
    return small_png(Image.fromarray(pixels[..., 0] if (pixels == pixels[..., :1]).all() else pixels))


def small_png(image: Image.Image, colors: int | None = None) -> str:
    """A picture as a data address; colors: at most so many are kept."""
    buffer = io.BytesIO()
    if colors:
        image = image.convert("RGB").quantize(colors, dither=Image.Dither.NONE)
    image.save(buffer, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


_TILE = Template(
    '<div class="elsl-tile" style="--tone:$color">'
    '<div class="elsl-head"><strong>$title</strong><span>$note</span></div>'
    '<div class="elsl-pic" style="aspect-ratio:$width/$height"><img data-name="$name" alt="$alt" src="$src" '
    'width="$width" height="$height"></div></div>'
)


def still_picture(pictures: list[dict], note: str) -> str:
    """The line-up as it looks without scripts.

    Args:
        pictures: one dict a picture with name (for the script), title, note, color, src (see `picture`), alt, height
            and width in pixels.
        note: a sentence below.
    """
    tiles = "".join(_TILE.substitute({key: html.escape(str(value)) for key, value in one.items()}) for one in pictures)
    return (
        f'<div class="elsl-still"><div class="elsl-tiles" style="--columns:{max(1, len(pictures))}">{tiles}</div>'
        f'<p class="elsl-engine">{html.escape(note)}</p></div>'
    )


def figure(
    spec: dict, still: str, sets: Iterable[str] = (), networks: Iterable[str] = (), own: dict | None = None
) -> str:
    """The whole HTML of an exhibit.

    Args:
        spec: the specification, for JSON; its `id` is the figure's, its `prompt` the sentence that says what to try.
        still: what is seen without scripts, from `still_picture`.
        sets: names of the catalogue's image sets that must be at hand.
        networks: names of shipped networks that must be at hand.
        own: {name: payload} of image sets that are not in the catalogue; they stand in the page in any case.
    """
    book = os.environ.get("ELSEDU_BOOK") == "1"
    text = json.dumps(spec, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    style = (DIST / "elsedu-live.css").read_text(encoding="utf-8")
    base = f' data-base="{FOLDER}"' if book else ""
    parts = [
        f"<style>{style}</style>",
        f'<figure class="elsl" id="{spec["id"]}"{base}><p class="elsl-prompt">{html.escape(spec["prompt"])}</p>{still}'
        f'<script type="application/json">{text}</script></figure>',
    ]
    inside = [script(f"data/{name}", payload) for name, payload in (own or {}).items()]
    if book:
        parts.append(_LOADER.replace("FOLDER", FOLDER))
        parts += [f"<script>(window.elsedu_live_waiting??=[]).push(()=>{{{one}}})</script>" for one in inside]
    else:
        inside += [data_script(name) for name in sets] + [network_script(name) for name in networks]
        scripts = [(DIST / name).read_text(encoding="utf-8") for name in ("elsedu-live.js", "engine.js")]
        parts += ["<script>" + one.replace("</script", "<\\/script") + "</script>" for one in [*scripts, *inside]]
    return "\n".join(parts)


# Sphinx writes the way from a page to the book's root on <html>; the script is added once a page.
_LOADER = """<script>(()=>{const d=document;if(window.elsedu_live){elsedu_live.mount();return}
if(d.getElementById("elsedu-live"))return;const s=d.createElement("script");s.id="elsedu-live";
s.src=(d.documentElement.dataset.content_root||"")+"FOLDERelsedu-live.js";d.head.append(s)})()</script>"""


def data_script(name: str) -> str:
    """The script that brings an image set of the catalogue."""
    classes = {"classes": catalogue.information(name)["classes"]}
    return script(f"data/{name}", image_payload(catalogue.load(name), name, catalogue.ENTRIES[name].title) | classes)


def network_script(name: str) -> str:
    """The script that brings a shipped network."""
    from elsedu.networks import network

    return script(f"networks/{name}", network_payload(network(name)))


def write_scripts(folder: Path, sets: Iterable[str] | None = None) -> list[Path]:
    """Write what the book's pages fetch: the component, the engine, the catalogue's image sets and their networks.

    Args:
        folder: usually `_build/html/_static/live`; made if missing.
        sets: names of the image sets that are needed, with their networks; default all.

    Returns:
        The files written.
    """
    files = {}
    for name in ("elsedu-live.js", "engine.js"):
        files[name] = (DIST / name).read_text(encoding="utf-8")
    for name in catalogue.ENTRIES if sets is None else sets:
        entry = catalogue.ENTRIES[name]
        files[f"data/{name}.js"] = data_script(name)
        if entry.network:
            files[f"networks/{entry.network}.js"] = network_script(entry.network)
    written = []
    for name, text in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
