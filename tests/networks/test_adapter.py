"""Any function of (x, t) as a denoiser: the four predictions are one, and it is sampled and compared as any network."""

import pytest
import torch

import elsedu
from elsedu._common.records import weights_hash
from elsedu.networks import as_denoiser

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def known():
    return elsedu.network("digits-resnet-zero")


@pytest.mark.parametrize("schedule", ["cosine", "linear_vp", "flow_matching"])
@pytest.mark.parametrize("predicts", ["noise", "image", "velocity", "score"])
def test_all_predictions_are_one(predicts, schedule):
    truth = elsedu.IdealScore(elsedu.load("digits", limit=20), schedule=elsedu.schedule.by_name(schedule))

    def function(x, t):
        t = t.double()
        if predicts == "image":
            return truth.denoise(x, t)
        if predicts == "score":
            return truth.score(x, t)
        x0, noise = truth.predict(x, t)
        levels = (truth.schedule.alpha, truth.schedule.sigma)
        alpha, sigma = (level(t).to(x.dtype).view(-1, 1, 1, 1) for level in levels)
        return noise if predicts == "noise" else alpha * noise - sigma * x0

    mine = as_denoiser(function, SHAPE, predicts=predicts, schedule=schedule)
    x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    for t in (0.2, 0.5, torch.tensor([0.3, 0.6, 0.9])):
        torch.testing.assert_close(mine.denoise(x, t), truth.denoise(x, t), atol=2e-3, rtol=1e-3)
        torch.testing.assert_close(mine.noise(x, t), truth.noise(x, t), atol=2e-3, rtol=1e-3)


def test_it_is_the_network(known):
    mine = as_denoiser(lambda x, t: known(x, t, None), SHAPE, name="mine")
    x = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(elsedu.sample(mine, x, 5), elsedu.sample(known, x, 5))
    assert mine.name == "mine" and not mine.label_required and mine.padding == "zero"


def test_a_module_keeps_its_parameters_and_classes():
    class Conditional(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(3, 1)
            self.drop = torch.nn.Dropout(0.5)

        def forward(self, x, t, label):
            return self.drop(x) * t.view(-1, 1, 1, 1) + self.table(label).view(-1, 1, 1, 1)

    mine = as_denoiser(Conditional(), SHAPE, classes=3)
    assert len(list(mine.parameters())) == 1 and mine.classes == [0, 1, 2] and mine.label_required
    x = torch.zeros(2, *SHAPE)
    with torch.no_grad():
        different = mine.noise(x, 0.5, torch.tensor([0, 1]))
    assert (different[0] != different[1]).all()
    with pytest.raises(ValueError, match="class-conditional"):
        mine.noise(x, 0.5)


def test_two_functions_have_two_hashes():
    first, again, second = (as_denoiser(f, SHAPE) for f in (lambda x, t: x, lambda x, t: 1 * x, lambda x, t: 2 * x))
    assert weights_hash(first) == weights_hash(again) != weights_hash(second)


def test_what_is_no_denoiser():
    with pytest.raises(TypeError, match="must be a function of"):
        as_denoiser(3, SHAPE)
    with pytest.raises(ValueError, match=r"must return a tensor of the shape of x, \(1, 1, 8, 8\), got \(1, 8, 8\)"):
        as_denoiser(lambda x, t: x[0], SHAPE)
    with pytest.raises(ValueError, match=r"NaN or infinite values at t = 0\.5"):
        as_denoiser(lambda x, t: x / 0, SHAPE)
    for options in ({"predicts": "x0"}, {"padding": "same"}, {"schedule": "exp"}, {"classes": 0}):
        with pytest.raises(ValueError, match=r"unknown|classes must"):
            as_denoiser(lambda x, t: x, SHAPE, **options)
    with pytest.raises(ValueError, match="image_shape must be"):
        as_denoiser(lambda x, t: x, (8, 8))
