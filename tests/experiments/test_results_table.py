"""The table of paper and results, and the figures of a comparison, on the results that come with the package."""

import json
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from elsedu.analysis import metrics
from elsedu.analysis.statistics import median
from elsedu.experiments import tables as results_table
from elsedu.experiments.catalogue import PAPER
from elsedu.experiments.comparison import Comparison
from elsedu.figures import comparison as comparison_figures


@pytest.fixture(scope="module")
def found():
    return Comparison.load(results_table.FOLDER / "mnist16-resnet-zero.json")


@pytest.fixture
def folder(tmp_path):
    """Results of three tiers of one row of the paper, and one with changed settings (all the same numbers)."""
    record = json.loads((results_table.FOLDER / "mnist16-resnet-zero.json").read_text())
    shutil.copy(results_table.FOLDER / "mnist16-resnet-zero.json", tmp_path)
    shutil.copy(results_table.FOLDER / "digits-resnet-zero.json", tmp_path)
    for stem, tier, size, changes in (("mnist-resnet-zero", "full", 32, {}),
                                      ("mnist-resnet-zero.laptop", "laptop", 16, {}),
                                      ("mnist-resnet-zero.full-w96", "full", 32, {"width": 96})):
        record["provenance"] |= {"experiment": "mnist-resnet-zero", "tier": tier, "changes": changes}
        record["provenance"]["data"]["shape"] = [1, size, size]
        (tmp_path / f"{stem}.json").write_text(json.dumps(record))
    return tmp_path


def test_the_papers_row_stands_once_with_ours_beneath(folder):
    _, lines = results_table.cells(results_table.rows(folder))
    names = [line[0].strip("\u00a0") for line in lines]
    assert sorted(name for name in names if name in PAPER) == sorted([*PAPER, *["mnist-resnet-zero"] * 3])
    at = names.index("mnist-resnet-zero")
    assert [line[1] for line in lines[at:at + 5]] == [
        "paper, 32x32", "full, 32x32", "full, 32x32, width 96", "laptop, 16x16", "embedded, 16x16"]
    assert not lines[at][0].startswith("\u00a0") and all(line[0].startswith("\u00a0") for line in lines[at + 1:at + 5])
    assert names[0] == "digits-resnet-zero" and lines[0][1] == "embedded, 8x8"     # not in the paper: no row above
    assert names[-1] == "cifar10-unet-attention"


def test_the_papers_rows_without_ours():
    every, ours = results_table.rows(), results_table.rows(missing=False)
    assert {row["paper_row"] for row in every if row["paper"]} == set(PAPER)
    stems = list(results_table.stored())
    assert all(row["seeds"] for row in ours) and len(ours) == len(stems)
    assert {row["name"] for row in ours} == {stem.partition(".")[0] for stem in stems}
    _, lines = results_table.cells(ours)
    assert sum(line[1].startswith("paper") for line in lines) == len({r["paper_row"] for r in ours if r["paper_row"]})
    other = results_table.rows(metric="determination")
    assert len(other) == len(ours) and not any(row["paper"] for row in other)
    assert not any(line[0].startswith("\u00a0") for line in results_table.cells(other)[1])


def test_columns_and_intervals():
    table = results_table.rows(missing=False)
    heads, lines = results_table.cells(table, ("els", "above_is"), intervals=False)
    assert heads == ["experiment", "tier and size", "seeds", "ELS", "ELS > IS"]
    assert all(len(line) == 5 for line in lines) and not any("[" in entry for line in lines for entry in line)
    for render in (results_table.markdown, results_table.html, results_table.plain):
        assert "Wiener" in render(table) and "Wiener" not in render(table, ("els",))
    with pytest.raises(ValueError, match="unknown column 'r2'"):
        results_table.cells(table, ("r2",))


def test_grid_escapes():
    text = results_table.grid(["a < b"], [[1], ["<script>"]])
    assert "a &lt; b" in text and "<script>" not in text and text.count("<tr>") == 3


def test_pictures_of_chosen_seeds(found):
    images = comparison_figures.as_images(found, "els", [3, 1])
    assert images.shape == (2, 1, 16, 16) and images.abs().max() <= 1
    r = metrics.pearson_r(images, comparison_figures.as_images(found, "network-150", [3, 1]))
    stored = found.measured["per_seed"]["150"]["els"]["pearson_r"]
    assert torch.allclose(r, torch.tensor([stored[3], stored[1]], dtype=torch.float64), atol=0.02)   # bytes are clipped
    figure = comparison_figures.pictures(found, ("network-150", "els"), index=[3, 1], titles=["three", "one"])
    assert {"three", "one"} <= {text.get_text() for text in figure.findobj(plt.Text)}
    assert comparison_figures.pictures(found, count=5)
    for call in (comparison_figures.pictures, comparison_figures.as_images):
        with pytest.raises(ValueError, match="no images called"):
            call(found, ("nobody",) if call is comparison_figures.pictures else "nobody")
    plt.close("all")


