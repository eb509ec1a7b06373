"""Scale schedules: look-up, translation between noise schedules, files, the published lists."""

import json

import pytest
import torch

import elsedu
from elsedu import ScaleSchedule, scales
from elsedu.diffusion import schedule


def test_entry_k_belongs_to_k_plus_one_over_n():
    s = ScaleSchedule([3, 5, 7, 9])
    assert s.at(torch.tensor([0.25, 0.5, 0.75, 1.0])) == [3, 5, 7, 9]
    # nearest entry in between, clamped below
    assert s.at(torch.tensor([0.01, 0.37, 0.38, 0.9])) == [3, 3, 5, 9]
    assert s.at(0.62) == [5] and s.at(0.63) == [7]
    assert len(s) == 4


@pytest.mark.parametrize("n", [20, 50, 150])
def test_a_grid_finds_its_own_entries(n):
    s = ScaleSchedule(list(range(1, 2 * n + 1, 2)))
    assert [s.at(i / n)[0] for i in range(1, n + 1)] == list(s.windows)


def test_another_noise_schedule_is_translated_by_the_noise_level():
    s = ScaleSchedule([3, 5, 7, 9, 11], schedule.cosine())
    flow, own = schedule.flow_matching(), schedule.cosine()
    for t in (0.2, 0.4, 0.6, 0.8):
        ratio = own.sigma(t) / own.alpha(t)
        assert s.at(float(flow.time_of_ratio(ratio)), flow) == s.at(t)
    assert s.at(1.0, flow) == [11]  # all noise: beyond the cosine schedule's range


def test_files(tmp_path):
    s = ScaleSchedule([3, 5], schedule.linear_vp(), {"network": "x", "seeds": [1, 2]})
    s.save(tmp_path / "s.json")
    back = ScaleSchedule.load(tmp_path / "s.json")
    assert back == s and back.info == s.info
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".part"]
    (tmp_path / "half.json").write_text((tmp_path / "s.json").read_text()[:20])
    (tmp_path / "other.json").write_text(json.dumps({"a": 1}))
    for name in ("half.json", "other.json"):
        with pytest.raises(ValueError, match=name):
            ScaleSchedule.load(tmp_path / name)


@pytest.mark.parametrize("windows,error,words", [
    ([3, 4], ValueError, "got 4"), ([], ValueError, "at least one"), ([3.0], TypeError, "3.0"), (5, TypeError, "5"),
    ("35", TypeError, "'35'"),
])
def test_bad_windows(windows, error, words):
    with pytest.raises(error, match=words):
        ScaleSchedule(windows)


def test_published():
    assert len(scales.published_names()) == 10
    for name in scales.published_names():
        s = scales.published(name)
        assert len(s) == 20 and s.schedule == schedule.cosine()
        assert s.windows[0] == 3
    assert scales.published("cifar10-resnet-zero").at(1.0) == [17]
    # the one list that is not monotone, as released
    circular = scales.published("mnist-resnet-circular").windows
    assert max(circular) == 11 and circular[-1] == 3
    with pytest.raises(ValueError, match="known: 'cifar10-resnet-zero'"):
        scales.published("cifar100-resnet-zero")


def test_unknown_calibration():
    with pytest.raises(ValueError, match="unknown calibrated els scale schedule 'nothing'"):
        scales.calibrated("nothing")
    with pytest.raises(ValueError, match="unknown machine 'is'"):
        scales.calibrated("nothing", machine="is")


def test_shipped_calibrations_load():
    for machine in ("els", "ls"):
        for name in scales.calibrated_names(machine):
            s = scales.calibrated(name, machine)
            assert isinstance(s, elsedu.ScaleSchedule) and s.info
