"""The three measures of agreement, against scikit-learn, scipy and closed forms."""

import pytest
import torch
from scipy import stats
from sklearn.metrics import r2_score
from support import random_images

from elsedu.analysis import metrics


@pytest.fixture
def pair():
    a = random_images(5, 3, 6, 7, seed=1)
    return a, 0.5 * a + 0.4 * random_images(5, 3, 6, 7, seed=2) + 0.1


def test_against_scipy_and_sklearn(pair):
    prediction, target = pair
    for b in range(5):
        p, q = prediction[b].flatten().numpy(), target[b].flatten().numpy()
        r = stats.pearsonr(p, q).statistic
        assert abs(float(metrics.pearson_r(prediction, target)[b]) - r) < 1e-12
        assert abs(float(metrics.squared_pearson(prediction, target)[b]) - r**2) < 1e-12
        assert abs(float(metrics.determination(prediction, target)[b]) - r2_score(q, p)) < 1e-12


def test_why_they_need_three_names(pair):
    prediction, target = pair
    r = metrics.pearson_r(prediction, target)
    assert torch.allclose(metrics.pearson_r(3 * prediction - 1, target), r)        # blind to scale and offset
    assert bool((metrics.determination(3 * prediction - 1, target) < 0).all())     # which determination punishes
    assert torch.allclose(metrics.determination(target, target), torch.ones(5, dtype=torch.float64))
    assert metrics.determination(target, prediction)[0] != metrics.determination(prediction, target)[0]
    assert torch.allclose(metrics.pearson_r(-target, target), -torch.ones(5, dtype=torch.float64))
    assert set(metrics.summary(prediction, target)) == {"pearson_r", "squared_pearson", "determination"}


def test_a_constant_image_has_no_correlation(pair):
    flat = torch.zeros_like(pair[0])
    assert bool(torch.isnan(metrics.pearson_r(flat, pair[1])).all())
    assert bool((metrics.determination(flat, pair[1]) <= 0).all())


def test_bad_pairs(pair):
    with pytest.raises(ValueError, match="prediction holds 4 images, target 5"):
        metrics.pearson_r(pair[0][:4], pair[1])
    with pytest.raises(ValueError, match="expected"):
        metrics.determination(pair[0][:, :1], pair[1])


def test_nearest(pair):
    images, _ = pair
    index, distance = metrics.nearest(images, images[[3, 1]] + 0.01, chunk=200)
    assert index.tolist() == [3, 1]
    assert torch.allclose(distance, torch.full((2,), 0.01 * (3 * 6 * 7) ** 0.5, dtype=torch.float64))
