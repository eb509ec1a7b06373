"""Explorers: the page holds every frame once, the values in words, and nothing from elsewhere."""

import matplotlib

matplotlib.use("Agg")

import base64
import html
import io
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from elsedu import figures
from elsedu.figures import explorers

AXES = {"window P": [3, 5], "time t": [0.1, 0.25, 0.5]}


def pictures(p, t):
    return torch.full((2, 1, 3, 3), p * t / 5)


def make(**options):
    return explorers.explore_images(pictures, AXES, **{"alt": 'Digits & "more"', "gap": 1, **options})


def spec(explorer):
    text = re.search(r"const spec = (\{.*\});", explorer._repr_html_()).group(1)
    return json.loads(text)


def frame(explorer, *chosen):
    """The picture for a choice of values, read back from the page."""
    page = spec(explorer)
    index = 0
    for values, value in zip(page["values"], chosen):
        index = index * len(values) + values.index(value)
    source = page["frames"][page["order"][index]]
    if source is None:
        source = re.search(r'src="(data:[^"]+)"', explorer._repr_html_()).group(1)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).convert("RGB"))


def test_every_choice_shows_its_own_picture():
    explorer = make(colors=256)
    for p in AXES["window P"]:
        for t in AXES["time t"]:
            assert (frame(explorer, str(p), f"{t:g}") == figures.tile(pictures(p, t), gap=1)).all()


def test_equal_frames_are_kept_once():
    axes = {"a": [0, 1], "b": [5, 6, 7]}
    explorer = explorers.explore_images(lambda a, b: torch.full((1, 1, 2, 2), a / 4), axes, "x")
    page = spec(explorer)
    assert len(page["frames"]) == 2 and page["order"] == [0, 0, 0, 1, 1, 1]
    assert page["frames"].count(None) == 1


def test_start_chooses_the_first_frame_and_its_words():
    explorer = make(start={"time t": 0.25, "window P": 5})
    page = explorer._repr_html_()
    assert html.escape('Digits & "more": window P = 5, time t = 0.25') in page
    assert '<p class="elsx-values">window P = 5, time t = 0.25</p>' in page
    assert (frame(explorer, "5", "0.25") == figures.tile(pictures(5, 0.25), gap=1)).all()


def test_the_page_needs_nothing_from_elsewhere():
    page = make(play="time t")._repr_html_()
    assert not re.search(r"https?:|//cdn|require\(|import ", page)


def test_identifier_and_repr_are_the_same_every_time():
    assert make()._repr_html_() == make()._repr_html_()
    assert repr(make()) == "Explorer(2 window P x 3 time t)"
    ids = {re.search(r"elsx-[0-9a-f]{10}", e._repr_html_()).group() for e in (make(), make(alt="other"))}
    assert len(ids) == 2


def test_text_cannot_end_the_script():
    page = explorers.explore_images(lambda a: torch.zeros(1, 1, 2, 2), {"a": ["</script>", "b"]}, "<b>")._repr_html_()
    assert page.count("</script>") == 1 and "<b>" not in page


def test_figures_are_drawn_and_closed():
    seen = []

    def draw(fig, name):
        seen.append(name)
        fig.subplots().plot([0, 1], [0, len(seen)])

    before = plt.get_fignums()
    explorer = explorers.explore(draw, {"curve": ["a", "b"]}, alt="A line", figsize=(2, 1), scale=1)
    assert seen == ["a", "b"] and plt.get_fignums() == before
    assert frame(explorer, "a").shape == (100, 200, 3)
    assert (frame(explorer, "a") != frame(explorer, "b")).any()


@pytest.mark.parametrize(
    ("axes", "options", "words"),
    [
        ({}, {}, "one to three"),
        ([3, 5], {}, "one to three"),
        ({k: [1] for k in "abcd"}, {}, "one to three"),
        ({"a": []}, {}, "list of values"),
        ({"a": "words"}, {}, "list of values"),
        ({"a": [1]}, {"start": {"b": 1}}, "start"),
        ({"a": [1]}, {"start": {"a": 2}}, "no value 2"),
        ({"a": [1]}, {"play": "b"}, "play"),
        ({"a": [1]}, {"budget": 100}, "more than its budget"),
    ],
)
def test_bad_input_is_named(axes, options, words):
    with pytest.raises(ValueError, match=words):
        explorers.explore_images(lambda *values: torch.zeros(1, 1, 2, 2), axes, "x", **options)


