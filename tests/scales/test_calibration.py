"""Calibration: it recovers windows that are known, and says how it got them."""

import numpy as np
import pytest
import torch

import elsedu
from elsedu.diffusion import seeds
from elsedu.machines.windows import candidate_windows
from elsedu.scales.calibration import calibrate, window_distance
from elsedu.scales.rules import cheapest, choose, costs

WINDOWS = (3, 3, 5, 5, 7, 7, 9, 11)


@pytest.fixture(scope="module")
def few():
    digits = elsedu.load("digits")
    return elsedu.ImageSet(digits.images[:40].double(), digits.labels[:40], "forty digits")


@pytest.mark.parametrize("kind", ["els", "ls"])
@pytest.mark.parametrize("rule", ["median", "mean"])
def test_recovers_the_window_of_a_machine_at_every_time(few, kind, rule):
    machine = {"els": elsedu.EquivariantLocalScore, "ls": elsedu.LocalScore}[kind](few, elsedu.ScaleSchedule(WINDOWS))
    found = calibrate(machine, kind, few, windows=[3, 5, 7, 9, 11], steps=8, samples=2, rule=rule,
                      criterion="squared_error", progress=False)
    assert found.windows == WINDOWS
    assert found.info["choices"] == [list(WINDOWS)] * 2


def test_recovers_windows_on_the_torus(few):
    machine = elsedu.EquivariantLocalScore(few, elsedu.ScaleSchedule((3, 5, 7, 5)), border="circular")
    found = calibrate(machine, elsedu.EquivariantLocalScore(few, 3, border="circular"), few, steps=4, samples=2,
                      criterion="squared_error", progress=False)
    assert found.windows == (3, 5, 7, 5) and found.info["border"] == "circular"
    assert found.info["candidates"] == [3, 5, 7]


def test_cosine_prefers_the_right_window_too(few):
    machine = elsedu.EquivariantLocalScore(few, 7)
    found = calibrate(machine, "els", few, windows=[3, 7, 11], steps=4, samples=2, progress=False)
    assert found.windows == (7, 7, 7, 7)
    assert max(map(max, found.info["quality"])) == pytest.approx(1, abs=1e-9)


def test_one_pass_serves_all_windows(few, monkeypatch):
    asked = []
    original = elsedu.EquivariantLocalScore.posterior

    def counting(self, *args, **options):
        asked.append(options["windows"])
        return original(self, *args, **options)

    monkeypatch.setattr(elsedu.EquivariantLocalScore, "posterior", counting)
    calibrate(elsedu.IdealScore(few), "els", few, windows=[3, 5, 9], steps=3, samples=4, progress=False)
    assert asked == [[3, 5, 9]] * 3


def test_rules_by_hand():
    quality = np.zeros((3, 2, 3))
    quality[:, 0] = [[1, 0, 0], [1, 0, 0], [0, 0, 9]]     # best: 0, 0, 2: median 0, mean 2
    quality[:, 1] = [[0, 1, 0], [0, 0, 1], [0, 2, 0]]     # best: 1, 2, 1
    assert choose(quality, [3, 5, 7], "median") == [3, 5]
    assert choose(quality, [3, 5, 7], "mean") == [7, 5]
    assert choose(quality, [3, 5, 7], "mean", monotone=True) == [7, 7]
    even = np.stack([quality[0], quality[2]])              # best at the first time: 0 and 2
    assert choose(even, [3, 5, 7], "median")[0] == 3       # the lower of the two middle values


def test_median_rule_is_the_median():
    choice = np.random.default_rng(0).integers(9, size=(11, 40))
    quality = (choice[:, :, None] == np.arange(9)).astype(float)
    assert choose(quality, list(range(9)), "median") == np.median(choice, axis=0).astype(int).tolist()


