"""Full scale in miniature: pieces, journeys, interruptions, a machine given back, and what is published at the end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from data_files import celeba_files, cifar_files, write_folder, write_idx

import elsedu
from elsedu import networks

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from full_scale import commands, journey, packs, parcels, plan
from full_scale.__main__ import main

ROWS = ["mnist-resnet-zero", "fashion_mnist-unet-zero", "cifar10-resnet-zero", "cifar10-unet-attention",
        "celeba-resnet-zero"]
FIRST = ROWS[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with tiny official files of all four sets."""
    root = tmp_path_factory.mktemp("home")
    write_idx(root / "mnist", count=20)
    write_idx(root / "fashion_mnist", count=20, seed=1)
    write_folder(root / "cifar10", cifar_files("py", count=6))
    write_folder(root / "celeba", celeba_files(14))
    return root


@pytest.fixture(scope="module", autouse=True)
def surroundings(home, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELSEDU_DATA", str(home))
        patch.setenv("ELSEDU_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(commands, "LEAST", 0.5)
        yield


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """The pieces of the first departure, in three journeys or more."""
    folder = tmp_path_factory.mktemp("departure")
    assert call("pack", folder / "homework", "--out", folder / "parcels", "--keep", folder / "packs",
                "--limit", 0.05, "--size", 0.02) == 0
    return folder / "parcels"


def call(command, work, *arguments, rows=ROWS):
    extra = [] if command in ("collect", "status") else ["--rehearse"]
    return main([command, "--work", str(work), *map(str, arguments), "--rows", *rows, *extra])


def run(work, parcel, out, minutes=5, *options, rows=ROWS):
    return call("run", work, "--parcels", parcel, "--out", out, "--minutes", minutes, "--size", 0.2, *options,
                rows=rows)


def together(parcel, folder):
    """All journeys in one folder."""
    folder.mkdir()
    for path in parcel.glob("*/*.part"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def measured(folder, row=FIRST):
    return json.dumps(json.loads((folder / f"{row}.full-e1.json").read_text())["measured"])


@pytest.fixture(scope="module")
def undisturbed(sent, tmp_path_factory):
    """One row from a single call."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(folder / "work", together(sent, folder / "in"), folder / "out", 5, "--no-kernels", rows=[FIRST]) == 0
    return folder / "work"


# -- pieces ------------------------------------------------------------------------------------------------


def test_pieces_arrive_in_any_order_and_over_several_journeys(tmp_path):
    content = np.random.default_rng(0).bytes(30_000)
    pieces = parcels.split("weights", "carry", content, parcels.HEADER + 10_000)
    assert len(pieces) == 3 and all(len(piece.content) <= parcels.HEADER + 10_000 for piece in pieces)
    inbox, said = tmp_path / "work", []
    for piece in pieces[:0:-1]:
        parcels.write([piece], tmp_path / piece.file_name)
        assert journey.receive(tmp_path / piece.file_name, inbox, said.append) == {}
    assert said[-1] == "weights: waiting for piece 1 of 3"
    parcels.write(pieces[:1], tmp_path / "last")
    assert journey.receive(tmp_path / "last", inbox, said.append)["weights"][:2] == ("carry", content)
    assert parcels.split("nothing", "carry", b"")[0].count == 1
    loads = journey.journeys(pieces, 2 * len(pieces[0].content))
    assert [len(load) for load in loads] == [2, 1]


def test_damaged_pieces_are_named(tmp_path):
    paths = parcels.write(parcels.split("weights", "carry", b"x" * 9000, parcels.HEADER + 4000), tmp_path)
    whole = [path.read_bytes() for path in paths]
    for broken in (whole[1][:-1], whole[1][:-1] + b"y", whole[1][:30], b"something else"):
        paths[1].write_bytes(broken)
        said = []
        assert journey.receive(tmp_path, tmp_path / "work", said.append) == {}
        assert paths[1].name in said[0] and ("damaged" in said[0] or "no piece" in said[0])
        assert "waiting for piece 2 of 3" in said[1] and paths[1].read_bytes() == broken
    paths[1].write_bytes(whole[1])
    assert journey.receive(tmp_path, tmp_path / "work")["weights"][1] == b"x" * 9000


def test_bundles_stay_in_their_folder(tmp_path):
    content = parcels.bundle({"a/b.json": b"{}", "c": b"1"})
    assert sorted(parcels.unbundle(content, tmp_path)) == ["a/b.json", "c"] and (tmp_path / "a/b.json").exists()
    assert parcels.bundle({"a/b.json": b"{}", "c": b"1"}) == content  # no times in it
    for name in ("../out", "/etc/out", "a/../../out"):
        with pytest.raises(ValueError, match="leads out of its folder"):
            parcels.unbundle(parcels.bundle({"good": b"", name: b""}), tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("webp", [True, False])
@pytest.mark.parametrize("name", ["mnist", "cifar10", "celeba"])
def test_packed_sets_are_the_same_sets(tmp_path, monkeypatch, name, webp):
    if not webp:
        monkeypatch.setattr(packs.features, "check", lambda feature: False)
    elif not packs.features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    recipe = plan.declared(f"{name}-resnet-zero", rehearse=True).recipe
    before = recipe.load_data()
    note = packs.unpack(packs.pack(recipe), tmp_path)
    monkeypatch.setenv("ELSEDU_DATA", str(tmp_path))
    after = recipe.load_data()
    assert note["hash"] == before.hash == after.hash
    assert elsedu.data.to_bytes(before.images).tobytes() == elsedu.data.to_bytes(after.images).tobytes()


# -- a whole reproduction ----------------------------------------------------------------------------------


def killed_in(work, parcel, folder, sign):
    """A call of `run` in a process of its own, killed when a file like `sign` appears."""
    command = [sys.executable, str(ROOT / "scripts" / "full_scale"), "run", "--rehearse", "--work", str(work),
               "--parcels", str(parcel), "--out", str(folder), "--no-kernels", "--rows", FIRST]
    child = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(work.glob(sign)) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL and list(work.glob(sign))
    time.sleep(0.6)  # its own children notice, and end


def test_killed_there_and_going_on(sent, undisturbed, tmp_path):
    """kill -9 between calibration and result; the next call does only the rest, and the numbers are the same."""
    work, parcel = tmp_path / "work", together(sent, tmp_path / "in")
    killed_in(work, parcel, tmp_path / "out", f"rows/{FIRST}.full-e1/*.els.json")
    done = [*work.glob("rows/*/pieces/*.safetensors"), *work.glob("rows/*/*.els.json"), *work.glob("rows/*.plan.json")]
    pieces = {path: path.stat().st_mtime_ns for path in done}
    assert not (work / "rows" / f"{FIRST}.full-e1.json").exists()
    assert run(work, parcel, tmp_path / "out", 5, "--no-kernels", rows=[FIRST]) == 0
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in pieces.items())
    assert measured(work / "rows") == measured(undisturbed / "rows")


def test_all_rows_over_several_machines(sent, undisturbed, tmp_path, capsys):
    """Journey by journey, a machine given back in between, and home; then into the package."""
    there, out = tmp_path / "there", tmp_path / "out"
    journeys = sorted(sent.iterdir(), key=lambda path: int(path.name))
    assert len(journeys) >= 3
    # the first journey brings the smallest sets; the rows whose images have not come wait
    assert run(there, journeys[0], out / "1", 5, "--exact", rows=ROWS[:1]) == 0
    assert call("status", there) == 0
    said = capsys.readouterr().out
    assert f"{FIRST:27s} done, 1 epochs; median r" in said and "kernels: right" in said
    assert "waiting for piece" in said and "the images of celeba have not arrived" in said
    assert "needs the windows of cifar10-resnet-zero" in said or "the images of cifar10 have not arrived" in said
    assert measured(there / "rows") == measured(undisturbed / "rows")
    assert len(list((out / "1").iterdir())) <= 8
    # nothing new: nothing but the state travels
    for path in journeys[1:]:
        assert run(there, path, out / "2", 0) == 0
    assert sum(path.stat().st_size for path in (out / "2").glob("*.part")) < 8000
    # home, and to another machine, which has nothing
    home = tmp_path / "homework"
    assert call("collect", home, out / "1") == 0 and call("collect", home, out / "1") == 0
    assert "not newer than what is here" in capsys.readouterr().out
    assert call("collect", home, out / "2") == 0
    assert call("pack", home, "--out", tmp_path / "parcels", "--keep", sent.parent / "packs", "--size", 0.05) == 0
    parcel = together(tmp_path / "parcels", tmp_path / "in")
    assert not list(parcel.glob("set-mnist*")) and list(parcel.glob("begun-*"))  # its row is done
    second = tmp_path / "second"
    assert run(second, parcel, out / "3", 10) == 0
    files = list((out / "3").iterdir())
    assert len(files) <= 8 and all(path.stat().st_size <= 0.2 * 2**20 for path in files)
    assert call("collect", home, out / "3", "--publish", "--into", tmp_path / "package") == 0
    said = capsys.readouterr().out
    assert said.count("done, 1 epochs") >= 2 * len(ROWS)
    published = {path.parent.name + "/" + path.name for path in (tmp_path / "package").rglob("*.*")}
    for row in ROWS:
        assert f"results/{row}.full-e1.json" in published and f"scales/{row}.full-e1.els.json" in published
        assert (f"weights/{row}.full-e1.safetensors" in published) == (not row.startswith("celeba"))
        assert (f"results/{row}.full-e1.npz" in published) == (not row.startswith("celeba"))
    network = networks.load(tmp_path / "package" / "weights" / "cifar10-resnet-zero.full-e1.safetensors")
    known = json.loads((tmp_path / "package" / "results" / "cifar10-resnet-zero.full-e1.json").read_text())
    assert network.provenance["stored"]["weights_hash"] == known["provenance"]["network"]["weights_hash"]
    windows = [elsedu.ScaleSchedule.load(tmp_path / "package" / "scales" / f"{row}.full-e1.els.json").windows
               for row in ("cifar10-resnet-zero", "cifar10-unet-attention")]
    assert windows[0] == windows[1]


def test_training_travels(undisturbed, tmp_path):
    """What was begun is carried: a checkpoint, rounded or exact, and it fits into the limit or is named."""
    import shutil

    from elsedu.training import train

    work = plan.Work(tmp_path / "work", [FIRST])
    work.state |= {"rehearse": True, "call": 1}
    work.save()
    shutil.copytree(undisturbed / "data", work.folder / "data")
    plan_file = f"rows/{FIRST}.plan.json"
    (work.folder / "rows").mkdir()
    shutil.copyfile(undisturbed / plan_file, work.folder / plan_file)
    recipe = work.entry(FIRST).recipe
    data = recipe.load_data()
    for step, _ in train(recipe.build(data), data, recipe.settings, checkpoint=work.checkpoint(FIRST), progress=False):
        if step == 3:
            break
    rounded, exact = (journey.load(work, 10**6, exact=flag)[0] for flag in (False, True))
    name = next(name for name in exact if name.endswith("checkpoint.safetensors"))
    assert set(rounded) == set(exact) == {"state.json", plan_file, name}
    assert exact[name] == (work.folder / name).read_bytes() and len(rounded[name]) < len(exact[name])
    assert "in training, 1 epochs" in work.describe()[-1]
    chosen, left = journey.load(work, 64 * 1024 + 2000)
    assert left == [name] and set(chosen) == {"state.json", plan_file}
    other = plan.Work(tmp_path / "other", [FIRST])
    assert set(journey.take(other, parcels.bundle(rounded))) == set(rounded)
    assert plan.Work(other.folder).state["call"] == 1 and plan.Work(other.folder, [FIRST]).next_row() is None  # no data
    assert "in training" in plan.Work(other.folder, [FIRST]).describe()[-1]


def test_a_row_that_fails_does_not_stop_the_others(undisturbed, tmp_path, capsys, monkeypatch):
    import shutil

    work = tmp_path / "work"
    shutil.copytree(undisturbed, work)
    (work / "rows" / f"{FIRST}.full-e1.json").unlink()
    piece = next((work / "rows" / f"{FIRST}.full-e1" / "pieces").glob("els*.safetensors"))
    piece.write_bytes(piece.read_bytes()[:50])
    assert run(work, tmp_path / "nothing", tmp_path / "out", 5, "--no-kernels", rows=[FIRST, "mnist-unet-zero"]) == 0
    said = capsys.readouterr().out
    assert "failed 3 times: ValueError" in said and "is damaged" in said and len(piece.read_bytes()) == 50
    assert "mnist-unet-zero             done" in said
    # a full disk: a message, and what was there stays
    before = (work / "state.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert run(work, tmp_path / "nothing", tmp_path / "out2", 0, rows=[FIRST]) == 2
    monkeypatch.undo()
    assert "No space left on device" in capsys.readouterr().err and (work / "state.json").read_bytes() == before


def test_lengths_follow_the_time_that_is_left(tmp_path):
    work = plan.Work(tmp_path)
    assert work.training_seconds() == pytest.approx(0.5 * 60 * 27 / 11)
    assert work.training_seconds(used=26.9) == 20
    (tmp_path / "rows").mkdir()
    for epochs, stem in ((7, "mnist-unet-zero.full-e7"), (300, "mnist-unet-zero")):
        (tmp_path / "rows" / "mnist-unet-zero.plan.json").write_text(json.dumps({"epochs": epochs}))
        entry = work.entry("mnist-unet-zero")
        assert entry.stem == stem and entry.recipe == elsedu.experiments.from_stem(stem).recipe
    assert entry.recipe.settings.lr_schedule == "paper"  # as long as the paper's: as the paper does it
    assert work.hindrance("mnist-unet-zero") == "the images of mnist have not arrived"


def test_no_gpu_is_said_at_once(tmp_path, capsys):
    if __import__("torch").cuda.is_available():
        pytest.skip("there is one")
    arguments = ["run", "--work", str(tmp_path / "work"), "--parcels", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--minutes", "1"]) == 0
    assert "no CUDA device" in capsys.readouterr().out
