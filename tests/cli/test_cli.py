"""The command line from end to end: pictures, image sets, and errors in one line."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from data_files import IDX_NAMES, Server, write_idx
from PIL import Image

import elsedu
from elsedu.cli import app as cli
from elsedu.data import download, to_bytes


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ELSEDU_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    """run("data list") -> (exit status, stdout, stderr)."""

    def run(command):
        with pytest.raises(SystemExit) as caught:
            cli.main(command.split())
        return caught.value.code or 0, *capsys.readouterr()

    return run


def outside(code, **environment):
    """Run a fresh Python, without a display."""
    env = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "MPLBACKEND")}
    env["PYTHONPATH"] = str(Path(elsedu.__file__).parents[1])
    return subprocess.run([sys.executable, *code], capture_output=True, text=True, env=env | environment, timeout=120)


def expected_grid(images, columns, factor, gap=4):
    pixels = to_bytes(images).repeat(factor, 2).repeat(factor, 3)
    pixels = pixels.repeat(3, 1) if pixels.shape[1] == 1 else pixels
    _, _, height, width = pixels.shape
    rows = -(-len(pixels) // columns)
    grid = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for i, image in enumerate(pixels):
        top, left = (i // columns) * (height + gap) + gap, (i % columns) * (width + gap) + gap
        grid[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return grid


# -- sample -------------------------------------------------------------------------------------------


def test_sample_end_to_end_in_a_fresh_process(tmp_path):
    done = outside(
        "-m elsedu sample --data mnist5k --size 16 --machine els --window 5 --n 16 --limit 30 --steps 4 "
        "--seed 2 --out grid.png".split()
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("grid.png: 16 images by EquivariantLocalScore(mnist5k")

    data = elsedu.load("mnist5k", size=16, limit=30, seed=2)
    noise = torch.randn(16, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    images = elsedu.sample(elsedu.EquivariantLocalScore(data, window=5), noise, steps=4)
    with Image.open(tmp_path / "grid.png") as picture:
        difference = np.asarray(picture).astype(int) - expected_grid(images, columns=4, factor=6)
        settings = json.loads(picture.text["settings"])
    assert np.abs(difference).max() <= 1  # another process may round otherwise
    assert settings["hash"] == data.hash and settings["window"] == 5 and settings["seed"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


@pytest.mark.parametrize(
    "options,shape",
    [
        ("--data digits --machine is --n 3", (8, 8)),
        ("--data digits --machine es --n 1 --label 3 --limit 60 --backend torch", (8, 8)),
        ("--data digits --machine ls --window 3 --border circular --n 5", (8, 8)),
        ("--data digits --machine wiener --n 2", (8, 8)),
        ("--data photos32 --size 12 --machine els --scales mnist-resnet-zero --n 2 --limit 4", (12, 12)),
        ("--data two-images --size 6 --machine els --window 3 --border circular --n 4", (6, 6)),
    ],
)
def test_sample_with_every_machine(run, options, shape):
    status, _, error = run(f"sample {options} --steps 2 --out a.png")
    assert status == 0, error
    with Image.open("a.png") as picture:
        count = int(options.split("--n ")[1].split()[0])
        columns = int(np.ceil(np.sqrt(count)))
        assert picture.size[0] == columns * (96 // shape[1] * shape[1] + 4) + 4
        assert len(np.unique(np.asarray(picture))) > 3


def test_seed_label_and_limit_decide_the_picture(run):
    def picture(options):
        assert run(f"sample --data digits --machine is --n 2 --steps 3 --out a.png {options}")[0] == 0
        with Image.open("a.png") as image:
            return np.asarray(image).tobytes()

    first = picture("--seed 1 --label 3")
    assert picture("--seed 1 --label 3") == first
    others = [picture(o) for o in ("--seed 2 --label 3", "--seed 1 --label 4", "--seed 1 --label 3 --limit 200")]
    assert len({first, *others}) == 4


@pytest.mark.parametrize(
    "options,words",
    [
        ("--data mnits", "mnits mnist5k"),
        ("--data digits --size 0", "size 0"),
        ("--data mnist --root /nowhere", "/nowhere"),
        ("--data celeba", "mmlab.ie.cuhk.edu.hk"),
        ("--machine elss", "elss wiener"),
        ("--data digits --window 4", "window 4 odd"),
        ("--data digits --window -3", "window -3"),
        ("--data digits --window 9 --border circular", "9 8"),
        ("--data digits --border mirror", "mirror zero"),
        ("--data digits --backend cuda", "cuda native"),
        ("--data digits --machine wiener --backend torch", "--backend wiener"),
        ("--data digits --machine is --window 3", "--window 3 'is'"),
        ("--data digits --machine es --border zero", "--border zero 'es'"),
        ("--data digits --scales mnist --window 3", "--window --scales"),
        ("--data digits --scales mnist-resnet", "mnist-resnet cifar10-unet-zero"),
        ("--data digits --label 11", "11"),
        ("--data faces25 --label 1", "label"),
        ("--data digits --steps 0", "steps 0"),
        ("--data digits --limit 0", "limit 0"),
        ("--data digits --device abacus", "--device abacus"),
        ("--n 0", "--n 0"),
        ("--out grid.jpg", "grid.jpg .png"),
        ("--out grid", "grid .png"),
        ("--out missing/grid.png", "missing/grid.png"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(run, tmp_path, options, words):
    status, out, error = run(f"sample {options}")
    assert status == 2 and out == ""
    assert error.startswith("error: ") and error.count("\n") == 1, error
    assert all(word in error for word in words.split()), error
    assert not list(tmp_path.glob("*.p*"))


def test_a_picture_that_cannot_be_written_keeps_the_old_one(run, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"old")

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    status, _, error = run("sample --data digits --machine wiener --n 1 --steps 1 --out a.png")
    assert status == 2 and "No space left" in error
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"] and (tmp_path / "a.png").read_bytes() == b"old"


# -- data ---------------------------------------------------------------------------------------------


def test_data_list_names_every_set(run, tmp_path, monkeypatch):
    status, out, _ = run("data list")
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert all(name in lines for name in elsedu.data.SOURCES)
    assert "embedded" in lines["photos32"] and "CC BY" in out and "danielbuechele" in out
    assert "fetch mnist" in lines["mnist"] and "ask for it" in lines["celeba"]
    write_idx(tmp_path / "mine" / "mnist")
    monkeypatch.setenv("ELSEDU_DATA", str(tmp_path / "mine"))
    lines = {line.split()[0]: line for line in run("data list")[1].splitlines() if line}
    assert f"local: {tmp_path}/mine/mnist" in lines["mnist"]
    assert "not in ELSEDU_DATA" in lines["cifar10"]


def test_data_fetch_and_verify(run, tmp_path, monkeypatch):
    source = tmp_path / "source"
    for split in IDX_NAMES:
        write_idx(source, split)
    files = {p.name: p.read_bytes() for p in source.iterdir()}
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    server = Server(files)
    monkeypatch.setattr(download, "CHECKSUMS", download.CHECKSUMS | {"mnist": sums})
    monkeypatch.setattr(download, "ADDRESSES", {"mnist": [f"{server.address}/{b}/" for b in ("truncates", "good")]})

    status, _, error = run("data verify mnist")
    assert status == 2 and "no official file of mnist" in error
    status, out, _ = run("data fetch mnist")
    assert status == 0 and "mnist: complete and verified" in out
    status, out, _ = run("data verify")
    assert status == 0 and out.count("\nok") + out.startswith("ok") == 4 and "4 ok, 0 differ" in out
    assert "downloaded" in next(line for line in run("data list")[1].splitlines() if line.startswith("mnist "))

    damaged = tmp_path / "cache" / "downloads" / "mnist" / f"{IDX_NAMES['test'][0]}.gz"
    damaged.write_bytes(b"damaged")
    status, out, _ = run("data verify mnist")
    assert status == 1 and "3 ok, 1 differ" in out
    line = next(line for line in out.splitlines() if line.startswith("differs"))
    assert str(damaged) in line and hashlib.md5(b"damaged").hexdigest() in line and sums[damaged.name] in line
    server.server.shutdown()


@pytest.mark.parametrize(
    "command,words",
    [
        ("data fetch celeba", "never downloaded"),
        ("data fetch digits", "digits cifar10"),
        ("data fetch mnist digits", "digits"),  # refused before anything is downloaded
        ("data verify photos32", "photos32"),
        ("data verify --root /nowhere", "/nowhere"),
    ],
)
def test_data_errors_are_one_line(run, command, words):
    status, out, error = run(command)
    assert status == 2 and out == "" and error.startswith("error: ") and error.count("\n") == 1
    assert all(word in error for word in words.split()), error


# -- the program itself -------------------------------------------------------------------------------


def test_help_needs_no_torch():
    code = "import sys; from elsedu import cli; cli.build(); print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = outside(["-c", code])
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_help_and_wrong_usage(run):
    status, out, _ = run("--help")
    assert status == 0 and "sample" in out and "data" in out
    assert all(option in run("sample --help")[1] for option in ("--scales", "--border", "--limit", "--backend"))
    status, _, error = run("draw")
    assert status == 2 and "draw" in error
    status, _, error = run("sample --n many")
    assert status == 2 and "--n" in error and "integer" in error


def test_without_typer_one_line_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "typer", None)
    status, _, error = run("data list")
    assert status == 2
    assert error.startswith('error: the command line needs typer: python -m pip install "elsedu[cli]"')
