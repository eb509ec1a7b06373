"""Reproduce: from nothing to a table, through a kill -9, and never mixing settings."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import run, tiny

import elsedu
from elsedu.experiments import catalogue as experiments
from elsedu.experiments import publishing
from elsedu.experiments import stages as reproduce
from elsedu.experiments import tables as results_table
from elsedu.experiments.catalogue import experiment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("reproduced")
    assert run(output) == output / "tiny.json"
    return output


def test_all_stages(finished):
    record = json.loads((finished / "tiny.json").read_text())
    assert set(record) == {"measured", "provenance", "hash"}
    assert "ceiling" in record["measured"]["agreement"]["20"] and record["measured"]["seeds"] == 4
    assert record["provenance"]["training"]["steps"] == 4 and record["provenance"]["tier"] == "embedded"
    assert len(record["measured"]["jacobian"]["covering_window"]) == 3
    assert (finished / "tiny.npz").exists()
    drawn = {path.stem for path in (finished / "tiny").glob("*.png")}
    assert drawn == {"agreement", "forced", "error", "windows", "pictures"}
    windows = elsedu.ScaleSchedule.load(finished / "tiny" / "tiny.els.json")
    assert len(windows) == 3 and windows.info["made_with"]["data_hash"] == record["provenance"]["data"]["hash"]


def test_a_second_run_computes_nothing_again(finished, monkeypatch):
    before = (finished / "tiny.json").read_bytes()
    for name in ("experiments.drawing.sample", "experiments.stages.calibrate", "training.run.train"):
        monkeypatch.setattr(f"elsedu.{name}", lambda *a, **k: pytest.fail("computed again"))
    run(finished)
    assert json.loads(before)["measured"] == json.loads((finished / "tiny.json").read_text())["measured"]


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
import elsedu._common.files, elsedu.experiments.store
import tiny

count = 0
def write(path, content):
    global count
    count += 1
    if count == 6:                      # in the middle of writing: the temporary file is there, half of it
        with open(str(path.parent / ("." + path.name + ".part")), "wb") as file:
            file.write(content[:100])
            file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    elsedu._common.files.write_bytes(path, content)

elsedu.experiments.store.write_bytes = write
tiny.run({output!r}, stage={stage!r})
"""


def test_kill_in_sampling_and_go_on(finished, tmp_path):
    """The `measured` block after a kill -9 and a second start is byte for byte that of an undisturbed run."""
    for stage in ("train", "calibrate"):
        run(tmp_path, stage=stage)
    script = KILLED.format(tests=str(Path(__file__).parents[1]), output=str(tmp_path), stage="sample")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ELSEDU_PROGRESS": "0"}
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, text=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    done = list((tmp_path / "tiny" / "pieces").glob("*.safetensors"))
    assert len(done) == 5 and not (tmp_path / "tiny.json").exists()
    stamps = {path: path.stat().st_mtime_ns for path in done}
    run(tmp_path)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    blocks = [json.dumps(json.loads((folder / "tiny.json").read_text())["measured"]) for folder in (finished, tmp_path)]
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize("change, stage, message", [
    ({"calibration": {"samples": 3, "windows": [3, 5]}}, None, "options is .* there, .* here"),
    ({"steps": 4}, "sample", "steps is 3 there, 4 here"),
    ({"batch": 3}, "sample", "batch is 2 there, 3 here"),
])
def test_settings_are_not_mixed(finished, change, stage, message):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message):
        run(finished, dataclasses.replace(tiny(), **change), stage=stage)
    after = {path: path.read_bytes() for path in before}
    assert before == after


def test_other_weights_are_not_mixed(finished, tmp_path):
    import shutil

    shutil.copytree(finished, tmp_path / "copy")
    weights = tmp_path / "copy" / "tiny" / "weights"
    shutil.copyfile(weights / "tiny-b.safetensors", weights / "tiny.safetensors")
    with pytest.raises(ValueError, match="weights_hash"):
        run(tmp_path / "copy", stage="calibrate")
    with pytest.raises(ValueError, match="network is"):
        run(tmp_path / "copy", stage="sample")


