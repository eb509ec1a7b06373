"""What a page says of itself: description, preview picture, and no more scripts than it needs."""

import html
import re
import shutil
from pathlib import Path

from docutils import nodes

_DEFAULT = ("Why convolutional diffusion models draw what nobody has drawn: the analytic theory of their creativity, "
            "derived step by step and run on real images.")  # fmt: skip


def description(doctree):
    """The first paragraph of a page, without its kicker, at a length that search pages show."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree is not None else ():
        text = " ".join(paragraph.astext().split()).removeprefix("Question.").strip()
        if len(text) > 60 and "\\" not in text:
            return text if len(text) <= 200 else text[:197].rsplit(" ", 1)[0] + " ..."
    return _DEFAULT


def address(config):
    """Where the site lives: html_baseurl, else the GitHub pages of the repository."""
    if config.html_baseurl:
        return config.html_baseurl.rstrip("/")
    owner, _, name = (
        str(config.html_theme_options.get("repository_url", "")).removeprefix("https://github.com/").partition("/")
    )
    return f"https://{owner}.github.io/{name}" if name else ""


def tags(title, text, site, pagename):
    """The meta tags of one page."""
    facts = {"og:title": title, "og:description": text, "og:type": "article",
             "og:url": f"{site}/{pagename}.html", "og:image": f"{site}/_static/preview.png"}  # fmt: skip
    lines = [
        f'<meta name="description" content="{html.escape(text)}">',
        '<meta name="twitter:card" content="summary_large_image">',
    ]
    lines += [f'<meta property="{name}" content="{html.escape(value)}">' for name, value in facts.items()]
    return "\n".join(lines)


def has_formulas(doctree):
    """Whether a page needs MathJax, in its text or in what a cell shows as HTML."""
    if any(True for _ in doctree.findall(nodes.math)) or any(True for _ in doctree.findall(nodes.math_block)):
        return True
    return any('class="math' in raw.astext() for raw in doctree.findall(nodes.raw))


def without_mathjax(scripts):
    """The scripts of a page less MathJax and its settings."""
    return [script for script in scripts if "mathjax" not in f"{script} {getattr(script, 'attributes', {})}".lower()]


def describe(app, pagename, templatename, context, doctree):
    if doctree is None:
        return
    if not has_formulas(doctree):
        context["script_files"] = without_mathjax(context["script_files"])
    title = app.env.titles[pagename].astext() if pagename in app.env.titles else app.config.html_title
    context["metatags"] = context.get("metatags", "") + tags(title, description(doctree), address(app.config), pagename)


_ICON_FONTS = re.compile(
    r"@font-face\{[^}]*Awesome[^}]*\}"  # the fonts
    r"|(?:\.fa-[\w-]+(?:::?before)?,?)+\{(?:--fa[\w-]*|content):[^}]*\}"  # a letter of them for each name
)


def without_icon_fonts(css):
    """A style sheet without Font Awesome's fonts and letters (_static/icons.css draws the icons in use)."""
    return _ICON_FONTS.sub("", css)


def lighten(app, exception):
    """Take out of the finished site what no page loads: icon fonts and their script, and maps for developers."""
    static = Path(app.outdir) / "_static"
    if exception is not None or app.builder.format != "html":
        return
    shutil.rmtree(static / "vendor" / "fontawesome", ignore_errors=True)
    for file in [*static.glob("scripts/fontawesome*"), *static.glob("s*/*.map")]:
        file.unlink(missing_ok=True)
    sheet = static / "styles" / "pydata-sphinx-theme.css"
    if sheet.exists():
        sheet.write_text(without_icon_fonts(sheet.read_text(encoding="utf-8")), encoding="utf-8")
    for file in (static / "scripts").glob("*.js"):
        text = file.read_text(encoding="utf-8")
        file.write_text(re.sub(r"\n//# sourceMappingURL=\S+\s*$", "\n", text), encoding="utf-8")


def setup(app):
    app.connect("html-page-context", describe, priority=900)  # after MathJax has been added
    app.connect("build-finished", lighten, priority=900)
