"""Comparison: the numbers of a small one by hand, statistics against known distributions, clear refusals."""

import json

import numpy as np
import pytest
import torch
from scipy import stats

import elsedu
from elsedu.analysis import metrics, statistics
from elsedu.analysis import teacher_forcing as forced
from elsedu.diffusion import seeds
from elsedu.experiments import comparison
from elsedu.experiments.comparison import compare
from elsedu.experiments.measurement import anchoring, to_bytes
from elsedu.experiments.store import ResultStore, batches


@pytest.fixture(scope="module")
def few():
    digits = elsedu.load("digits")
    return elsedu.ImageSet(digits.images[:60], digits.labels[:60], "sixty digits")


SCALES = {"els": elsedu.ScaleSchedule([3, 5, 9, 15]), "ls": elsedu.ScaleSchedule([5, 5, 7, 15])}
OPTIONS = {"seeds": 5, "steps": 4, "network_steps": (4, 6), "batch": 2, "progress": False}


@pytest.fixture(scope="module")
def found(few):
    network = elsedu.EquivariantLocalScore(few, 5)
    return compare(network, few, SCALES, second=elsedu.LocalScore(few, 5), **OPTIONS)


def test_medians_by_hand(few, found):
    network, noise = elsedu.EquivariantLocalScore(few, 5), seeds.noise("test", range(5), (1, 8, 8))
    target = elsedu.sample(network, noise, 6)
    machines = {
        "els": elsedu.EquivariantLocalScore(few, SCALES["els"]), "ls": elsedu.LocalScore(few, SCALES["ls"]),
        "els_circular": elsedu.EquivariantLocalScore(few, elsedu.ScaleSchedule([3, 5, 7, 7]), border="circular"),
        "is": elsedu.IdealScore(few), "es": elsedu.EquivariantScore(few), "wiener": elsedu.WienerScore(few),
    }
    images = {name: elsedu.sample(machine, noise, 4) for name, machine in machines.items()}
    images["ceiling"] = elsedu.sample(elsedu.LocalScore(few, 5), noise, 6)
    images["nearest"] = few.images[metrics.nearest(few.images, target)[0]]
    block = found.measured["agreement"]["6"]
    assert set(block) == set(images)
    for name, drawn in images.items():
        for metric in ("pearson_r", "squared_pearson", "determination"):
            values = getattr(metrics, metric)(drawn, target)
            assert block[name][metric]["median"] == pytest.approx(float(np.median(values)), rel=2e-4, abs=2e-4)
            assert block[name][metric]["low"] <= block[name][metric]["median"] <= block[name][metric]["high"]
    els, ideal = (metrics.pearson_r(images[name], target) for name in ("els", "is"))
    assert block["els"]["above_is"]["share"] == pytest.approx(float((els > ideal).double().mean()))
    assert found.measured["per_seed"]["6"]["els"]["pearson_r"] == pytest.approx(els.tolist(), abs=2e-4)
    assert np.array_equal(found.images["els"], to_bytes(images["els"])) or (
        np.abs(found.images["els"].astype(int) - to_bytes(images["els"])).max() <= 1)
    own = found.measured["nearest_distance"]["is"]["median"]
    assert own == pytest.approx(float(np.median(metrics.nearest(few.images, images["is"])[1])) / 8, rel=1e-3, abs=1e-5)


def test_a_machine_agrees_perfectly_with_itself(few):
    windows = elsedu.ScaleSchedule([3, 5, 9, 15])
    same = compare(elsedu.EquivariantLocalScore(few, windows), few, windows, machines=("els", "is"), **OPTIONS)
    assert same.measured["agreement"]["4"]["els"]["pearson_r"]["low"] > 0.99999
    assert min(same.measured["forced"]["els"]["low"]) > 0.99999
    assert max(same.measured["error_map"]["network"]["error"]) < 1e-8
    assert same.measured["agreement"]["4"]["is"]["pearson_r"]["median"] < 0.99


def test_anchoring():
    g = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 1, 8, 8, generator=g)
    assert anchoring(noise) < 0.01
    frame = torch.zeros(1, 1, 8, 8)
    frame[..., :4] = 1
    assert anchoring(frame.expand(5, -1, -1, -1)) == pytest.approx(1)
    # half of the variance by position (.25 of a two-valued frame), half by noise of variance .25
    assert anchoring(frame + 0.5 * noise) == pytest.approx(0.5, abs=0.02)