def test_the_ceiling_can_come_later(finished, tmp_path):
    for stage in ("train", "calibrate"):
        run(tmp_path, stage=stage)
    run(tmp_path, stage="compare", ceiling=False)
    before = json.loads((tmp_path / "tiny.json").read_text())["measured"]["agreement"]["20"]
    run(tmp_path, stage="compare")
    after = json.loads((tmp_path / "tiny.json").read_text())["measured"]["agreement"]["20"]
    assert "ceiling" not in before and after.pop("ceiling") and before == after


def test_stages_need_their_predecessors(tmp_path):
    with pytest.raises(FileNotFoundError, match="stage 'train' first"):
        run(tmp_path, stage="calibrate")
    run(tmp_path, stage="train")
    with pytest.raises(FileNotFoundError, match="stage 'calibrate' first"):
        run(tmp_path, stage="sample")
    with pytest.raises(FileNotFoundError, match="no result"):
        run(tmp_path, stage="figures")


def test_training_can_stop_and_go_on(tmp_path):
    assert run(tmp_path, minutes=0.0) is None
    assert not (tmp_path / "tiny.json").exists()


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match="unknown experiment"):
        reproduce.run("imagenet-dit-zero", output=tmp_path)
    with pytest.raises(ValueError, match="unknown stage"):
        run(tmp_path, stage="dance")
    with pytest.raises(ValueError, match="unknown tier"):
        experiment("cifar10-resnet-zero", "huge")
    with pytest.raises(ValueError, match="width must be positive"):
        experiment("cifar10-resnet-zero").changed(width=0)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="nothing was computed"):
        run(tmp_path / "file" / "output")
    with pytest.raises(FileNotFoundError, match="run `elsedu reproduce"):
        publishing.publish("digits-resnet-zero", output=tmp_path)


def test_damaged_stage_files_are_named(finished, tmp_path):
    import shutil

    shutil.copytree(finished, tmp_path / "copy")
    scales = tmp_path / "copy" / "tiny" / "tiny.ls.json"
    scales.write_text(scales.read_text()[:40])
    with pytest.raises(ValueError, match=r"tiny\.ls\.json"):
        run(tmp_path / "copy", stage="calibrate")
    assert len(scales.read_text()) == 40


def test_the_papers_rows():
    assert len(experiments.PAPER) == 11 and experiments.names("full") == list(experiments.PAPER)
    for name in experiments.PAPER:
        laptop, full = experiment(name, "laptop"), experiment(name, "full")
        assert (laptop.stem, full.stem) == (f"{name}.laptop", name)
        assert full.recipe.data_options["size"] == 32 and laptop.recipe.data_options["size"] == 16
        assert full.paper["150"]["els"] >= full.paper["150"]["is"]
        assert (full.recipe.network["classes"] == 10) == name.startswith(("cifar10", "fashion"))
    row = experiment("cifar10-resnet-zero", "full")
    assert row.recipe.network["width"] == 256 and row.recipe.settings.lr_schedule == "paper"
    assert row.recipe.settings.steps == round(300 * 50000 / 128)
    changed = row.changed(width=96, limit_images=1280, epochs=10, seeds=20)
    assert changed.stem == "cifar10-resnet-zero.full-e10-n1280-w96" and changed.seeds == 20
    assert changed.recipe.network["width"] == 96 and changed.recipe.settings.steps == 10 * 1280 // 64
    assert changed.recipe.settings.lr_schedule == "short"     # the paper's rates belong to its 300 epochs
    assert changed.recipe.data_options["limit"] == 1280
    assert set(experiments.names("embedded")) >= {"digits-resnet-zero", "mnist16-unet-zero"}


def test_declared_networks_can_be_built():
    for name in experiments.names():
        entry = experiment(name)
        network = entry.recipe.network | {"image_shape": [1, 16, 16], "width": 8}
        assert elsedu.networks.build(network).padding in ("zero", "circular")


