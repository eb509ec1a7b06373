"""Several trainings of one network: pairs, margins and two levels by hand."""

import numpy as np
import pytest

import elsedu
from elsedu.analysis import statistics
from elsedu.analysis.metrics import pearson_r
from elsedu.diffusion import seeds
from studies import trainings


def test_compare_by_hand():
    data = elsedu.load("digits", limit=60)
    trained = {f"training {P}": elsedu.LocalScore(data, P) for P in (3, 5, 7)}     # stand in for networks
    machines = {"els": elsedu.EquivariantLocalScore(data, 5), "is": elsedu.IdealScore(data)}
    block = trainings.compare(trained, machines, data.shape, range(5), network_steps=4, steps=4)
    noise = seeds.noise("test", range(5), data.shape)
    target = {name: elsedu.sample(one, noise, 4) for name, one in trained.items()}
    drawn = {name: elsedu.sample(one, noise, 4) for name, one in machines.items()}
    table = {name: np.array([pearson_r(x, y).double().numpy() for y in target.values()]) for name, x in drawn.items()}
    assert block["per_seed"]["els"]["training 5"] == pytest.approx(table["els"][1].tolist(), abs=1e-5)
    assert block["two_level"]["els"]["mean"] == pytest.approx(np.median(table["els"], 1).mean(), abs=1e-5)
    assert block["margin"]["is"]["mean"] == pytest.approx(np.median(table["els"] - table["is"], 1).mean(), abs=1e-5)
    assert set(block["ceiling"]) == {"training 3, training 5", "training 3, training 7", "training 5, training 7"}
    pair = pearson_r(target["training 3"], target["training 7"]).double().numpy()
    assert block["ceiling"]["training 3, training 7"]["median"] == pytest.approx(
        statistics.median(pair)["median"], abs=1e-5)