def test_teacher_forcing_follows_the_network(few, found):
    """r(t) is taken on the network's own x_t, not on the machine's."""
    network, machine = elsedu.EquivariantLocalScore(few, 5), elsedu.LocalScore(few, SCALES["ls"])
    noise = seeds.noise("test", range(5), (1, 8, 8))
    by_hand = {t: metrics.pearson_r(machine.denoise(x, t), x0)
               for t, x, x0 in elsedu.sampling.ddim(network, noise, 4) if t > 0}
    assert found.measured["forced"]["t"] == [0.25, 0.5, 0.75, 1.0]
    for t, value in zip(found.measured["forced"]["t"], found.measured["forced"]["ls"]["median"]):
        assert value == pytest.approx(float(np.median(by_hand[t])), abs=2e-4)


def test_error_map(few, found):
    block = found.measured["error_map"]
    assert {"final", "final_baseline", "final_above_baseline", "network", "held_out"} <= set(block)
    curve = block["held_out"]["reliability"]
    assert sum(curve["pixels"]) > 0 and len(curve["variance"]) == len(curve["error"]) > 3
    # against the truth, a posterior variance is the expected squared error: within a factor on the whole
    ratio = sum(block["held_out"]["error"]) / sum(block["held_out"]["variance"])
    assert 0.5 < ratio < 3


def test_rank_correlation_is_scipys():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(3, 1, 4, 5, generator=g), torch.randint(0, 4, (3, 1, 4, 5), generator=g).float()
    for k, value in enumerate(forced.rank_correlation(a, b)):
        assert float(value) == pytest.approx(stats.spearmanr(a[k].flatten(), b[k].flatten()).statistic)
    assert torch.isnan(forced.rank_correlation(a, torch.ones_like(a))).all()


def test_reliability_sums():
    variance, error = torch.tensor([[0.0, 1e-3, 0.5, 0.5]]), torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    bins = forced.reliability(variance, error)
    assert bins.sum(0).tolist() == pytest.approx([4, 1.001, 10])
    assert bins[:, 0].max() == 2


@pytest.mark.parametrize("draw", ["normal", "skewed"])
def test_bootstrap_coverage(draw):
    """A 95 % interval holds the true median in about 95 % of repetitions."""
    rng = np.random.default_rng(3)
    truth = 0.0 if draw == "normal" else np.log(2)
    make = rng.standard_normal if draw == "normal" else rng.standard_exponential
    repeats = [statistics.bootstrap(make(100), np.median, resamples=600) for _ in range(300)]
    coverage = np.mean([low <= truth <= high for low, high in repeats])
    assert 0.90 <= coverage <= 0.985


def test_interval_shrinks_with_the_square_root():
    rng = np.random.default_rng(0)
    wide, narrow = (np.subtract(*statistics.bootstrap(rng.standard_normal(n), np.median, resamples=1000)[::-1])
                    for n in (50, 1250))
    assert 3 < wide / narrow < 8.5


def test_margins_are_paired(found):
    """By hand, and present for every predictor but ELS itself and the one that knows the answer."""
    per_seed, margin = found.measured["per_seed"]["6"], found.measured["margin"]["6"]
    assert set(margin) == {"els_circular", "ls", "is", "es", "wiener", "ceiling"}
    r = {name: np.array(per_seed[name]["pearson_r"]) for name in ("els", "wiener")}
    assert margin["wiener"]["median"] == pytest.approx(float(np.median(r["els"] - r["wiener"])), abs=2e-4)
    assert margin["wiener"]["above"]["share"] == pytest.approx(float((r["els"] > r["wiener"]).mean()))


def test_a_circular_network_meets_a_rival_with_its_symmetry(few):
    network = elsedu.EquivariantLocalScore(few, 5, border="circular")
    network.padding = "circular"
    found = compare(network, few, SCALES, machines=("els", "els_circular", "wiener", "stationary"), **OPTIONS)
    assert set(found.measured["margin"]["6"]) == {"wiener", "stationary"}
    drawn = elsedu.sample(elsedu.StationaryWienerScore(few), seeds.noise("test", range(5), (1, 8, 8)), 4)
    target = elsedu.sample(network, seeds.noise("test", range(5), (1, 8, 8)), 6)
    assert found.measured["agreement"]["6"]["stationary"]["pearson_r"]["median"] == pytest.approx(
        float(np.median(metrics.pearson_r(drawn, target))), abs=2e-4)


