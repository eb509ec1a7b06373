"""The built book in a real browser: complete, quiet, self-contained, light, and its explorers work."""

import re

import pytest
from harness import watched
from pages import HTML, ROOT, html, missing_pages, pages

NAMES = [str(p.relative_to(ROOT).with_suffix("")) for p in pages()]
LIMIT = 1_500_000  # bytes: a page with its own pictures


def test_every_page_is_there_with_its_figures(built):
    assert missing_pages() == []


@pytest.mark.parametrize("page", pages(), ids=NAMES)
def test_page_is_light(built, page):
    text = html(page).read_text(encoding="utf-8")
    pictures = set(re.findall(r'src="(?:\.\./)*(_images/[^"]+)"', text))
    weight = len(text.encode()) + sum((HTML / name).stat().st_size for name in pictures)
    assert weight <= LIMIT, f"{weight / 1e6:.2f} MB"


@pytest.mark.parametrize("page", pages(), ids=NAMES)
def test_pictures_have_words(built, page):
    main = re.search(r"<article.*</article>", html(page).read_text(encoding="utf-8"), re.S).group()
    for picture in re.findall(r"<img\b[^>]*>", main):
        alt = re.search(r'alt="([^"]*)"', picture)
        assert alt and len(alt.group(1)) > 10 and not alt.group(1).startswith("../"), picture[:200]


def check_explorers(page):
    """Every slider of every explorer, moved through all its values with the keyboard, changes the picture."""
    explorers = page.locator(".elsx")
    for k in range(explorers.count()):
        one = explorers.nth(k)
        picture, sliders = one.locator("img.elsx-picture"), one.locator("input[type=range]")
        for axis in range(sliders.count()):
            slider = sliders.nth(axis)
            seen = set()
            slider.focus()
            page.keyboard.press("Home")
            words = picture.get_attribute("alt")
            for _ in range(int(slider.get_attribute("max"))):
                seen.add(picture.get_attribute("src"))
                page.keyboard.press("ArrowRight")
                assert picture.get_attribute("alt") != words, "the alternative text kept its values"
            seen.add(picture.get_attribute("src"))
            assert len(seen) > 1, "the picture never changed"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [1400, 390])
def test_page_is_quiet_self_contained_and_alive(chromium, site, name, width):
    with watched(chromium, width) as page:
        page.goto(f"{site}/{name}.html", wait_until="load")
        if page.locator("article .math").count():
            page.wait_for_selector("article mjx-container", state="attached")
            assert page.locator("mjx-merror").count() == 0
        if width == 1400:
            check_explorers(page)
        # Nothing wider than the window: the page must not scroll sideways, on a phone least of all.
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 1
        assert page.outside == [] and page.missing == [] and page.complaints == []


def first_with_explorer(built):
    return next((n for n in NAMES if 'class="elsx"' in (built / f"{n}.html").read_text(encoding="utf-8")), None)


@pytest.fixture(scope="module")
def explorer_page(built):
    name = first_with_explorer(built)
    assert name, "no page holds an explorer"
    return name


def test_explorer_shows_its_first_frame_without_scripts(chromium, site, explorer_page):
    with watched(chromium, java_script_enabled=False) as page:
        page.goto(f"{site}/{explorer_page}.html")
        one = page.locator(".elsx").first
        assert one.locator("img").evaluate("e => e.naturalWidth") > 0
        assert " = " in one.locator(".elsx-values").inner_text()


def test_explorer_plays_and_pauses(chromium, site, explorer_page):
    with watched(chromium) as page:
        page.goto(f"{site}/{explorer_page}.html", wait_until="load")
        button = page.locator(".elsx button").first
        one = page.locator(".elsx", has=page.locator("button")).first
        before = one.locator("img").get_attribute("alt")
        button.click()
        page.wait_for_function(
            "([e, alt]) => e.alt !== alt", arg=[one.locator("img").element_handle(), before], timeout=10_000
        )
        assert "pause" in button.get_attribute("aria-label")
        button.click()
        assert "play" in button.get_attribute("aria-label")


def test_explorer_answers_to_touch(chromium, site, explorer_page):
    with watched(chromium, 390, has_touch=True, is_mobile=True) as page:
        page.goto(f"{site}/{explorer_page}.html", wait_until="load")
        one = page.locator(".elsx").first
        before = one.locator("img").get_attribute("src")
        slider = one.locator("input[type=range]").last
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        assert box["height"] >= 24, "too small for a finger"
        page.touchscreen.tap(box["x"] + 0.95 * box["width"], box["y"] + box["height"] / 2)
        page.wait_for_function("([e, src]) => e.src !== src", arg=[one.locator("img").element_handle(), before])


def test_explorer_prints_its_values_and_not_its_sliders(chromium, site, explorer_page):
    with watched(chromium) as page:
        page.goto(f"{site}/{explorer_page}.html", wait_until="load")
        page.emulate_media(media="print")
        assert not page.locator(".elsx-controls").first.is_visible()
        assert page.locator(".elsx-values").first.is_visible()


def test_both_themes_are_readable(chromium, site):
    """Contrast of text and ground at least 4.5 to 1 (WCAG AA) in both themes."""
    contrast = """() => {
      const level = c => { const [r, g, b] = c.match(/[0-9.]+/g).map(v => v / 255)
        .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b; };
      const ground = level(getComputedStyle(document.body).backgroundColor);
      return [...document.querySelectorAll("article p, article h1, article p a, figcaption p")].map(e => {
        const text = level(getComputedStyle(e).color);
        return (Math.max(text, ground) + .05) / (Math.min(text, ground) + .05); });
    }"""
    for theme in ("light", "dark"):
        with watched(chromium) as page:
            page.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
            page.goto(f"{site}/book/glossary.html", wait_until="load")
            assert page.evaluate("document.documentElement.dataset.theme") == theme
            values = page.evaluate(contrast)
            assert len(values) > 3 and min(values) >= 4.5


def test_search_finds_a_word(chromium, site):
    with watched(chromium) as page:
        page.goto(f"{site}/search.html?q=equivariance", wait_until="load")
        page.wait_for_selector("#search-results li a")
        assert page.outside == []


def test_notebook_pages_open_in_colab(built):
    import yaml

    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    owner = config["url"].removeprefix("https://github.com/")
    for page in pages():
        text = html(page).read_text(encoding="utf-8")
        name = page.relative_to(ROOT)
        link = f"https://colab.research.google.com/github/{owner}/blob/{config['branch']}/{name}"
        assert (link in text) == (page.suffix == ".ipynb"), name
        assert f"{config['url']}/edit/{config['branch']}/{name}" in text
