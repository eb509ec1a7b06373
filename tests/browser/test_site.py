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
    # A figure lies there in two themes and two widths; a reader loads one of the four.
    seen = re.sub(r'<picture class="els-dark">.*?</picture>|<source [^>]*>', "", text, flags=re.S)
    pictures = set(re.findall(r'src="(?:\.\./)*(_images/[^"]+)"', seen))
    weight = len(text.encode()) + sum((HTML / name).stat().st_size for name in pictures)
    assert weight <= LIMIT, f"{weight / 1e6:.2f} MB"


@pytest.mark.parametrize("page", pages(), ids=NAMES)
def test_pictures_have_words(built, page):
    main = re.search(r"<article.*</article>", html(page).read_text(encoding="utf-8"), re.S).group()
    # The tiles of a grid are silent: the grid has one text for all of them.
    for grid in re.findall(r'<div class="els-grid[^>]*>', main):
        assert re.search(r'role="img" aria-label="[^"]{11,}"', grid), grid
    main = re.sub(r'<span class="els-tile">.*?</span>(?=<span class="els|</span>|</div>)', "", main, flags=re.S)
    main = re.sub(r'<img alt="" width="\d+" height="\d+" src="data:[^"]*">', "", main)
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
        page.wait_for_selector("#search-results p.context[data-clean]", state="attached")
        text = page.locator("#search-results").inner_text()
        assert "\\(" not in text and "\\begin{" not in text
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


def text_of(page):
    """What stands in a page's article, without scripts and addresses of pictures."""
    main = re.search(r"<article.*</article>", html(page).read_text(encoding="utf-8"), re.S).group()
    return re.sub(r"<script.*?</script>|data:image[^\"]*", "", main, flags=re.S)


@pytest.mark.parametrize("page", pages(), ids=NAMES)
def test_nothing_of_the_notebook_is_left(built, page):
    """No folds, no device, no stubs, no kernel, no Colab titles; what was checked is in the page's list."""
    text = text_of(page)
    for words in ("Show the source", "Show code cell", "not answered yet", "need a kernel", "# @title", "Device: "):
        assert words not in text, words
    if page.suffix == ".ipynb" and page.parent.name.startswith("part"):
        printed = re.findall(r'<div class="output stream.*?</div>', text, re.S)
        lines = re.sub("<[^>]*>", "", "".join(printed)).splitlines()
        checks = [line for line in lines if re.search(r": True\s*$", line)]
        assert checks == [] or any("False" in line for line in lines)
        assert text.count('class="els-bar"') == 1


@pytest.fixture(scope="module")
def chapter(built):
    return next(n for n in NAMES if "/part" in n and (built / f"{n}.html").exists())


def test_one_switch_shows_all_code(chromium, site, chapter):
    with watched(chromium) as page:
        page.goto(f"{site}/{chapter}.html", wait_until="load")
        code = page.locator("article .cell_input.els-code")
        assert code.count() > 3 and not any(code.nth(k).is_visible() for k in range(3))
        button = page.locator(".els-switch")
        button.click()
        # Code of exercises lies in closed drop-downs, which stay closed.
        assert sum(code.nth(k).is_visible() for k in range(code.count())) > 3
        assert button.get_attribute("aria-pressed") == "true"
        button.click()
        assert not any(code.nth(k).is_visible() for k in range(code.count()))


def test_the_badge_opens_its_list(chromium, site, chapter):
    with watched(chromium) as page:
        page.goto(f"{site}/{chapter}.html", wait_until="load")
        page.locator(".els-checked summary").click()
        assert page.locator(".els-checked-list li").first.is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_have_the_ground_of_the_page(chromium, site, built, theme):
    """Each figure is shown once, and its corner has the colour of the page: no white cards in the dark."""
    corner = """() => [...document.querySelectorAll("article picture")]
      .filter(p => getComputedStyle(p).display != "none")
      .map(p => { const img = p.querySelector("img"); const canvas = document.createElement("canvas");
        canvas.width = canvas.height = 1; const pen = canvas.getContext("2d"); pen.drawImage(img, -1, -1);
        return [p.className, ...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)]; })"""
    name = next((n for n in NAMES if "els-figure" in (built / f"{n}.html").read_text(encoding="utf-8")), None)
    assert name, "no page holds a figure"
    with watched(chromium) as page:
        page.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
        page.goto(f"{site}/{name}.html", wait_until="load")
        page.evaluate("document.querySelectorAll('article img').forEach(e => { e.loading = 'eager'; })")
        page.wait_for_function("[...document.querySelectorAll('article picture img')].every(e => e.complete)")
        shown = page.evaluate(corner)
        assert len(shown) == page.locator("article .els-figure").count() > 0
        for kind, *color in shown:
            assert kind == f"els-{theme}"
            assert max(abs(a - b) for a, b in zip(color, (255, 255, 255) if theme == "light" else (18, 23, 29))) <= 6


