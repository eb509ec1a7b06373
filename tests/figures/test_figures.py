"""Figures: what is drawn is what was given, and bad input is named."""

import itertools

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from elsedu import figures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def ramp(n=5, c=1, h=4, w=6):
    return torch.linspace(-1, 1, n * c * h * w).reshape(n, c, h, w)


def test_to_pixels_maps_the_ends_of_the_range():
    pixels = figures.to_pixels(torch.tensor([-1.0, 0.0, 1.0, -3.0, 7.0]).reshape(1, 1, 1, 5))
    assert pixels[0, 0, :, 0].tolist() == [0, 128, 255, 0, 255]
    assert pixels.shape == (1, 1, 5, 3) and pixels.dtype == np.uint8


def test_to_pixels_keeps_colours_in_place():
    image = torch.full((1, 3, 2, 2), -1.0)
    image[0, 1, 0, 1] = 1.0
    assert figures.to_pixels(image)[0, 0, 1].tolist() == [0, 255, 0]


def test_to_pixels_shows_what_is_not_finite():
    image = torch.zeros(1, 1, 2, 2)
    image[0, 0, 0, 0], image[0, 0, 1, 1] = float("nan"), float("inf")
    pixels = figures.to_pixels(image)[0]
    assert pixels[0, 0].tolist() == pixels[1, 1].tolist() == [255, 0, 255]
    assert pixels[0, 1].tolist() == [128, 128, 128]


@pytest.mark.parametrize("shape", [(4,), (4, 4), (2, 2, 4, 4), (1, 1, 1, 4, 4)])
def test_to_pixels_names_a_bad_shape(shape):
    with pytest.raises(ValueError, match="N,C,H,W"):
        figures.to_pixels(torch.zeros(shape))


