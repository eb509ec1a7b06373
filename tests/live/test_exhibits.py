"""The exhibits: right numbers, playable with mouse, keys and fingers, quiet, self-contained, polite."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from exhibit_pages import HEAD, ask, opened, play, samples, write
from harness import serve, watched
from PIL import Image

import elsedu
from elsedu import live
from elsedu.figures import COLORS
from elsedu.live import page as live_page
from elsedu.live import payload

SOURCE = Path(live_page.__file__).parent / "src" / "ui"


def machine(**options):
    options = {"data": "mnist16-100", "machines": ["is", "els"], "id": "machine", "steps": 5, "seed": 2} | options
    parts = ["sources", "paint", "nearest", "windows", "data", "border", "steps", "machines"]
    return live.Machine(parts=parts, sets=["digits"], **options)


EXHIBITS = {
    "machine": machine,
    "inspector": lambda: live.Inspector("mnist16-100", live.unseen(3), id="inspector"),
    "two-pixels": lambda: live.TwoPixels(machines=["is", "ls", "es", "els"]),
    "two-images": live.TwoImages,
    "surgery": live.Surgery,
    "bet": lambda: live.Bet("digits"),
}


@pytest.fixture(scope="module")
def exhibits():
    """Each exhibit, made once."""
    return {name: make() for name, make in EXHIBITS.items()}


# -- the page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXHIBITS)
def test_an_exhibit_lives_in_one_html_file(live_chromium, tmp_path, exhibits, name):
    with opened(live_chromium, tmp_path, exhibits[name]) as page:
        assert page.locator(".elsl[data-ready='1']").count() == 1
        assert page.locator(".elsl-prompt").inner_text() == exhibits[name].prompt
        assert page.locator(".elsl-still").count() == 0


def test_an_exhibit_plays_from_a_file(live_chromium, tmp_path):
    path = write(tmp_path, machine())
    page = live_chromium.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("http:", "https:")) and wrong.append(request.url))
    page.goto(path.as_uri())
    play(page)
    page.close()
    assert wrong == []


@pytest.mark.parametrize("name", EXHIBITS)
def test_a_still_picture_remains_where_scripts_are_blocked(live_chromium, tmp_path, exhibits, name):
    with opened(live_chromium, tmp_path, exhibits[name], java_script_enabled=False) as page:
        pictures = page.locator(".elsl-still img")
        assert pictures.count() >= 1
        for k in range(pictures.count()):
            assert pictures.nth(k).bounding_box()["width"] > 100
            assert len(pictures.nth(k).get_attribute("alt")) > 15
        assert "scripts" in page.locator(".elsl-engine").inner_text()


def test_in_the_book_scripts_are_shared_and_come_when_asked(live_chromium, tmp_path, monkeypatch):
    monkeypatch.setenv("ELSEDU_BOOK", "1")
    two = machine(), live.TwoPixels()
    (tmp_path / "book").mkdir()
    text = HEAD.format(root=' data-content_root="../"') + "".join(one._repr_html_() for one in two) + "</body></html>"
    assert len(text) < 60_000
    (tmp_path / "book/page.html").write_text(text, encoding="utf-8")
    written = live_page.write_scripts(tmp_path / "_static/live", sets=["mnist16-100"])
    assert {path.name for path in written} >= {"elsedu-live.js", "engine.js", "mnist16-100.js"}
    asked = []
    with serve(tmp_path) as address, watched(live_chromium) as page:
        page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[1]))
        page.goto(f"{address}/book/page.html")
        page.wait_for_selector("#machine[data-ready='1']")
        page.wait_for_selector("#two-pixels[data-ready='1']")
        assert asked == ["page.html", "elsedu-live.js"]
        play(page)
        assert sorted(asked[2:]) == ["engine.js", "mnist16-100.js"]
        assert page.complaints == [] and page.outside == [] and page.missing == []
    page = live_chromium.new_page()  # and the same from the disk
    page.goto((tmp_path / "book/page.html").as_uri())
    page.wait_for_selector("#machine[data-ready='1']")
    play(page)
    page.close()


@pytest.mark.parametrize("book", ["0", "1"])
def test_an_image_set_of_ones_own_stands_in_the_page(live_chromium, tmp_path, monkeypatch, book):
    monkeypatch.setenv("ELSEDU_BOOK", book)
    live_page.write_scripts(tmp_path / "_static/live", sets=[])
    own = elsedu.load("digits").take(range(7))
    one = live.Machine(own, ["is", "els"], id="machine", windows=3, steps=4)
    with opened(live_chromium, tmp_path, one) as page:
        page.wait_for_selector("#machine[data-ready='1']")
        play(page)
        for drawn, expected in zip(samples(page), one.samples(), strict=True):
            np.testing.assert_allclose(drawn, expected.flatten().numpy(), atol=1e-3)


def test_a_notebooks_output_carries_what_it_needs_and_no_more(monkeypatch):
    one = live.Machine("digits", ["els", "network"], parts=["data", "machines"], sets=["mnist16-100", "photos32"])
    assert list(one.offered()) == ["digits", "mnist16-100"] and one.networks() == ["digits-resnet-zero"]
    text = one._repr_html_()
    assert all(
        f'register("{name}"' in text for name in ("data/digits", "data/mnist16-100", "networks/digits-resnet-zero")
    )
    assert len(text) < 1_500_000
    monkeypatch.setenv("ELSEDU_BOOK", "1")
    assert len(one.offered()) == 3 and "register(" not in one._repr_html_()


@pytest.mark.parametrize("name", EXHIBITS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_and_everything_fits_a_finger(live_chromium, tmp_path, exhibits, name, theme):
    with opened(live_chromium, tmp_path, exhibits[name], width=390, has_touch=True) as page:
        page.evaluate(
            "theme => { document.documentElement.dataset.theme = theme; "
            "document.querySelectorAll('details').forEach(one => { one.open = true }) }", theme)  # fmt: skip
        assert page.evaluate("document.documentElement.scrollWidth") <= 391
        small = page.evaluate("""() => [...document.querySelectorAll(
            '.elsl button, .elsl select, .elsl input[type=range], .elsl summary, .elsl label, .elsl-handle')]
            .filter(e => e.getClientRects().length && e.getBoundingClientRect().height < 43.5)
            .map(e => e.outerHTML.slice(0, 120))""")
        assert small == []
        contrast = page.evaluate("""() => {
            const level = c => { const v = c.match(/[0-9.]+/g).slice(0, 3).map(x => x / 255)
                .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
                return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
            const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
                if (!/, 0\\)|transparent/.test(c)) return c } return "rgb(255, 255, 255)" };
            return [...document.querySelectorAll('.elsl p, .elsl button, .elsl strong, .elsl span, .elsl output')]
                .filter(e => e.getClientRects().length && e.childElementCount === 0 && e.textContent.trim())
                .map(e => { const a = level(getComputedStyle(e).color), b = level(ground(e));
                    return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.textContent.slice(0, 40)] })
                .filter(([ratio]) => ratio < 4.5) }""")
        assert contrast == []


# -- the sampler ---------------------------------------------------------------------------------------------------


def test_a_sample_is_pythons_and_so_is_the_still_picture(live_chromium, tmp_path):
    one = machine(machines=["is", "es", "ls", "els"], border="circular")
    with opened(live_chromium, tmp_path, one) as page:
        play(page)
        for drawn, expected in zip(samples(page), one.samples(), strict=True):
            np.testing.assert_allclose(drawn, expected.flatten().numpy(), atol=1e-3)
        words = page.locator(".elsl-voice").inner_text()
        assert (
            re.search(r"IS returned training image \d+ \(a \d\)", words)
            and "ELS drew what is in no training image" in words
        )


def test_keys_step_and_scrub(live_chromium, tmp_path):
    with opened(live_chromium, tmp_path, machine()) as page:
        scrubber = page.locator(".elsl-player input[type=range]")
        scrubber.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.querySelector('.elsl').exhibit.film?.ready === 1")
        assert scrubber.get_attribute("aria-valuetext") == "step t = 0.80"
        page.get_by_label("one step towards the image").click()
        page.wait_for_function("document.querySelector('.elsl').exhibit.player.at === 2")
        page.get_by_label("one step towards noise").click()
        assert ask(page, "e => [e.player.at, e.film.ready]") == [1, 2]
        page.keyboard.press("Tab")
        scrubber.focus()
        page.keyboard.press("End")
        page.wait_for_function("document.querySelector('.elsl').exhibit.film.finished")


def test_a_pixel_names_its_source(live_chromium, tmp_path):
    one = machine(machines=["els"])
    with opened(live_chromium, tmp_path, one) as page:
        play(page)
        tile = page.locator(".elsl-tile .elsl-pic").nth(1)
        box = tile.bounding_box()
        row, column = 9, 6
        page.mouse.move(box["x"] + (column + 0.5) * box["width"] / 16, box["y"] + (row + 0.5) * box["height"] / 16)
        words = page.locator(".elsl-words").inner_text()
        states = list(elsedu.ddim(one.denoiser(one.lanes[0]), one.noise(one.seed), 5))
        t, noisy, _ = states[-2]
        post = one.denoiser(one.lanes[0]).posterior(noisy, t)
        image, r, c = post.source[0, row, column].tolist()
        if not post.tied[0, row, column]:
            assert f"training image {image} " in words and f"row {r + 1}, column {c + 1}" in words
        assert f"Row {row + 1}, column {column + 1} of ELS" in words
        tile.focus()
        page.keyboard.press("ArrowDown")
        assert page.locator(".elsl-words").inner_text().startswith(f"Row {row + 2}, column {column + 1}")
        page.get_by_text("seams of the mosaic").click()
        assert tile.locator("path.elsl-seam").get_attribute("d").count("M") > 3


def test_painting_changes_the_drawing_and_new_noise_wipes_it(live_chromium, tmp_path):
    with opened(live_chromium, tmp_path, machine(machines=["els"])) as page:
        play(page)
        before = samples(page)[0]
        box = page.locator(".elsl-paint").bounding_box()
        page.mouse.move(box["x"] + 30, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 30, box["y"] + box["height"] / 2, steps=12)
        page.mouse.up()
        painted = ask(page, "e => e.paint.size")
        assert painted >= 8
        play(page)
        assert np.abs(np.subtract(samples(page)[0], before)).max() > 0.5
        page.get_by_role("button", name="New noise").click()
        assert ask(page, "e => [e.paint.size, e.seed]") == [0, 3]


def test_windows_change_in_mid_course(live_chromium, tmp_path):
    with opened(live_chromium, tmp_path, machine(machines=["els"], steps=6)) as page:
        ask(page, "e => e.player.seek(6)")
        page.wait_for_function("document.querySelector('.elsl').exhibit.film?.finished")
        whole = ask(page, "e => e.film.frames[0].map(f => Array.from(f.noisy))")
        ask(page, "e => e.player.seek(3)")
        page.locator("summary").click()
        curve = page.locator(".elsl-curve")
        curve.focus()
        for _ in range(4):
            page.keyboard.press("ArrowUp")
        page.get_by_role("button", name="all 3").click()
        assert ask(page, "e => [e.film.ready, new Set(e.windows).size]") == [3, 1]
        play(page)
        again = ask(page, "e => e.film.frames[0].map(f => Array.from(f.noisy))")
        assert again[:4] == whole[:4] and again[6] != whole[6]


def test_the_curve_is_dragged(live_chromium, tmp_path):
    with opened(live_chromium, tmp_path, machine()) as page:
        page.locator("summary").click()
        page.locator(".elsl-curve").scroll_into_view_if_needed()
        box = page.locator(".elsl-curve").bounding_box()
        page.mouse.move(box["x"] + 0.15 * box["width"], box["y"] + 0.7 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.95 * box["width"], box["y"] + 0.7 * box["height"], steps=20)
        page.mouse.up()
        windows = ask(page, "e => e.windows")
        assert len(set(windows[2:16])) == 1 and windows[2] in (1, 3, 5), (
            "bars between the ends of a quick stroke are set too"
        )


def test_a_link_restores_the_state(live_chromium, tmp_path, monkeypatch):
    monkeypatch.setenv("ELSEDU_BOOK", "1")
    live_page.write_scripts(tmp_path / "_static/live", sets=["mnist16-100", "digits"])
    with opened(live_chromium, tmp_path, machine()) as page:
        page.wait_for_selector("#machine[data-ready='1']")
        ask(
            page, "e => { e.reseed(17, false); e.paint.set(5, 1.8).set(40, -1.8); e.windows = e.windows.map(() => 3); }"
        )
        ask(page, "e => { e.border = 'circular'; e.label = 4; e.steps = 10 }")
        page.locator("summary").click()
        page.get_by_role("button", name="Copy a link").click()
        page.wait_for_function("location.hash.length > 1")
        link, state = page.url, ask(page, "e => e.state()")
        other = page.context.new_page()
        other.goto(link)
        other.wait_for_selector("#machine[data-ready='1']")
        assert ask(other, "e => e.state()") == state
        assert "Set as in the link" in other.locator(".elsl-voice").inner_text()


@pytest.mark.parametrize("hash", [
    "#play=machine&seed=%3Cimg src=x onerror=alert(1)%3E&steps=3", "#play=machine&windows=4.5&label=77&paint=zzzz",
    "#play=machine&data=nothing&__proto__=1&constructor=2", "#play=machine&seed=-1&border=%E0%A4%A"])  # fmt: skip
def test_nonsense_in_a_link_is_named_and_left_out(live_chromium, tmp_path, hash):
    with opened(live_chromium, tmp_path, machine(), hash=hash) as page:
        assert "has no sense here" in page.locator(".elsl-voice").inner_text()
        assert page.locator(".elsl img").count() == 0
        play(page)


# -- the reader's own files ----------------------------------------------------------------------------------------


def png(value):
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), value, np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def choose(page, *files):
    """Choose files: (name, bytes)."""
    page.locator("summary").first.evaluate("e => { e.parentElement.open = true }")
    kind = "application/octet-stream"
    given = [{"name": name, "mimeType": kind, "buffer": content} for name, content in files]
    page.locator("input[type=file]").set_input_files(given)


def heard(page, pattern):
    page.wait_for_function("p => new RegExp(p).test(document.querySelector('.elsl-voice').textContent)", arg=pattern)


def test_own_pictures_become_the_training_set(live_chromium, tmp_path):
    with opened(live_chromium, tmp_path, machine(machines=["is"])) as page:
        choose(page, ("a.png", png(0)), ("b.png", png(255)), ("notes.txt", b"no picture"))
        heard(page, r"your 2 pictures \(1 files were no pictures\) are in the page, and nowhere else")
        play(page)
        assert {round(v) for v in samples(page)[0]} in ({-1}, {1})


def test_files_that_are_no_pictures_are_refused_and_nothing_is_lost(live_chromium, tmp_path):
    evil = '<img src=x onerror="window.caught=1">.png'
    with opened(live_chromium, tmp_path, machine()) as page:
        play(page)
        before = samples(page)
        choose(page, (evil, b"this is no picture"))
        heard(page, "is not a picture that this browser can read")
        assert page.locator(".elsl img").count() == 0 and page.evaluate("window.caught") is None
        assert samples(page) == before and ask(page, "e => e.data") == "mnist16-100"
        choose(page, ("data_batch_1.bin", b"x" * 1000))
        heard(page, "1,000 bytes; a CIFAR-10 batch .* records of 3,073 bytes")
        choose(page, ("data_batch_1.bin", b"\x63" * 3073))
        heard(page, "record 0 has the label 99, expected 0 to 9")
        assert samples(page) == before


def test_a_batch_of_cifar10_is_read(live_chromium, tmp_path):
    rng = np.random.default_rng(0)
    records = b"".join(bytes([k % 10]) + rng.integers(0, 256, 3072, dtype=np.uint8).tobytes() for k in range(20))
    with opened(live_chromium, tmp_path, machine(machines=["is"])) as page:
        choose(page, ("data_batch_1.bin", records))
        heard(page, "10 classes of CIFAR-10 are in the page, and nowhere else")
        page.get_by_label("training images").select_option(label="CIFAR-10: frog, 2 images of your file")
        play(page)
        image = np.array(samples(page)[0])
        frogs = np.frombuffer(records, np.uint8).reshape(20, 3073)[[6, 16], 1:] / 127.5 - 1
        assert np.abs(frogs - image).max(1).min() < 1e-2


def test_the_network_draws_what_it_draws_in_python(live_chromium, tmp_path):
    one = live.Machine("digits", ["els", "network"], id="machine", steps=4, seed=3)
    with opened(live_chromium, tmp_path, one) as page:
        play(page)
        for drawn, expected in zip(samples(page), one.samples(), strict=True):
            np.testing.assert_allclose(drawn, expected.flatten().numpy(), atol=2e-2)
        r = float(elsedu.pearson_r(*(x[None] for x in one.samples())))
        said = float(re.search(r"agrees with ELS to r = (\d\.\d\d)", page.locator(".elsl-voice").inner_text())[1])
        assert said == pytest.approx(r, abs=0.01)


def test_a_network_that_is_not_there_stops_nobody(live_chromium, tmp_path, monkeypatch):
    monkeypatch.setenv("ELSEDU_BOOK", "1")
    live_page.write_scripts(tmp_path / "_static/live", sets=["digits"])
    for path in (tmp_path / "_static/live/networks").iterdir():
        path.write_text("elsedu_live.register('networks/digits-resnet-zero', {})", encoding="utf-8")
    with opened(live_chromium, tmp_path, live.Machine("digits", ["els", "network"], id="machine", steps=4)) as page:
        page.wait_for_selector("#machine[data-ready='1']")
        play(page)
        assert "The network is not here" in page.locator(".elsl-voice").inner_text()
        assert len(samples(page)) == 1


def test_a_bet_is_laid_open_and_counted(live_chromium, tmp_path, exhibits):
    one = exhibits["bet"]
    with opened(live_chromium, tmp_path, one) as page:
        play(page)
        assert page.locator(".elsl-foot").all_inner_texts() == ["", "", ""], "nothing tells them apart before the bet"
        page.get_by_role("button", name="A is the network").click()
        feet = [text for text in page.locator(".elsl-foot").all_inner_texts() if text]
        assert sorted(feet) == ["the formula (ELS)", "the trained network"]
        right = feet[0] == "the trained network"
        words = page.locator(".elsl-voice").inner_text()
        assert words.startswith("Right" if right else "Wrong") and f"You have {int(right)} of 1 right" in words
        page.get_by_role("button", name="Next noise").click()
        assert ask(page, "e => [e.seed, e.open]") == [1, False]


# -- the other exhibits --------------------------------------------------------------------------------------------


def test_the_inspector_lists_the_heaviest_patches(live_chromium, tmp_path, exhibits):
    one = exhibits["inspector"]
    with opened(live_chromium, tmp_path, one) as page:
        picture = page.locator(".elsl-tile .elsl-pic").nth(1)
        box = picture.bounding_box()
        picture.click(position={"x": box["width"] * 5.5 / 16, "y": box["height"] * 7.5 / 16})
        page.wait_for_selector(".elsl-patches li")
        elsewhere = elsedu.EquivariantLocalScore(one.images, one.window)
        clean = one.queries[:1].float() / 127.5 - 1
        noisy = float(elsewhere.schedule.alpha(one.t)) * clean + float(elsewhere.schedule.sigma(one.t)) * one.noise(1)
        post = elsewhere.posterior(noisy, one.t)
        image, row, column = post.source[0, 7, 5].tolist()
        first = page.locator(".elsl-patches li").first
        label = first.locator(".elsl-pic").first.get_attribute("aria-label")
        assert f"training image {image} " in label and f"row {row + 1}, column {column + 1}" in label
        value = f"{post.mean[0, 0, 7, 5]:.2f}".replace("-", "−")
        assert f"by weight, is {value} " in page.locator(".elsl-words").inner_text()
        assert page.locator(".elsl-patches li").count() == 8
        percent = [float(text.strip(" %<")) for text in page.locator(".elsl-patches b").all_inner_texts()]
        assert percent == sorted(percent, reverse=True)


@pytest.mark.parametrize("key", ["is", "ls", "es", "els"])
def test_noises_in_the_plane_end_where_the_machines_carry_them(live_chromium, tmp_path, exhibits, key):
    one = exhibits["two-pixels"]
    with opened(live_chromium, tmp_path, one) as page:
        ends = ask(page, "(e, key) => e.panels.find(p => p.machine === key).paths.map(path => path.at(-1))", key)
        noise = torch.tensor(ask(page, "e => e.noises"), dtype=torch.float64)
        np.testing.assert_allclose(ends, one.ends(key, noise).numpy(), atol=1e-5)


def test_a_training_image_is_dragged_over_the_plane(live_chromium, tmp_path, exhibits):
    with opened(live_chromium, tmp_path, exhibits["two-pixels"]) as page:
        handle = page.locator(".elsl-handle").first
        box = handle.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()
        moved = ask(page, "e => e.data[0]")
        assert moved[0] > -0.7 and abs(moved[1] + 0.55) < 0.05
        handle.focus()
        page.keyboard.press("ArrowUp")
        assert ask(page, "e => e.data[0][1]") == pytest.approx(moved[1] + 0.05)
        page.locator(".elsl-plane").first.click(position={"x": 30, "y": 30})
        assert "ends at IS" in page.locator(".elsl-voice").inner_text()


def test_who_wants_less_motion_sees_the_end_at_once(live_chromium, tmp_path, exhibits):
    with opened(live_chromium, tmp_path, exhibits["two-pixels"], reduced_motion="reduce") as page:
        page.get_by_role("button", name="Rain of 160").click()
        assert ask(page, "e => [e.step, e.running]") == [120, False]


def test_the_two_image_machine_is_pythons(live_chromium, tmp_path):
    one = live.TwoImages(side=12)
    with opened(live_chromium, tmp_path, one, reduced_motion="reduce") as page:
        page.get_by_role("button", name="Play").click()
        page.wait_for_function(
            "document.querySelector('.elsl').exhibit.t === 0 && !document.querySelector('.elsl').exhibit.running"
        )
        assert "A mosaic" in page.locator(".elsl-count").inner_text()
        drawn = torch.tensor(ask(page, "e => Array.from(e.x)")).float().reshape(1, 1, 12, 12)
        data = elsedu.load("two-images", size=12)
        toy = elsedu.EquivariantLocalScore(data, 3, border="circular")
        assert elsedu.mosaic.is_locally_consistent(toy, drawn).all()
        page.get_by_role("button", name="All black").click()
        picture = page.locator(".elsl-paint")
        page.locator(".elsl-side input[type=range]").focus()
        page.keyboard.press("Home")  # a brush of one pixel
        picture.click(position={"x": 100, "y": 100})
        assert "1 of 144 pixels contradict" in page.locator(".elsl-count").inner_text()


def test_surgery_is_pythons(live_chromium, tmp_path, exhibits):
    one = exhibits["surgery"]
    with opened(live_chromium, tmp_path, one) as page:
        page.get_by_role("button", name="Operate").click()
        page.wait_for_function("/The patient has/.test(document.querySelector('.elsl-voice').textContent)")
        child = ask(page, "e => Array.from(e.child.picture.values)")
        np.testing.assert_allclose(child, one.operation()["child"].flatten().numpy(), atol=1e-3)
        legs = int((torch.diff((one.operation()["child"][0, 6] > 0).int(), prepend=torch.zeros(1)) > 0).sum())
        assert f"The patient has {legs} leg" in page.locator(".elsl-voice").inner_text()


# -- Python --------------------------------------------------------------------------------------------------------


def test_the_colours_are_those_of_all_figures():
    written = dict(re.findall(r'(\w+): "(#[0-9a-f]{6})"', (SOURCE / "palette.js").read_text(encoding="utf-8")))
    names = {"els": "ELS", "ls": "LS", "es": "ES", "is": "IS", "data": "data", "other": "other"}
    assert written == {key: COLORS[name] for key, name in names.items()}


def test_a_payload_holds_the_images_and_no_tag():
    import base64
    import zlib

    digits = elsedu.load("digits").take(range(30))
    text = payload.image_payload(digits, "x", "</script><script>alert(1)</script>")
    pixels = np.frombuffer(zlib.decompress(base64.b64decode(text["pixels"])), np.uint8)
    np.testing.assert_allclose(pixels.reshape(30, 1, 8, 8) / 127.5 - 1, digits.images, atol=1e-6)
    assert list(base64.b64decode(text["labels"])) == digits.labels.tolist()
    assert "</script" not in payload.script("data/x", text)


def test_a_network_payload_is_its_state():
    import base64

    network = elsedu.networks.network("digits-resnet-zero")
    text = payload.network_payload(network)
    numbers = np.frombuffer(base64.b64decode(text["bytes"]), "<f2")
    for name, value in network.state_dict().items():
        at = text["tensors"][name]["offset"]
        np.testing.assert_allclose(numbers[at : at + value.numel()], value.flatten().numpy(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("make", [
    lambda: live.Machine("nothing"), lambda: live.Machine(machines=["hal"]), lambda: live.Machine(parts=["jazz"]),
    lambda: live.Machine(id="<b>"), lambda: live.Machine("faces25", ["network"]), lambda: live.Bet("faces25"),
    lambda: live.TwoPixels([(0, 0)]), lambda: live.TwoPixels([(0, 0), (2, 0)]), lambda: live.TwoImages(window=4),
    lambda: live.Inspector(queries=torch.zeros(1, 1, 8, 8)), lambda: live.Surgery(cut=20)])  # fmt: skip
def test_what_cannot_be_shown_is_refused_in_one_line(make):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        make()