def test_monotone_path_is_the_best_of_all():
    import itertools

    cost = np.random.default_rng(1).normal(size=(5, 4))
    rising = (p for p in itertools.product(range(4), repeat=5) if list(p) == sorted(p))
    best = min(rising, key=lambda p: cost[np.arange(5), list(p)].sum())
    assert cheapest(cost, monotone=True).tolist() == list(best)
    assert cheapest(cost).tolist() == cost.argmin(1).tolist()
    assert costs(np.ones((2, 3, 4)), "mean").shape == (3, 4)


def test_denoising_finds_the_best_window_on_held_out_images(few):
    found = calibrate(None, "els", few, "denoising", windows=[1, 3, 7], steps=4, samples=15, progress=False)
    # the same by hand, for the third time (t = 3/4)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seeds.seed_of("denoising", 0)))
    error = dict.fromkeys((1, 3, 7), 0.0)
    for k in range(15):
        rest = few.take(order[[j for j in range(40) if j % 5 != k % 5]])
        clean = few.images[order[k]][None]
        eps = seeds.noise("denoising", [1 + k], few.shape, torch.float64)
        x = elsedu.schedule.cosine().add_noise(clean, 0.75, eps)
        for w in error:
            error[w] += float((elsedu.EquivariantLocalScore(rest, w).denoise(x, 0.75) - clean).square().mean()) / 15
    assert found.windows[2] == min(error, key=error.get)
    assert found.info["quality"][2] == pytest.approx([-error[w] for w in (1, 3, 7)], rel=1e-5)


def test_counting_patches_takes_the_largest_window_with_enough_patches(few):
    found = calibrate(None, "els", few, "patches", windows=[3, 5, 9], steps=6, samples=3, kappa=4, progress=False)
    for window, spread in zip(found.windows, found.info["quality"]):
        enough = [w for w, value in zip((3, 5, 9), spread) if value >= np.log(4)]
        assert window == max(enough, default=3)
    assert len(set(found.windows)) > 1
    falling = calibrate(None, "els", few, "patches", windows=[3, 5, 9], steps=6, samples=3, kappa=4, monotone=True,
                        progress=False)
    assert list(falling.windows) == sorted(falling.windows)


def test_round_trip(few, tmp_path):
    found = calibrate(elsedu.IdealScore(few), "ls", few, steps=3, samples=[5, 9], windows=[3, 9], progress=False)
    found.save(tmp_path / "s.json")
    again = elsedu.ScaleSchedule.load(tmp_path / "s.json")
    assert again == found and again.info == found.info
    assert again.info["data_hash"] == few.hash and again.info["seeds"] == {"stream": "calibration", "index": [5, 9]}


def test_calibration_never_sees_the_noise_of_the_test():
    streams = {name: seeds.noise(name, range(200), (1, 4, 4)) for name in seeds.STREAMS}
    numbers = [seeds.seed_of(name, k) for name in seeds.STREAMS for k in (0, 1, seeds.LENGTH - 1)]
    assert len(set(numbers)) == len(numbers)
    everything = torch.cat(list(streams.values())).flatten(1)
    assert len(torch.unique(everything, dim=0)) == 200 * len(streams)


def test_noise_does_not_depend_on_the_batch():
    assert torch.equal(seeds.noise("test", [3, 7], (1, 5, 5))[1:], seeds.noise("test", [7], (1, 5, 5)))


def test_conditional_networks_cycle_through_their_classes(few):
    network = elsedu.networks.ResNet((1, 8, 8), width=8, blocks=1, classes=10)
    found = calibrate(network.double(), "els", few, steps=2, samples=3, windows=[3, 5], progress=False)
    assert len(found) == 2 and found.info["weights_hash"]
    with pytest.raises(ValueError, match="label 11"):
        calibrate(network, "els", few, steps=2, samples=3, windows=[3, 5], label=11, progress=False)