def test_frames_must_match_the_axes():
    with pytest.raises(ValueError, match="2 frames"):
        explorers.Explorer({"a": [1, 2, 3]}, [b"a", b"b"], "x", 100)


def test_in_the_book_live_prints_one_line_that_names_colab(monkeypatch, capsys):
    monkeypatch.setenv("ELSEDU_BOOK", "1")
    explorers.live(lambda fig, a: 1 / 0, {"a": [1, 2]})
    explorers.live_images(lambda a: 1 / 0, {"a": [1, 2]})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all("Colab" in line for line in lines)


@pytest.fixture
def kernel(monkeypatch):
    monkeypatch.delenv("ELSEDU_BOOK", raising=False)
    monkeypatch.setattr(plt, "show", lambda: None)
    yield
    plt.close("all")


def test_live_calls_the_function_with_the_sliders_values(kernel, monkeypatch):
    import ipywidgets

    shown = []
    monkeypatch.setattr(ipywidgets.interaction, "display", shown.append)
    seen = []
    axes = {"P": [3, 5], "t": (0.0, 1.0, 0.25), "seed": (2, 9, 1), "name": ["ELS", "LS"]}
    explorers.live(lambda fig, *values: seen.append(values), axes)
    assert seen == [(3, 0.0, 2, "ELS")]
    sliders = {s.description: s for s in shown[0].children[:-1]}
    sliders["P"].value = 5
    sliders["t"].value = 0.75
    assert seen[-1] == (5, 0.75, 2, "ELS")


def test_live_images_draws_the_images(kernel):
    drawn = []

    def images(n):
        drawn.append(n)
        return torch.zeros(n, 1, 3, 3)

    explorers.live_images(images, {"n": [2, 4]}, columns=2)
    assert drawn == [2] and len(plt.gcf().axes[0].images) == 2


def test_live_fails_where_the_function_fails(kernel):
    with pytest.raises(ZeroDivisionError):
        explorers.live(lambda fig, a: 1 / 0, {"a": [1, 2]})


@pytest.mark.parametrize("values", [[], "abc"])
def test_live_names_bad_values(kernel, values):
    with pytest.raises(ValueError, match="'a' needs"):
        explorers.live(lambda fig, a: None, {"a": values})


def frames_of(explorer):
    """The frames of an explorer's HTML, light and dark, as the browser's script makes them."""
    text = explorer._repr_html_()
    spec = json.loads(re.search(r"const spec = (\{.*\});", text)[1])
    first = re.search(r'src="(data:[^"]+)"', text)[1]
    light = [frame or first for frame in spec["frames"]]
    start = len("data:image/png;base64,") + 44
    dark = [f[:start] + night + f[start + len(night):] for f, night in zip(light, spec["night"])]
    return [[np.asarray(Image.open(io.BytesIO(base64.b64decode(f.partition(",")[2]))).convert("RGB"))
             for f in some] for some in (light, dark)]  # fmt: skip


def test_in_the_book_every_frame_has_a_palette_for_the_dark(monkeypatch):
    monkeypatch.setenv("ELSEDU_BOOK", "1")

    def draw(fig, slope):
        fig.subplots().plot([0, 1], [0, slope], color=figures.INK)

    light, dark = frames_of(explorers.explore(draw, {"slope": [1.0, 2.0]}, "a line"))
    assert len(light) == len(dark) == 2
    for day, night in zip(light, dark):
        assert day[0, 0].tolist() == [255, 255, 255]
        assert abs(night[0, 0].astype(int) - [0x12, 0x17, 0x1D]).max() <= 3
        assert night.max() > 200 and day.min() < 60
    images = torch.linspace(-1, 1, 32).reshape(2, 1, 4, 4)
    light, dark = frames_of(explorers.explore_images(lambda k: images, {"k": [1]}, "two images", gap=1))
    assert (light[0][:, :4] == dark[0][:, :4]).all(), "a picture keeps its pixels"
    assert light[0][0, 4].tolist() == [255, 255, 255] and dark[0][0, 4].tolist() == [0x12, 0x17, 0x1D]
