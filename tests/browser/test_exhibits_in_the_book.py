"""The living exhibits where they stand in the built book: all awake, nothing loaded before play, one played."""

import re

import pytest
from harness import watched
from pages import html, pages

EXHIBITS = [
    (str(page.with_suffix("").name), html(page)) for page in pages()
    if html(page).exists() and 'class="elsl"' in html(page).read_text(encoding="utf-8")
]  # fmt: skip


def test_front_page_and_chapters_hold_exhibits(built):
    names = {name for name, _ in EXHIBITS}
    assert names >= {"intro", "ideal_score", "locality", "equivariance", "borders", "mosaics", "provenance", "scales",
                     "failures", "prediction", "cifar10"}  # fmt: skip


@pytest.mark.parametrize("name, path", EXHIBITS, ids=[name for name, _ in EXHIBITS])
def test_exhibits_wake_and_load_nothing_before_they_are_asked(chromium, site, built, name, path):
    asked = []
    with watched(chromium) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{site}/{path.relative_to(built)}", wait_until="networkidle")
        count = page.locator("figure.elsl").count()
        assert count == len(re.findall('class="elsl"', path.read_text(encoding="utf-8")))
        assert page.locator("figure.elsl[data-ready='1']").count() == count
        live = [url.rsplit("/", 1)[1] for url in asked if "/_static/live/" in url]
        assert live == ["elsedu-live.js"]
        assert page.complaints == [] and page.outside == [] and page.missing == []


def test_the_front_page_plays(chromium, site):
    with watched(chromium) as page:
        page.goto(f"{site}/book/intro.html", wait_until="load")
        page.locator("#front .elsl-primary").click()
        page.wait_for_function("document.getElementById('front').exhibit?.film?.finished", timeout=120_000)
        page.wait_for_function("/agrees with/.test(document.querySelector('#front .elsl-voice').textContent)")
        words = page.locator("#front .elsl-voice").inner_text()
        assert re.search(r"IS returned training image \d+ .* ELS drew what is in no training image", words)
        assert float(re.search(r"with ELS to r = (\d\.\d\d)", words)[1]) > 0.9
        assert page.complaints == [] and page.outside == [] and page.missing == []


def test_exhibits_stay_dark_in_the_dark(chromium, site):
    with watched(chromium, color_scheme="dark") as page:
        page.add_init_script("localStorage.setItem('theme', 'dark'); localStorage.setItem('mode', 'dark')")
        page.goto(f"{site}/book/intro.html", wait_until="load")
        page.wait_for_selector("#front[data-ready='1']")
        ground = page.locator("#front").evaluate("e => getComputedStyle(e).backgroundColor")
        assert max(map(int, re.findall(r"\d+", ground)[:3])) < 60