def test_labels_of_grids_are_legible_on_a_telephone(chromium, site, built):
    name = next((n for n in NAMES if "els-label" in (built / f"{n}.html").read_text(encoding="utf-8")), None)
    assert name, "no page holds a grid"
    with watched(chromium, 390) as page:
        page.goto(f"{site}/{name}.html", wait_until="load")
        sizes = page.locator(".els-grid :is(.els-label, .els-head)").evaluate_all(
            "e => e.filter(x => x.offsetParent).map(x => parseFloat(getComputedStyle(x).fontSize))")  # fmt: skip
        assert sizes and min(sizes) >= 11
        tiles = page.locator(".els-grid .els-tile img").evaluate_all("e => e.map(x => x.getBoundingClientRect().width)")
        assert min(tiles) >= 40


def test_no_icon_fonts_and_every_button_shows_its_icon(chromium, site):
    with watched(chromium) as page:
        asked = []
        page.on("request", lambda r: asked.append(r.url))
        page.goto(f"{site}/book/intro.html", wait_until="networkidle")
        assert not [url for url in asked if "fontawesome" in url or "webfonts" in url]
        icons = page.locator(".article-header-buttons :is(i, span)[class*=fa-]").evaluate_all(
            "e => e.filter(x => x.offsetParent)"
            ".map(x => [x.className, getComputedStyle(x).maskImage, x.offsetWidth])")  # fmt: skip
        assert len(icons) >= 4
        for kind, mask, width in icons:
            assert "svg" in mask and width > 8, kind
        theme = page.evaluate("document.documentElement.dataset.mode")
        page.locator(".theme-switch-button").first.click()
        assert page.evaluate("document.documentElement.dataset.mode") != theme


def test_the_front_page_is_light_on_the_wire(chromium, site, built):
    """Everything that a first visit loads before it plays, compressed as a server would."""
    import gzip

    with watched(chromium) as page:
        asked = set()
        page.on("request", lambda r: asked.add(r.url.partition("?")[0]))
        page.goto(f"{site}/book/intro.html", wait_until="networkidle")
        weight = 0
        for url in (u for u in asked if u.startswith(site)):
            content = (built / url.removeprefix(site + "/")).read_bytes()
            packed = url.endswith((".woff2", ".png", ".woff"))
            weight += len(content) if packed else len(gzip.compress(content))
    assert weight < 700_000, f"{weight / 1000:.0f} kB"


def test_the_side_bar_shows_the_current_page(chromium, site, built):
    with watched(chromium, height=700) as page:
        page.goto(f"{site}/book/bibliography.html", wait_until="load")
        box = page.locator(".bd-sidebar-primary .current > a").last.bounding_box()
        assert 0 <= box["y"] and box["y"] + box["height"] <= 700


@pytest.mark.parametrize("page", pages(), ids=NAMES)
def test_a_page_has_one_title_and_describes_itself(built, page):
    text = html(page).read_text(encoding="utf-8")
    assert len(re.findall(r"<h1\b", text)) == 1
    assert re.search(r'<meta name="description" content="[^"]{40,220}"', text)
    assert 'property="og:image"' in text


def test_punctuation_stays_with_its_formula(chromium, site, chapter):
    with watched(chromium, 390) as page:
        page.goto(f"{site}/{chapter}.html", wait_until="load")
        page.wait_for_selector("article .els-keep mjx-container", state="attached")
        torn = page.evaluate("""() => [...document.querySelectorAll("article .els-keep")].filter(e => e.offsetParent)
          .filter(e => e.getClientRects().length > 1 && e.offsetWidth < 300).map(e => e.textContent)""")
        assert torn == []


def test_numbers_of_equations_have_no_gaps(built):
    """On the open path of each chapter, the equations count from one without a gap."""
    from bs4 import BeautifulSoup

    for page in pages():
        if not page.parent.name.startswith("part"):
            continue
        soup = BeautifulSoup(html(page).read_text(encoding="utf-8"), "html.parser")
        open_ = [e for e in soup.select("article .eqno") if not e.find_parent(class_="dropdown")]
        numbers = [int(re.search(r"\.(\d+)", e.get_text())[1]) for e in open_]
        assert numbers == list(range(1, len(numbers) + 1)), page.name
