"""Variants of the machine on the same noises: what is switched on is what was asked for; rivals join truthfully."""

import json

import numpy as np
import pytest
import torch

import elsedu
from elsedu.analysis.metrics import pearson_r
from elsedu.diffusion import seeds
from elsedu.experiments import compare
from studies import rivals, variants


@pytest.fixture(scope="module")
def few():
    digits = elsedu.load("digits")
    return elsedu.ImageSet(digits.images[:60], digits.labels[:60], "sixty digits")


class Torus(elsedu.EquivariantLocalScore):
    """A machine that passes for a circular network without labels."""

    padding, label_required = "circular", False


@pytest.fixture(scope="module")
def network(few):
    return Torus(few, 5, border="circular")


FOUR = elsedu.ScaleSchedule([3, 5, 7, 7])


def test_windows_are_read_later_and_stay_in_the_list():
    assert variants.shifted(FOUR, 1).windows == (5, 7, 7, 7)
    assert variants.shifted(FOUR, -1).windows == (3, 3, 5, 7)
    assert variants.shifted(FOUR, 0).windows == FOUR.windows


def test_drawing_is_sampling_unless_steps_are_left_out(few):
    machine, noise = elsedu.LocalScore(few, FOUR), seeds.noise("test", range(3), few.shape)
    assert torch.allclose(variants.draw(machine, noise, 4), elsedu.sample(machine, noise, 4), atol=1e-6)
    x0, eps = machine.predict(noise, 0.75)      # the noise passes for the image at t = 3/4
    x = machine.schedule.alpha(0.5) * x0 + machine.schedule.sigma(0.5) * eps
    for k in (2, 1):
        x0, eps = machine.predict(x, k / 4)
        x = machine.schedule.alpha((k - 1) / 4) * x0 + machine.schedule.sigma((k - 1) / 4) * eps
    assert torch.allclose(variants.draw(machine, noise, 4, skip=1), x, atol=1e-6)


def test_judge_keeps_every_noise_and_pairs_it(few, network):
    ways = {"ours": {"windows": FOUR, "steps": 4},
            "inside": {"windows": FOUR, "steps": 4, "dictionary": "interior"}}
    block = variants.judge(network, few, ways, "test", [3, 8, 11], network_steps=(6,), note=lambda line: None)
    noise = seeds.noise("test", [3, 8, 11], few.shape)
    target = elsedu.sample(network, noise, 6)
    r = {}
    for name, dictionary in (("ours", "all"), ("inside", "interior")):
        machine = elsedu.EquivariantLocalScore(few, FOUR, border="circular", dictionary=dictionary)
        r[name] = pearson_r(elsedu.sample(machine, noise, 4), target).double().numpy()
        assert block["per_seed"]["6"][name] == pytest.approx(r[name].tolist(), abs=1e-4)
    assert not np.allclose(r["ours"], r["inside"], atol=1e-3)
    assert block["margin"]["6"]["inside"]["median"] == pytest.approx(np.median(r["inside"] - r["ours"]), abs=1e-4)
    assert set(block["margin"]["6"]) == {"inside"} and block["variants"]["inside"]["dictionary"] == "interior"


def test_rivals_are_added_and_nothing_else_changes(few, network):
    """Completing a result without the rival gives the result that had it from the beginning."""
    options = {"seeds": 4, "steps": 4, "network_steps": (4, 6), "batch": 2, "progress": False}
    scales = {"els": FOUR, "ls": FOUR}
    whole = compare(network, few, scales, machines=("els", "is", "wiener", "stationary"), **options)
    old = compare(network, few, scales, machines=("els", "is", "wiener"), **options)
    before = json.loads(json.dumps(old.measured))
    record, pictures = rivals.complete({"measured": old.measured, "provenance": old.provenance}, old.images, network,
                                       few)
    for steps in ("4", "6"):
        ours, wanted = record["measured"]["agreement"][steps], whole.measured["agreement"][steps]
        assert ours["stationary"] == wanted["stationary"]
        assert record["measured"]["margin"][steps] == whole.measured["margin"][steps]
        assert {k: v for k, v in ours.items() if k != "stationary"} == before["agreement"][steps]
    assert np.array_equal(pictures["stationary"], whole.images["stationary"])
    assert record["provenance"]["added"]["stationary"]["commit"] == whole.provenance["commit"]


def test_a_network_that_draws_otherwise_is_refused(few, network):
    options = {"seeds": 2, "steps": 4, "network_steps": (4,), "batch": 2, "progress": False}
    old = compare(network, few, {"els": FOUR, "ls": FOUR}, machines=("els", "is"), **options)
    with pytest.raises(ValueError, match="other pictures"):
        rivals.complete({"measured": old.measured, "provenance": old.provenance}, old.images,
                        Torus(few, 3, border="circular"), few)