def test_strips(found):
    values = {"ELS": [0.9, 0.8, None, 0.95], "IS": [0.1, 0.5, 0.3, np.nan]}
    ax = comparison_figures.strips(values)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ELS", "IS"]
    assert [len(dots.get_offsets()) for dots in ax.collections] == [3, 3]
    bars = [line.get_xdata() for line in ax.lines]
    assert bars[1][0] == median([0.9, 0.8, 0.95])["median"] and ax.get_ylim() == (1.5, -0.5)
    plt.close("all")


def test_costs_name_every_experiment_and_only_measured_minutes():
    from elsedu.experiments.catalogue import TIERS, names

    for tier in TIERS:
        heads, lines = results_table.costs(tier)
        declared = [line for line in lines if "--seeds" not in line[0]]
        assert len(declared) == len(names(tier)) and all(len(line) == len(heads) for line in lines)
    _, lines = results_table.costs("embedded")
    digits = next(line for line in lines if line[0] == "elsedu reproduce digits-resnet-zero")
    known = results_table.stored()["digits-resnet-zero"]["provenance"]
    assert digits[4] == f"{known['training']['cpu_minutes']:.1f}" and digits[6] == f"{known['minutes']:.1f}"
    assert float(digits[5]) == round(sum(c["minutes"] for c in known["calibration"].values()), 1)
    assert digits[1:4] == ["1,797", "14,000", "100"]


def test_costs_are_empty_where_nothing_was_run(tmp_path):
    _, lines = results_table.costs("full", tmp_path)
    assert all(line[4:] == ["", "", "", ""] for line in lines)
    assert lines[0][0].endswith("--tier full")


def test_costs_of_a_run_with_changed_settings(tmp_path):
    """A line of its own below the declared one, with the command that runs it again."""
    record = results_table.stored()["cifar10-resnet-zero.laptop"]
    for name, tier, changes in (("cifar10-resnet-zero", "full", {"epochs": 8, "width": 48}),
                                ("cifar10-resnet-zero", "laptop", {"n_images": 500}),
                                ("mnist16-resnet-zero", "embedded", {"epochs": 2})):
        record["provenance"] |= {"experiment": name, "tier": tier, "changes": changes}
        (tmp_path / f"any name {tier}.json").write_text(json.dumps(record))  # what was run stands in the file
    lines = results_table.costs("embedded", tmp_path)[1]
    at = [line[0] for line in lines].index("elsedu reproduce mnist16-resnet-zero")
    assert lines[at + 1][0] == "elsedu reproduce mnist16-resnet-zero --epochs 2 --seeds 50"
    for tier, changes, images, steps in (("full", "--epochs 8 --width 48", "50,000", "6,250"),
                                         ("laptop", "--limit-images 500", "500", "10,000")):
        lines = results_table.costs(tier, tmp_path)[1]
        at = [line[0] for line in lines].index(f"elsedu reproduce cifar10-resnet-zero --tier {tier}")
        assert lines[at + 1][:4] == [f"elsedu reproduce cifar10-resnet-zero --tier {tier} {changes} --seeds 50",
                                     images, steps, "50"]
        assert len([line for line in lines if line[4]]) == 1


def test_every_study_has_its_command(tmp_path):
    from importlib.util import find_spec

    _, lines = results_table.studies()
    others = {path.stem for path in results_table.FOLDER.glob("*.json")} - set(results_table.stored())
    assert {line[0].removesuffix(".json") for line in lines} == others
    commands = {line[0]: line[1] for line in lines}
    assert commands["windows-digits-resnet-zero.json"] == "python -m studies.calibration windows digits-resnet-zero"
    assert commands["windows-budget.json"] == "python -m studies.denoisers budget"
    assert all(find_spec(command.split()[2]) for command in commands.values())
    (tmp_path / "unheard-of.json").write_text('{"measured": {}, "provenance": {}}')
    with pytest.raises(ValueError, match="unheard-of"):
        results_table.studies(tmp_path)


def test_a_changed_record_brings_no_markup_into_the_table():
    rows = results_table.rows(missing=False)
    rows[0] |= {"name": "<script>alert(1)</script>", "device": "a|b\nc"}
    for render in (results_table.markdown, results_table.html):
        assert "<script" not in render(rows) and "a|b\nc" not in render(rows)