def test_two_levels():
    """Scatter between trainings widens the interval; without it, only the noises count."""
    rng = np.random.default_rng(0)
    noises = 0.05 * rng.standard_normal(100)
    same = statistics.two_level(np.stack([0.9 + noises] * 4), resamples=800)
    apart = statistics.two_level(0.9 + noises + np.array([-0.06, -0.02, 0.02, 0.06])[:, None], resamples=800)
    alone = statistics.median(0.9 + noises)
    assert same["mean"] == pytest.approx(alone["median"]) and same["spread"] == pytest.approx(0, abs=1e-12)
    assert same["high"] - same["low"] == pytest.approx(alone["high"] - alone["low"], rel=0.35)
    assert apart["high"] - apart["low"] > 2 * (same["high"] - same["low"])
    assert apart["medians"] == pytest.approx(np.median(0.9 + noises) + np.array([-0.06, -0.02, 0.02, 0.06]))
    with pytest.raises(ValueError, match="table"):
        statistics.two_level([0.1, 0.2])
    with pytest.raises(ValueError, match="finite"):
        statistics.two_level([[0.1, float("nan")]])


def test_undefined_seeds_are_counted():
    record = statistics.median([0.5, float("nan"), 0.7, float("-inf")])
    assert record["undefined"] == 2 and record["seeds"] == 2 and record["median"] == pytest.approx(0.6)
    assert statistics.median([float("nan")] * 3)["undefined"] == 3
    better = statistics.above([1, 2, float("nan")], [0, 3, 0])
    assert (better["share"], better["seeds"], better["undefined"]) == (0.5, 2, 1)


def test_wilson_against_scipy():
    wins = np.array([True] * 97 + [False] * 3)
    record = statistics.share(wins)
    low, high = stats.binomtest(97, 100).proportion_ci(method="wilson")
    assert (record["low"], record["high"]) == pytest.approx((low, high))
    assert statistics.share(np.ones(100, dtype=bool))["low"] < 0.97


def test_constant_images_are_reported(few):
    """Two blank training images: every sample of IS is one constant, its correlation is not defined."""
    blank = elsedu.ImageSet(torch.zeros(2, 1, 8, 8), None, "blank")
    result = compare(elsedu.LocalScore(few, 3), blank, elsedu.ScaleSchedule([3]), seeds=3, steps=2,
                     network_steps=(2,), machines=("is",), progress=False)
    entry = result.measured["agreement"]["2"]["is"]["pearson_r"]
    assert entry == {"median": None, "low": None, "high": None, "seeds": 0, "undefined": 3}


def test_round_trip(found, tmp_path):
    path = found.save(tmp_path / "new" / "result.json")
    again = comparison.Comparison.load(path)
    assert again.measured == json.loads(json.dumps(found.measured)) and again.provenance == found.provenance
    assert set(again.images) == set(found.images)
    assert all(np.array_equal(again.images[name], found.images[name]) for name in found.images)
    assert {"data", "network", "scales", "seeds", "steps", "versions", "device", "minutes", "commit"} <= set(
        found.provenance)
    assert all(isinstance(value, int | float | list | dict | None) for value in found.measured.values())


def test_circular_networks_have_one_els(few):
    class Torus(elsedu.LocalScore):
        padding = "circular"

    machines = comparison.lineup(Torus(few, 3), few, SCALES)
    assert list(machines) == ["els", "ls", "is", "es", "wiener", "stationary"]
    assert machines["els"].border == machines["ls"].border == "circular"
    assert max(machines["els"].window.windows) == 7


def test_conditional_networks_draw_class_k_for_seed_k(few):
    network = elsedu.networks.ResNet((1, 8, 8), width=8, blocks=1, classes=10).eval()
    result = compare(network, few, SCALES, seeds=[3, 14], steps=2, network_steps=(2,), machines=("is",),
                     progress=False)
    noise = seeds.noise("test", [3, 14], (1, 8, 8))
    expected = elsedu.sample(elsedu.IdealScore(few), noise, 2, torch.tensor([3, 4]))
    assert np.array_equal(result.images["is"], to_bytes(expected))


