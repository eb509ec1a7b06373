"""The other denoisers: each becomes a known one at the end of its range, and does what its theory says."""

import math

import pytest
import torch
from support import random_images, rng

import elsedu
from elsedu.machines.others import CovarianceMasks, EdgeScore, PatchPosterior, SmoothedScore, compose, square_masks

IMAGES = random_images(12, 1, 5, 5, seed=3)
COLOUR = random_images(9, 3, 4, 5, seed=4)


def query(images, count=3, seed=0):
    return torch.randn(count, *images.shape[1:], generator=rng(seed), dtype=torch.float64)


@pytest.mark.parametrize("images", [IMAGES, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize("t", [0.1, 0.4, 0.9])
def test_each_becomes_the_ideal_score(images, t):
    x, ideal = query(images), elsedu.IdealScore(images, backend="torch").denoise(query(images), t)
    ends = [SmoothedScore(images, 0.0, count=2), CovarianceMasks(images, 0.0)]
    if images.shape[-1] == images.shape[-2]:
        ends.append(PatchPosterior(images, images.shape[-1]))
    for denoiser in ends:
        assert torch.allclose(denoiser.denoise(x, t), ideal, atol=1e-9), denoiser.short_name


@pytest.mark.parametrize("images", [IMAGES, COLOUR], ids=["gray", "colour"])
def test_single_pixels_are_the_local_score_with_window_one(images):
    x, local = query(images), elsedu.LocalScore(images, 1, backend="torch")
    assert torch.allclose(PatchPosterior(images, 1).denoise(x, 0.3), local.denoise(x, 0.3), atol=1e-9)
    assert torch.allclose(CovarianceMasks(images, 1.0).masks(1e-3).sum(1).min(), torch.tensor(1.0))


def test_compose_with_square_masks_is_the_local_score():
    # windows clipped at the border, each answering for its centre
    grid = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    windows = ((grid[:, None] - grid).abs().amax(2) <= 1).double()
    schedule = elsedu.schedule.cosine()
    x, t = query(IMAGES), 0.35
    ours = compose(x, IMAGES, float(schedule.alpha(t)), float(schedule.sigma(t)), windows,
                   torch.eye(25, dtype=torch.float64))
    assert torch.allclose(ours, elsedu.LocalScore(IMAGES, 3, backend="torch").denoise(x, t), atol=1e-9)


def test_patches_are_averaged_where_they_overlap():
    x, t, side = query(IMAGES, 1), 0.3, 3
    schedule = elsedu.schedule.cosine()
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    total, count = torch.zeros(5, 5, dtype=torch.float64), torch.zeros(5, 5)
    for i in range(3):
        for j in range(3):
            rows, columns = slice(i, i + side), slice(j, j + side)
            patches = IMAGES[:, 0, rows, columns]
            distance = (x[0, 0, rows, columns] - alpha * patches).square().sum((1, 2))
            weights = torch.softmax(-distance / (2 * sigma**2), 0)
            total[rows, columns] += torch.einsum("n,nij->ij", weights, patches)
            count[rows, columns] += 1
    assert torch.allclose(PatchPosterior(IMAGES, side).denoise(x, t)[0, 0], total / count, atol=1e-9)


def test_square_masks():
    masks = square_masks((4, 5), 3)
    assert masks.shape == (2 * 3, 20) and bool((masks.sum(1) == 9).all())
    assert masks[0].view(4, 5)[:3, :3].all() and masks[-1].view(4, 5)[1:, 2:].all()
    assert torch.equal(square_masks((4, 5), 1), torch.eye(20))


def test_smoothing_two_images_is_a_gaussian_share():
    """As sigma falls, the weight of an image is the share of the perturbations that fall into its cell."""
    images = torch.stack([torch.full((1, 2, 2), -0.5), torch.full((1, 2, 2), 0.5)]).double()
    spread, t = 0.7, 0.01
    smoothed = SmoothedScore(images, spread, count=200_000)
    x = torch.full((1, 1, 2, 2), 0.2, dtype=torch.float64)
    # the cells meet where the mean pixel is 0; the mean of four perturbed pixels has standard deviation spread/2
    share = 0.5 * (1 + math.erf(0.2 / (spread / 2) / math.sqrt(2)))
    assert abs(float(smoothed.denoise(x, t)[0, 0, 0, 0]) - (2 * share - 1) * 0.5) < 5e-3
    assert torch.equal(smoothed.directions[:100_000], -smoothed.directions[100_000:])


def test_smoothed_score_is_the_mean_of_scores():
    smoothed, ideal = SmoothedScore(IMAGES, 0.6, count=8), elsedu.IdealScore(IMAGES, backend="torch")
    x, t = query(IMAGES, 2), 0.3
    scores = [ideal.score(x + 0.6 * d.double(), t) for d in smoothed.directions]
    assert torch.allclose(smoothed.score(x, t), torch.stack(scores).mean(0), atol=1e-7)


def test_covariance_masks_shrink_with_threshold_and_hold_their_pixel():
    sizes = []
    for threshold in (0.0, 0.05, 0.3, 1.0):
        mask = CovarianceMasks(IMAGES, threshold).masks(0.3)
        assert bool((mask.diagonal() == 1).all())
        sizes.append(mask.sum())
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1]
    still = IMAGES.clone()
    still[:, :, 0, 0] = -1.0                                    # a pixel that never changes
    assert torch.allclose(CovarianceMasks(still, 0.1).denoise(query(still), 0.3)[:, :, 0, 0],
                          torch.full((3, 1), -1.0, dtype=torch.float64))


@pytest.mark.parametrize("name", ["ls", "els"])
def test_edge_score_takes_the_largest_window_with_enough_patches(name):
    x, t = query(IMAGES).float(), 0.4
    edge = EdgeScore(IMAGES.float(), 5, (1, 3, 5), machine=name)
    x0, side = edge.choose(x, t)
    posts = edge.machine.posterior(x, t, windows=[1, 3, 5])
    for window in (1, 3, 5):
        place = side == window
        assert torch.equal(x0[:, 0][place], posts[window].mean[:, 0][place])
        larger = [w for w in (3, 5) if w > window]
        assert not any(bool((posts[w].effective_patches[place] >= 5).any()) for w in larger)
    assert torch.equal(edge.denoise(x, t), x0)
    assert bool((EdgeScore(IMAGES.float(), 1, (1, 3, 5)).choose(x, t)[1] == 5).all())


def test_labels_times_and_groups():
    data = elsedu.ImageSet(IMAGES.float(), torch.tensor([0, 1] * 6), "labelled")
    x, t, label = query(IMAGES).float(), torch.tensor([0.2, 0.5, 0.2]), torch.tensor([1, 0, 0])
    scales = elsedu.ScaleSchedule([1, 3, 5, 5])
    for denoiser in (SmoothedScore(data, 0.3, count=4), PatchPosterior(data, scales), CovarianceMasks(data, 0.1),
                     EdgeScore(data, 3, (1, 3))):
        whole = denoiser.denoise(x, t, label)
        for b in range(3):
            alone = denoiser.denoise(x[b:b + 1], float(t[b]), int(label[b]))
            assert torch.allclose(whole[b:b + 1], alone, atol=1e-5), denoiser.short_name
        assert elsedu.sample(denoiser, x, steps=4, label=label).shape == x.shape


@pytest.mark.parametrize("make", [
    lambda: SmoothedScore(IMAGES, -1), lambda: SmoothedScore(IMAGES, 1, count=3), lambda: PatchPosterior(IMAGES, 6),
    lambda: PatchPosterior(IMAGES, 0), lambda: CovarianceMasks(IMAGES, 2), lambda: EdgeScore(IMAGES, 0.5),
    lambda: EdgeScore(IMAGES, 2, (4,)), lambda: EdgeScore(IMAGES, 2, machine="is"),
])
def test_refuses(make):
    with pytest.raises(ValueError):
        make()


def test_studies_run_on_little(tmp_path, monkeypatch):
    from elsedu._common import records
    from elsedu.experiments import tables as results_table
    from studies import denoisers as studies_denoisers

    data = elsedu.ImageSet(random_images(40, 1, 6, 6, dtype=torch.float32))
    network = elsedu.EquivariantLocalScore(data, 3)            # any denoiser can stand in for a network
    network.name = "toy"
    index = list(range(4))
    values = {"pearson_r": [0.5] * 4, "determination": [0.1] * 4}
    record = {"measured": {"per_seed": {"3": {"is": values}}},
              "provenance": {"network": {"weights_hash": None}, "data": {"hash": data.hash}, "seeds": {"index": index}}}
    records.write_json(tmp_path / "toy.json", record)
    monkeypatch.setattr(results_table, "FOLDER", tmp_path)
    windows = studies_denoisers.patch_windows(network, data, (1, 3, 5), 2, steps=3)
    assert len(windows) == 3
    best, curve = studies_denoisers.tune(network, data, CovarianceMasks, (0.01, 0.5), 2, steps=3, network_steps=3)
    assert curve[best] == max(curve.values())
    block = studies_denoisers.judge(network, data, {"itself": network}, index, steps=3, network_steps=(3,),
                                    note=lambda _: None)
    assert block["alike"]["3"]["itself"]["determination"]["median"] == pytest.approx(1)
    agreement, _ = studies_denoisers.stored(network, data, index[1:3])
    assert agreement["3"]["is"]["squared_pearson"]["median"] == 0.25
    found = studies_denoisers.halves_study(data, elsedu.ScaleSchedule([3]), (10, 20), range(2), 2, lambda _: None)
    assert len(found["els"]) == len(found["is_nearest"]) == 2
    assert studies_denoisers.budget_windows(data, (1, 3, 5), 5).windows[0] == 1
    torus = studies_denoisers.budget_windows(data, (1, 3, 5), 5, "circular")
    assert torus.windows[-1] == 5 and sorted(torus.windows) == list(torus.windows)
