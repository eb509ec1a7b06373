"""Exhibits in a real browser: as one HTML file, as a notebook shows them, or as in the book, with shared scripts."""

import contextlib

from harness import serve, watched

HEAD = (
    '<!doctype html><html lang="en" data-theme="light"{root}><head><meta charset="utf-8"><title>exhibit</title>'
    '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"></head><body>'
)


def write(folder, exhibit, name="page.html", root=""):
    """One page with one exhibit; root: attributes of <html>."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD.format(root=root) + exhibit._repr_html_() + "</body></html>", encoding="utf-8")
    return path


@contextlib.contextmanager
def opened(chromium, folder, exhibit, width=1000, hash="", query="?engine=js", **options):
    """The exhibit in a page that works and asks for nothing outside; its methods are at `page.evaluate("e => ...")`."""
    write(folder, exhibit)
    with serve(folder) as address, watched(chromium, width, **options) as page:
        page.goto(f"{address}/page.html{query}{hash}")
        page.address = address
        yield page
        assert page.complaints == [] and page.outside == [] and page.missing == []


def ask(page, expression, argument=None):
    """Evaluate a function of the exhibit, such as "e => e.player.at"."""
    return page.evaluate(f"a => ({expression})(document.querySelector('.elsl').exhibit, a)", argument)


def play(page, timeout=60_000):
    """Press the play button and wait for the end."""
    page.locator(".elsl-primary").first.click()
    page.wait_for_function(
        "() => { const e = document.querySelector('.elsl').exhibit; "
        "return e.film?.finished && e.player.at === e.player.steps && !e.player.playing }",
        timeout=timeout,
    )


def samples(page):
    """What every lane drew."""
    return ask(page, "e => e.film.frames.map(lane => Array.from(lane.at(-1).noisy))")
