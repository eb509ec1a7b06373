"""The report of a comparison: one file with everything in it, what it says is what was measured, nothing gets in."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

import elsedu
from elsedu.data import to_bytes
from elsedu.diffusion import seeds
from elsedu.experiments.comparison import Comparison, compare
from elsedu.figures.report import exhibit, write_report

WINDOWS = elsedu.ScaleSchedule([3, 3, 5, 7])


@pytest.fixture(scope="module")
def made():
    digits = elsedu.load("digits", limit=60)
    data = elsedu.ImageSet(
        digits.images, digits.labels, "sixty <b>digits</b>", tuple("<i>zero two three four".split()) + ("",) * 6
    )
    network = elsedu.network("digits-resnet-zero")
    with pytest.warns(UserWarning, match="trained on data"):
        found = compare(network, data, WINDOWS, seeds=3, steps=4, network_steps=(4,), batch=3, progress=False)
    machine = elsedu.EquivariantLocalScore(data, WINDOWS)
    return found, data, machine


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    path = write_report(tmp_path_factory.mktemp("report") / "r.html", *made, command="elsedu compare '<x>'")
    return path.read_text()


def spec_of(page):
    return json.loads(re.search(r"id=spec>(.*?)</script>", page, re.S).group(1))


def test_it_needs_nothing_beside_it(page):
    assert not re.search(r'(src|href)="(?!data:)', page) and "http:" not in page and "https:" not in page
    assert "default-src 'none'" in page and len(page) < 500_000


def test_numbers_are_the_measured_ones(made, page):
    for name, entry in made[0].measured["agreement"]["4"].items():
        r = entry["pearson_r"]
        assert f"<b>{r['median']:.3f}</b> <small>[{r['low']:.3f}, {r['high']:.3f}]</small>" in page, name
    machines = set(made[0].measured["per_seed"]["4"]) - {"nearest"}
    assert page.count("<circle") == 3 * len(machines) >= 15 and made[1].hash in page
    assert made[0].provenance["network"]["weights_hash"] in page


def test_nothing_gets_in_from_names(page):
    assert "<b>digits" not in page and "<i>zero" not in page and "'<x>'" not in page
    assert "&lt;b&gt;digits" in page and page.count("<script") == 2


def test_sources_are_those_of_the_posterior(made, page):
    found, data, machine = made
    spec = spec_of(page)
    assert [one["seed"] for one in spec["seeds"]] == [0, 1, 2]
    x = seeds.noise("test", [0, 1, 2], data.shape)
    with torch.no_grad():
        for t, noisy, _ in elsedu.ddim(machine, x, 4):
            if t == 0.25:
                post = machine.posterior(noisy, t)
        sampled = elsedu.sample(machine, x, 4)
    sheet = Image.open(io.BytesIO(base64.b64decode(spec["sprite"]["address"].partition(",")[2])))
    sheet, columns = np.asarray(sheet.convert("L")), spec["sprite"]["columns"]
    for k, one in enumerate(spec["seeds"]):
        wanted = post.source[k].reshape(-1, 3).tolist()
        assert [place[1:] for place in one["places"]] == wanted and one["window"] == 3
        for tile, image, *_ in one["places"]:
            row, column = divmod(tile, columns)
            part = sheet[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            assert (part == to_bytes(data.images[image, 0])).all()
        picture = Image.open(io.BytesIO(base64.b64decode(one["image"].partition(",")[2])))
        assert (np.asarray(picture) == to_bytes(sampled[k, 0])).all()
    assert (found.images["els"][0] == to_bytes(sampled[0])).all()  # the very images that were compared


def test_the_expected_error_is_the_comparisons(made):
    found, data, machine = made
    from elsedu.experiments.drawing import draw_with_variance

    x = seeds.noise("test", [0, 1], data.shape)
    samples, variance, *_ = exhibit(machine, x, 4)
    with torch.no_grad():
        wanted = draw_with_variance(machine, x, 4)
    torch.testing.assert_close(samples, wanted[0])
    torch.testing.assert_close(variance, wanted[1].mean(1))
    assert found.measured["error_map"]["final"]["seeds"] == 3


def test_without_images_it_says_so(made, tmp_path):
    bare = Comparison(made[0].measured, made[0].provenance, {})
    with pytest.raises(ValueError, match="holds no images of the network with 4 steps"):
        write_report(tmp_path / "r.html", bare, *made[1:])
    assert not list(tmp_path.iterdir())