def test_tile_puts_every_image_in_its_place():
    images = ramp(5)
    canvas = figures.tile(images, columns=2, gap=1, ground=7)
    assert canvas.shape == (3 * 4 + 2, 2 * 6 + 1, 3)
    pixels = figures.to_pixels(images)
    for k in range(5):
        y, x = (k // 2) * 5, (k % 2) * 7
        assert (canvas[y : y + 4, x : x + 6] == pixels[k]).all()
    assert (canvas[4] == 7).all() and (canvas[:, 6] == 7).all()
    assert (canvas[10:, 7:] == 7).all()


def test_save_grid_enlarges_without_blur(tmp_path):
    images = ramp(3, h=3, w=3)
    path = figures.save_grid(images, tmp_path / "grid.png", columns=3, scale=5)
    picture = np.asarray(Image.open(path).convert("RGB"))
    gap = 2
    assert picture.shape == (15, 3 * 15 + 2 * gap, 3)
    assert (picture[::5, :15:5] == figures.to_pixels(images)[0]).all()
    assert len(np.unique(picture[:15, :15].reshape(-1, 3), axis=0)) == 9


def test_save_grid_names_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        figures.save_grid(ramp(), tmp_path / "nowhere" / "grid.png")
    with pytest.raises(ValueError, match="scale"):
        figures.save_grid(ramp(), tmp_path / "grid.png", scale=0)


def test_show_images_draws_each_image_with_its_title():
    figures.use_style()
    fig = figures.show_images(ramp(5), columns=3, titles=list("abcde"), row_labels=["one", "two"])
    ax = fig.axes[0]
    assert len(ax.images) == 5
    assert {t.get_text() for t in ax.texts} == {*"abcde", "one", "two"}
    first, fourth = ax.images[0].get_extent(), ax.images[3].get_extent()
    assert first[0] == fourth[0] and fourth[3] > first[3]
    assert (np.asarray(ax.images[2].get_array()) == figures.to_pixels(ramp(5))[2]).all()


@pytest.mark.parametrize("bad", [{"titles": ["a"]}, {"row_labels": ["a", "b", "c"]}, {"columns": -1}])
def test_show_images_names_what_does_not_fit(bad):
    with pytest.raises(ValueError, match=r"title|label|columns"):
        figures.show_images(ramp(5), **{"columns": 3, **bad})


def test_show_images_refuses_an_empty_batch():
    with pytest.raises(ValueError, match="no images"):
        figures.show_images(torch.zeros(0, 1, 4, 4))


def test_pair_grid_aligns_and_wraps():
    fig = figures.pair_grid([ramp(5), -ramp(5)], ["up", "down"], titles=list("abcde"), columns=3)
    ax = fig.axes[0]
    assert len(ax.images) == 10
    extents = [image.get_extent() for image in ax.images]
    assert extents[0][:2] == extents[3][:2] == extents[6][:2]
    assert [t.get_text() for t in ax.texts].count("up") == 2
    with pytest.raises(ValueError, match="same number"):
        figures.pair_grid([ramp(5), ramp(4)])


def test_scatter_counts_the_points_above_the_diagonal():
    ax = figures.scatter(plt.figure().subplots(), [0.1, 0.5, 0.9], [0.2, 0.4, 0.95], "a", "b")
    assert "2 of 3" in ax.get_title(loc="right")
    with pytest.raises(ValueError, match="3 numbers"):
        figures.scatter(ax, [1, 2, 3], [1, 2], "a", "b")


def test_heat_and_diverging_keep_their_limits():
    ax = plt.figure().subplots()
    values = torch.tensor([[0.0, 2.0], [float("nan"), -1.0]])
    assert figures.heat(ax, values, "x").get_clim() == (-1.0, 2.0)
    assert figures.diverging(ax, values, "x").get_clim() == (-2.0, 2.0)
    with pytest.raises(ValueError, match="H,W"):
        figures.heat(ax, torch.zeros(1, 2, 2), "x")


def lightness(color):
    r, g, b = matplotlib.colors.to_rgb(color)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_the_sequential_map_darkens_all_the_way():
    steps = [lightness(figures.SEQUENTIAL(k / 64)[:3]) for k in range(65)]
    assert all(a > b for a, b in itertools.pairwise(steps))


def test_the_diverging_map_is_white_at_zero():
    assert figures.DIVERGING(128)[:3] == pytest.approx((1, 1, 1), abs=0.02)


def test_schedule_plot_draws_the_schedule():
    from elsedu.diffusion import schedule

    fig = figures.schedule_plot({"a": schedule.cosine(), "b": schedule.flow_matching()})
    line = fig.axes[0].lines[1]
    assert np.allclose(line.get_ydata(), 1 - line.get_xdata())


def test_window_plot_places_windows_at_their_times():
    ax = figures.window_plot({"a": [3, 5, 7, 9]})
    assert np.allclose(ax.lines[0].get_xdata(), [0.25, 0.5, 0.75, 1])


def test_score_field_points_to_the_only_image():
    import elsedu

    image = torch.tensor([0.3, -0.4]).reshape(1, 1, 1, 2)
    ax = figures.score_field(plt.figure().subplots(), elsedu.IdealScore(image), 0.3, data=image, points=5)
    quiver = ax.collections[0]
    goal = float(elsedu.schedule.cosine().alpha(0.3)) * np.array([0.3, -0.4])
    towards = goal - np.stack([quiver.X, quiver.Y], -1)
    assert ((towards * np.stack([quiver.U, quiver.V], -1)).sum(-1) > 0).all()


def one_image_source(h=4, w=5, shift=(1, 2)):
    rows, columns = np.meshgrid(np.arange(h) + shift[0], np.arange(w) + shift[1], indexing="ij")
    return np.stack([np.zeros_like(rows), rows, columns], -1)


def test_pieces_are_counted():
    source = one_image_source()
    assert figures.count_pieces(source) == 1
    source[:, 3:, 0] = 1
    assert figures.count_pieces(source) == 2
    source[0, 0, 1] += 1
    assert figures.count_pieces(source) == 3
    # Equal keys that do not touch are two pieces.
    split = one_image_source()
    split[:, 2, 0] = 1
    assert figures.count_pieces(split) == 3
    with pytest.raises(ValueError, match="H,W,3"):
        figures.count_pieces(source[..., :2])


def test_pieces_are_outlined_where_they_meet():
    source = one_image_source(4, 5)
    source[:, 3:, 0] = 1
    ax = plt.figure().subplots()
    figures.outline_pieces(ax, source)
    segments = ax.collections[0].get_segments()
    assert len(segments) == 4 and all((s[:, 0] == 2.5).all() for s in segments)


def test_provenance_shows_the_images_in_order_of_their_share():
    source = one_image_source(4, 5, (0, 0))
    source[:, 3:, 0] = 2
    source[0, 0, 0] = 1
    colors = figures.mosaic_map(plt.figure().subplots(), torch.zeros(1, 4, 5), source, top=2)
    assert list(colors) == [0, 2]
    fig = figures.provenance(torch.zeros(1, 4, 5), source, torch.zeros(3, 1, 4, 5), top=3)
    titles = [ax.get_title(loc="center") for ax in fig.axes[2:]]
    assert titles == ["55 % of the pixels", "40 % of the pixels", "5 % of the pixels"]
    with pytest.raises(ValueError, match="image 2"):
        figures.provenance(torch.zeros(1, 4, 5), source, torch.zeros(2, 1, 4, 5))


def test_style_uses_the_shipped_typeface(recwarn):
    figures.use_style()
    fig = plt.figure(figsize=(1, 1))
    fig.suptitle("A σ title", weight="bold")
    fig.canvas.draw()
    from matplotlib import font_manager

    assert font_manager.findfont("Inter").endswith("Inter-Regular.ttf")
    assert not [w for w in recwarn if "font" in str(w.message).lower()]


def test_every_machine_has_a_colour_of_its_own():
    names = ["IS", "ES", "LS", "ELS", "Wiener", "network", "data"]
    assert len({figures.COLORS[name] for name in names}) == len(names)
