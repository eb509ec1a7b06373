"""The study of what ELS misses: the regressor sees its window and no more, and the comparison is arithmetic."""

import numpy as np
import pytest
import torch

import elsedu
from elsedu import networks
from elsedu.analysis.metrics import pearson_r
from elsedu.diffusion import seeds
from studies import residual


@pytest.mark.parametrize("window", [3, 5, 9])
def test_the_regressor_sees_its_window(window):
    torch.manual_seed(0)
    regressor = residual.LocalRegressor((1, 16, 16), window, width=8, embedding=8)
    assert networks.receptive_field(regressor, size=16) == window


def test_shared_weights_commute_with_shifts_and_places_do_not():
    torch.manual_seed(0)
    shared = residual.LocalRegressor((1, 8, 8), 5, width=8, embedding=8, padding="circular")
    assert networks.is_equivariant(shared, tol=1e-6)
    placed = residual.LocalRegressor((1, 8, 8), 5, True, width=8, embedding=8, padding="circular")
    torch.nn.init.normal_(placed.place)
    assert not networks.is_equivariant(placed, tol=1e-3)


def test_training_lowers_the_loss():
    data = elsedu.load("digits", limit=100)
    for kind, sees in (("shared, P = 5", 5), ("deep, P = 9", 9)):
        regressor = residual.train(data, kind, steps=60, width=16)
        losses = regressor.training_record["losses"]
        assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
        assert networks.receptive_field(regressor, size=24) == sees


def test_what_is_removed_is_measured_from_the_networks_side():
    """ELS in the place of a regressor removes nothing, the network itself everything."""
    data = elsedu.load("digits", limit=60)
    network, els = elsedu.LocalScore(data, 5), elsedu.EquivariantLocalScore(data, 5)
    block, drawn = residual.compare(network, None, data, els, {"els again": els, "itself": network}, range(4),
                                    network_steps=4, steps=4)
    assert block["removed"]["els again"]["median"] == pytest.approx(0, abs=1e-6)
    assert block["removed"]["itself"]["median"] == pytest.approx(1, abs=1e-6)
    assert block["margin"]["els again"]["median"] == pytest.approx(0, abs=1e-9)
    noise = seeds.noise("test", range(4), data.shape)
    by_hand = pearson_r(elsedu.sample(els, noise, 4), elsedu.sample(network, noise, 4)).double().numpy()
    assert block["r"]["ELS"]["median"] == pytest.approx(np.median(by_hand), abs=1e-5)
    assert torch.equal(drawn["els again"], drawn["ELS"])