def test_table(finished):
    rows = reproduce.table(finished, steps=20)
    mine = next(row for row in rows if row["name"] == "tiny")
    stored = json.loads((finished / "tiny.json").read_text())["measured"]["agreement"]["20"]
    assert mine["els"] == stored["els"]["pearson_r"] and mine["seeds"] == 4 and mine["device"]
    assert sum(row["seeds"] is None for row in rows) == 11       # the paper's rows, not measured here
    for render in (results_table.markdown, results_table.html, results_table.plain):
        text = render(rows)
        assert "tiny" in text and f"{stored['is']['pearson_r']['median']:.3f}" in text
        assert "0.75" in text
    other = reproduce.table(finished, steps=20, metric="determination", missing=False)
    assert other[0]["els"] == stored["els"]["determination"]
    with pytest.raises(ValueError, match="unknown metric"):
        reproduce.table(metric="r2")


def test_command_line(finished, monkeypatch, capsys):
    pytest.importorskip("typer")
    from elsedu.cli import app as cli

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main(list(arguments))
        return stop.value.code, capsys.readouterr()

    code, text = call("reproduce", "--table", "--output", str(finished), "--network-steps", "20")
    assert code == 0 and "tiny" in text.out and "determination" in text.out
    code, text = call("reproduce", "--list")
    assert code == 0 and "cifar10-unet-attention" in text.out
    code, text = call("reproduce", "nothing")
    assert code == 2 and "unknown experiment" in text.err
    weights = finished / "tiny" / "weights" / "tiny.safetensors"
    monkeypatch.chdir(finished)
    code, text = call("calibrate", str(weights), "--samples", "1", "--steps", "2", "--out", "w.json")
    assert code == 0 and len(elsedu.ScaleSchedule.load(finished / "w.json")) == 2
    code, text = call("compare", str(weights), "--els", "w.json", "--ls", "w.json", "--seeds", "2", "--steps", "2",
                      "--out", "c.json")
    assert code == 0 and "els" in text.out and (finished / "c.json").exists()
    (finished / "c.json").unlink()
    code, text = call("calibrate", str(weights), "--samples", "0")
    assert code == 2 and "no seeds" in text.err


def test_shipped_results_are_of_the_shipped_networks():
    """Weights, data and windows named in a result are the ones in the package; the paper's claim holds on digits."""
    from elsedu import networks, scales
    from elsedu._common import records

    checked = 0
    for name, record in results_table.stored().items():
        provenance = record["provenance"]
        if name not in networks.available():
            continue
        network, entry = networks.network(name), experiments.from_stem(name)
        stored = network.provenance.get("stored", {}).get("weights_hash") or records.weights_hash(network)
        assert provenance["network"]["weights_hash"] == stored, name
        assert provenance["data"]["hash"] == network.provenance["data"]["hash"], name
        if provenance["tier"] == "embedded":
            assert provenance["data"]["hash"] == entry.recipe.load_data().hash, name
        for machine in ("els", "ls"):
            shipped = scales.calibrated(name, machine)
            assert list(shipped.windows) == provenance["scales"][machine], name
            assert entry.scales_from or shipped.info["weights_hash"] == stored, name
        assert provenance["seeds"] == {"stream": "test", "index": list(range(len(provenance["seeds"]["index"])))}, name
        assert len(provenance["seeds"]["index"]) == entry.seeds or provenance["tier"] == "full", name
        checked += 1
    assert checked
    row = results_table.stored()["digits-resnet-zero"]["measured"]["agreement"]["150"]
    assert row["els"]["pearson_r"]["median"] >= 0.93 and row["els"]["above_is"]["share"] >= 0.95
    assert row["els"]["pearson_r"]["low"] > row["is"]["pearson_r"]["high"]
    assert row["ceiling"]["pearson_r"]["median"] >= row["els"]["pearson_r"]["median"]


def test_the_papers_numbers_stand_beside_r_only():
    assert any(row["paper"] for row in reproduce.table(metric="pearson_r", missing=False))
    assert not any(row["paper"] for row in reproduce.table(metric="determination"))
