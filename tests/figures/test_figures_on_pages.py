"""Figures as the book's pages show them: two themes, two widths, grids as HTML."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb

from elsedu import figures
from elsedu.figures import page, themes
from elsedu.figures.style import INK, MUTED


@pytest.fixture(autouse=True)
def style():
    figures.use_style()
    yield
    plt.close("all")


def luminance(color):
    return np.array(to_rgb(color)) ** 2.2 @ (0.2126, 0.7152, 0.0722)


def contrast(color, ground=themes.GROUND):
    low, high = sorted((luminance(color), luminance(ground)))
    return (high + 0.05) / (low + 0.05)


def test_dark_colours_are_seen_on_the_dark_ground():
    assert to_hex(themes.dark_color("white")) == themes.GROUND
    for color in [INK, MUTED, *figures.COLORS.values()]:
        assert contrast(themes.dark_color(color)[:3]) > 4.5, color
    assert themes.dark_color((1, 0, 0, 0.3))[3] == 0.3


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba()).copy()


def drawing():
    """One of each kind of thing that figures hold."""
    figure, (one, two, three) = plt.subplots(1, 3, figsize=(7, 2.5))
    one.plot([0, 1], [0, 1], "o-", label="line")
    one.plot([0, 1], [1, 0], color=INK, label="ink")
    one.legend()
    one.axvspan(0.2, 0.4, color="#fdf1ea")
    one.set(title="title", xlabel="x")
    figures.heat(two, np.eye(4), "number")
    three.imshow(np.zeros((4, 4, 3)))
    figures.outline_pieces(three, torch.randint(0, 3, (4, 4, 3)))
    three.set_title("picture")
    return figure


def test_the_dark_twin_differs_and_the_figure_comes_back():
    figure = drawing()
    pixels(figure)  # the layout settles in two drawings
    before = pixels(figure)
    with themes.dark(figure):
        night = pixels(figure)
    assert (before[0, 0, :3] == 255).all() and to_hex(night[0, 0, :3] / 255) == themes.GROUND
    assert (night[..., :3].mean(-1) < 100).mean() > 0.8
    assert np.abs(pixels(figure).astype(int) - before).max() <= 12, "but for the last of the layout"


def test_pictures_and_what_lies_on_them_keep_their_colours():
    figure = drawing()
    ax = figure.axes[2]
    lines, title = ax.collections[0].get_colors().copy(), ax.title.get_color()
    with themes.dark(figure):
        assert (ax.collections[0].get_colors() == lines).all()
        assert ax.images[0].get_array().max() == 0
        assert ax.title.get_color() != title


def test_numbers_start_at_the_ground():
    """Zero is white on paper and dark on the dark ground: the eye sees the large numbers in both."""
    figure, ax = plt.subplots()
    picture = figures.heat(ax, np.array([[0.0, 1.0]]), "x", colorbar=False)
    with themes.dark(figure):
        low, high = (luminance(picture.cmap(v)) for v in (0.0, 1.0))
        assert low < 0.02 and high > 0.5
    assert picture.cmap is figures.SEQUENTIAL


def grid(**options):
    return figures.pair_grid([torch.zeros(6, 1, 8, 8), torch.ones(6, 3, 8, 8)], labels=["noise", "$t = 1$"],
                             titles=list("abcdef"), columns=6, **options)  # fmt: skip


def test_a_grid_becomes_html_with_labels_that_are_text():
    text = page.figure_html(grid())
    assert text.count("<img") == 12 and text.count("els-tile") >= 12
    assert r"\(t = 1\)" in text and "noise" in text and "$" not in text
    assert re.findall(r'class="els-head">(\w)<', text) == list("abcdef")
    assert 'role="img" aria-label="figure"' in text, "one text for the whole grid; its tiles are silent"
    # Three columns side by side on a telephone, then the other three, labelled again.
    assert text.count("els-break") == 1 and text.count("els-again") == 2 and "--chunk:3" in text


def test_a_grid_that_was_drawn_upon_is_a_picture():
    figure = grid()
    figure.axes[0].text(0, 0, "a remark")
    assert "els-grid" not in page.figure_html(figure)


def test_tiles_are_small_and_exact():
    import base64
    import io

    from PIL import Image

    values = torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
    text = page.figure_html(figures.show_images(values))
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(data) < 400
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert (shown == figures.to_pixels(values)[0][..., 0]).all()


@pytest.mark.parametrize("count", [1, 3])
def test_a_plot_has_two_themes_and_two_widths(count):
    figure, axes = plt.subplots(1, count, figsize=(7.2, 2.6), squeeze=False)
    for ax in axes[0]:
        ax.plot([0, 1], [0, 1])
        ax.set(xlabel="x", ylabel="y")
    text = page.figure_html(figure)
    assert re.findall(r'<picture class="els-(\w+)">', text) == ["light", "dark"]
    widths = [int(w) for w in re.findall(r'width="(\d+)"', text)]
    assert len(widths) == 4 and max(widths[0], widths[2]) <= 350 and min(widths[1], widths[3]) > 650
    assert "els-scrolls" not in text


def test_a_figure_that_cannot_be_laid_out_anew_scrolls():
    figure, _ = plt.subplots(2, 4, figsize=(7.2, 3))
    assert "els-scrolls" in page.figure_html(figure)


def test_provenance_has_a_drawing_of_its_own_for_telephones():
    source = torch.zeros(4, 5, 3, dtype=torch.long)
    text = page.figure_html(figures.provenance(torch.zeros(1, 4, 5), source, torch.zeros(3, 1, 4, 5), top=3))
    widths = [int(w) for w in re.findall(r'width="(\d+)"', text)]
    assert widths[0] <= 358 < 650 < widths[1] and "els-scrolls" not in text


def test_pictures_without_axes_get_a_frame():
    figure, (one, two) = plt.subplots(1, 2, figsize=(4, 2))
    one.imshow(np.ones((4, 4, 3)))
    one.axis("off")
    two.imshow(np.ones((4, 4, 3)))
    two.set(xticks=[], yticks=[], ylabel="network")
    shown = pixels(figure)
    page.figure_html(figure)
    assert two.yaxis.label.get_rotation() == 0
    assert len(one.patches) == 1 and len(two.patches) == 0
    assert (pixels(figure)[..., :3] < 220).sum() > (shown[..., :3] < 220).sum()
    with themes.dark(figure):
        assert contrast(one.patches[0].get_edgecolor()[:3]) < 4, "quiet in the dark, too"


def test_signed_images_are_black_at_zero():
    shown = figures.signed(torch.tensor([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1), limit=1)
    below, zero, above = figures.to_pixels(shown)[:, 0, 0]
    assert (zero == 0).all() and below[2] > below[0] and above[0] > above[2]
    with pytest.raises(ValueError, match=r"\(N,1,H,W\)"):
        figures.signed(torch.zeros(3, 3, 4, 4), limit=1)