def test_pieces_resume_and_refuse(tmp_path):
    pieces = ResultStore(tmp_path, {"steps": 4})
    first = pieces.get("a", lambda: {"x": torch.arange(3)})
    again = ResultStore(tmp_path, {"steps": 4}).get("a", lambda: pytest.fail("computed again"))
    assert torch.equal(first["x"], again["x"])
    with pytest.raises(ValueError, match="steps is 4 there, 5 here"):
        ResultStore(tmp_path, {"steps": 5})
    (tmp_path / "settings.json").unlink()       # the pieces themselves know, too
    with pytest.raises(ValueError, match="steps is 4 there, 5 here"):
        ResultStore(tmp_path, {"steps": 5}).get("a", dict)
    (tmp_path / "settings.json").unlink()
    whole = pieces.path("a").read_bytes()
    pieces.path("a").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        ResultStore(tmp_path, {"steps": 4}).get("a", dict)
    assert [part for _, part in batches([0, 1, 2, 3, 4], 2)] == [[0, 1], [2, 3], [4]]


def test_more_seeds_reuse_the_old_ones(few, tmp_path):
    network = elsedu.LocalScore(few, 5)
    options = {**OPTIONS, "machines": ("is", "els"), "folder": tmp_path}
    compare(network, few, SCALES, **{**options, "seeds": 2})
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    longer = compare(network, few, SCALES, **{**options, "seeds": 4})
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    fresh = compare(network, few, SCALES, **{**options, "seeds": 4, "folder": None})
    assert json.dumps(longer.measured) == json.dumps(fresh.measured)


def test_bad_input(few, tmp_path):
    network = elsedu.LocalScore(few, 3)
    with pytest.raises(ValueError, match="calibrate first"):
        compare(network, few)
    with pytest.raises(ValueError, match="keys 'els' and 'ls'"):
        compare(network, few, {"els": SCALES["els"]})
    with pytest.raises(ValueError, match="no seeds"):
        compare(network, few, SCALES, seeds=0)
    with pytest.raises(ValueError, match="unknown machine"):
        compare(network, few, SCALES, machines=("gan",))
    with pytest.raises(TypeError, match="Denoiser"):
        compare(torch.nn.Linear(2, 2), few, SCALES)
    with pytest.raises(ValueError, match="no shipped network"):
        compare("imagenet-dit", few, SCALES)
    with pytest.raises(ValueError, match="different noise schedules"):
        compare(network, few, SCALES, second=elsedu.LocalScore(few, 3, schedule=elsedu.schedule.linear_vp()))
    with pytest.raises(ValueError, match="draws images"):
        compare(elsedu.networks.ResNet((1, 16, 16), width=8), few, SCALES)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="nothing was computed"):
        compare(network, few, SCALES, folder=tmp_path / "file" / "results")
    with pytest.raises(FileNotFoundError):
        comparison.Comparison.load(tmp_path / "nothing.json")
    (tmp_path / "half.json").write_text('{"measured": {')
    with pytest.raises(ValueError, match="damaged"):
        comparison.Comparison.load(tmp_path / "half.json")


def test_unwritable_folder_leaves_the_old_result(found, tmp_path):
    path = found.save(tmp_path / "result.json")
    before = path.read_bytes()
    with pytest.raises(OSError, match="cannot be written"):
        found.save(path / "result.json")     # a file is no folder
    assert path.read_bytes() == before


def test_other_data_than_the_card_says(few):
    network = elsedu.networks.ResNet((1, 8, 8), width=8, blocks=1).eval()
    network.provenance = {"data": {"hash": "0" * 16}}
    with pytest.warns(UserWarning, match="hash"):
        comparison.Plan(network, few, SCALES, 2)


def test_pieces_that_were_changed_are_refused(tmp_path):
    with ResultStore(tmp_path, {"steps": 4}) as pieces:
        for name in ("els.0", "ls.0"):
            pieces.get(name, lambda name=name: {"images": torch.full((2, 1, 4, 4), float(len(name)))})
        els, ls = (pieces.path(name) for name in ("els.0", "ls.0"))
        whole = els.read_bytes()
        els.write_bytes(ls.read_bytes())
        with pytest.raises(ValueError, match=r"els\.0.*the piece 'ls\.0' under another name"):
            pieces.get("els.0", dict)
        for place in range(0, len(whole), 7):
            els.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            with pytest.raises(ValueError, match=r"els\.0\.safetensors|other settings"):
                pieces.get("els.0", dict)
        els.write_bytes(whole)
        assert pieces.get("els.0", dict)["images"].shape == (2, 1, 4, 4)