@pytest.mark.parametrize("change, message", [
    ({"samples": 0}, "no seeds"), ({"samples": []}, "no seeds"), ({"method": "magic"}, "unknown method"),
    ({"rule": "mode"}, "unknown rule"), ({"criterion": "l1"}, "unknown criterion"), ({"windows": []}, "at least one"),
    ({"windows": [4]}, "odd"), ({"machine": "is"}, "unknown machine"), ({"network": None}, "give a network"),
    ({"steps": 0}, "steps"), ({"samples": [1, 1]}, "twice"),
])
def test_bad_input(few, change, message):
    given = {"network": elsedu.IdealScore(few), "machine": "els", "data": few, "progress": False, **change}
    with pytest.raises(ValueError, match=message):
        calibrate(**given)


def test_more_bad_input(few):
    with pytest.raises(ValueError, match="must agree"):
        calibrate(elsedu.IdealScore(few, schedule=elsedu.schedule.linear_vp()), elsedu.LocalScore(few, 3), few)
    with pytest.raises(TypeError, match="machine must be"):
        calibrate(None, elsedu.IdealScore(few), few, "denoising")
    with pytest.raises(ValueError, match="kappa"):
        calibrate(None, "els", few, "patches", kappa=0.5, progress=False)
    with pytest.raises(ValueError, match="folds"):
        calibrate(None, "els", few, "denoising", folds=1, progress=False)
    with pytest.raises(ValueError, match="NaN"):
        choose(np.full((1, 2, 2), np.nan), [3, 5])


def test_candidates():
    assert candidate_windows((1, 8, 8)) == [3, 5, 7, 9, 11, 13, 15]
    assert candidate_windows((1, 8, 8), "circular") == [3, 5, 7]
    assert candidate_windows((3, 32, 32), largest=17)[-1] == 17
    assert window_distance(elsedu.ScaleSchedule([3, 5]), elsedu.ScaleSchedule([5, 5])) == 0.5


def test_studies_choose_and_judge(few):
    from studies import calibration as studies

    small = elsedu.ImageSet(few.images.float(), few.labels, "forty digits")
    network = elsedu.EquivariantLocalScore(small, elsedu.ScaleSchedule((3, 5, 5, 9)))
    network.label_required = False
    target = calibrate(network, "els", small, steps=20, samples=2, windows=[3, 5, 9], progress=False)
    found = studies.kappa_study(network, small, [3, 5, 9], target, kappas=(2, 30), samples=2, progress=False)
    assert found["best"] == (2, 30)[int(np.argmin(found["loss"]))] and min(found["loss"]) >= 0
    quality = np.array(target.info["quality"])
    by_hand = np.mean([max(row) - row[[3, 5, 9].index(w)] for row, w in zip(quality, found["windows"][1])])
    assert found["loss"][1] == pytest.approx(by_hand)
    judged = studies.judge(network, small, {"own": network.window, "other": elsedu.ScaleSchedule([9])},
                           index=range(1000, 1004), steps=4, network_steps=(4,))
    assert judged["own"]["4"]["low"] > 0.9999 > judged["other"]["4"]["median"]
    assert min(studies.JUDGES) > 100        # apart from the samples that windows are chosen on


def test_released_windows_on_a_network_of_ours(few):
    from studies import calibration as studies

    stem = "cifar10-resnet-zero.laptop"
    with pytest.raises(ValueError, match=r"32x32 pixels, .*16"):
        studies.published_study(stem, None, few.__class__(torch.zeros(2, 3, 16, 16), None, "tiles"))
    tiles = elsedu.load("photos32", limit=6)
    released = elsedu.scales.published("cifar10-resnet-zero")
    machine = elsedu.EquivariantLocalScore(elsedu.ImageSet(tiles.images), released)
    machine.label_required = False
    found = studies.published_study(stem, machine, machine.data, network_steps=(20,), count=2)
    assert found["seeds"] == 2 and found["published"]["20"]["low"] > 0.9999
    assert found["own"]["20"]["median"] > 0.5 and found["windows"][0] == 3
    assert found["above"]["20"]["share"] == 1 and found["gain"]["20"]["low"] > 0 and found["own"]["20"]["seeds"] == 2
