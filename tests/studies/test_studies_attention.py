"""The study of attention: the attentive network sees far, and the stored results agree with their own claims."""

import numpy as np
import torch

import elsedu
from elsedu import networks
from elsedu._common import records
from elsedu.experiments import tables as results_table
from studies import attention as studies_attention


def test_the_attentive_network_sees_far_and_keeps_equivariance():
    torch.manual_seed(0)
    network = studies_attention.AttentiveResNet((1, 8, 8), width=8, blocks=1, embedding=8, padding="circular")
    assert networks.receptive_field(network, size=16) == 7     # the untrained layer is the identity
    torch.nn.init.normal_(network.attention.out.weight)
    assert networks.receptive_field(network, size=16) == 16
    assert networks.is_equivariant(network, tol=1e-10)


def test_the_study_runs_on_little():
    data = elsedu.load("digits", limit=60)
    with torch.no_grad():
        measured, images = studies_attention.study(
            data, steps=3, initialisations=(0, 1), windows=(3, 5, 7), count=3, width=8, progress=False)
    loss = measured["loss"]
    assert len(loss["local"]) == len(loss["attention"]) == 2
    assert np.mean(loss["els 5"]) > np.mean(loss["els 7"]) > np.mean(loss["is"])
    assert measured["outside"]["local"]["share"] == [0.0] * 10
    assert measured["alike"]["local"]["same kind"]["seeds"] == 3
    assert images["local-0"].shape == (3, 1, 8, 8) and images["local-0"].dtype == np.uint8


def test_stored_results_are_whole():
    """What the chapter says in words of these numbers holds."""
    record = records.read_json(results_table.FOLDER / "attention-digits.json")
    measured = record["measured"]
    assert record["provenance"]["data"]["hash"] == elsedu.load("digits").hash
    floor = np.array(measured["loss"]["els 7"])
    local, attention = (np.mean(measured["loss"][kind], axis=0) for kind in studies_attention.KINDS)
    assert (local > floor).all() and (attention > floor).all() and (attention < local).all()
    share = measured["outside"]["attention"]["share"]
    assert 1 / 8 < min(share) and max(share) < 0.34
    assert set(measured["outside"]["local"]["share"]) == {0.0}
