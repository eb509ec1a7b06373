"""Downloads against a local server that truncates, corrupts, refuses and stalls; and `verify`."""

import gzip
import hashlib
import signal
import subprocess
import sys

import pytest
from data_files import IDX_NAMES, Server, celeba_files, cifar_files, tar_gz, write_folder, write_idx, zipped

import elsedu
from elsedu.data import download, fetch, to_bytes, verify


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ELSEDU_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path, monkeypatch, cache_folder):
    """A server with MNIST and CIFAR-10 in small, whose checksums stand in for the published ones."""
    source = tmp_path / "source"
    write_idx(source, "train", 20, seed=1)
    write_idx(source, "test", 10, seed=2)
    files = {p.name: p.read_bytes() for p in source.iterdir()}
    files["cifar-10-python.tar.gz"] = tar_gz(cifar_files("py"))
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    idx = {name: sums[name] for name in sums if "ubyte" in name}
    cifar = {name: sums[name] for name in sums if "cifar" in name}
    monkeypatch.setattr(download, "CHECKSUMS", download.CHECKSUMS | {"mnist": idx, "cifar10": cifar})
    server = Server(files)
    yield server
    server.server.shutdown()
    server.server.server_close()


def use(monkeypatch, server, *behaviours):
    addresses = [f"{server.address}/{behaviour}/" for behaviour in behaviours]
    monkeypatch.setattr(download, "ADDRESSES", dict.fromkeys(download.ADDRESSES, addresses))


def left(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_load_downloads_what_the_split_needs_once(monkeypatch, server, cache_folder, tmp_path):
    use(monkeypatch, server, "good")
    images = elsedu.load("mnist")
    pixels, labels = write_idx(tmp_path / "again", "train", 20, seed=1)
    assert (to_bytes(images.images[:, 0]) == pixels).all() and (images.labels.numpy() == labels).all()
    assert server.log == [f"good/{name}.gz" for name in IDX_NAMES["train"]]
    assert elsedu.load("mnist").hash == images.hash and len(server.log) == 2
    assert len(elsedu.load("mnist", split="test")) == 10 and len(server.log) == 4
    assert len(elsedu.load("cifar10")) == 50 and len(elsedu.load("cifar10", split="test")) == 10
    assert server.log[4:] == ["good/cifar-10-python.tar.gz"]


@pytest.mark.parametrize("behaviour", ["truncates", "unsized", "corrupts", "missing"])
def test_a_failing_host_leaves_nothing_and_the_mirror_serves(monkeypatch, server, cache_folder, behaviour):
    use(monkeypatch, server, behaviour)
    error = ValueError if behaviour in ("corrupts", "unsized") else ConnectionError
    reason = {"truncates": "broke off", "missing": "HTTP 404"}.get(behaviour, "MD5 is not the published")
    with pytest.raises(error, match=f"train-images-idx3-ubyte.gz of mnist.*nothing was kept.*{reason}"):
        elsedu.load("mnist")
    assert left(cache_folder) == []
    with pytest.raises(error):
        elsedu.load("mnist")  # still nothing that loads
    use(monkeypatch, server, behaviour, "good")
    assert len(elsedu.load("mnist")) == 20
    assert left(cache_folder / "downloads") == sorted(f"{name}.gz" for name in IDX_NAMES["train"])
    assert len(elsedu.load("cifar10")) == 50


def test_unreachable_hosts_are_named(monkeypatch, server, cache_folder):
    monkeypatch.setattr(download, "ADDRESSES", {"mnist": ["http://127.0.0.1:9/", f"{server.address}/missing/"]})
    with pytest.raises(ConnectionError) as caught:
        fetch("mnist")
    assert all(word in str(caught.value) for word in ("127.0.0.1:9", "/missing/", "404", "root=", "ELSEDU_DATA"))


def test_a_host_that_unpacks_gz_files_is_told_not_to(monkeypatch, server, cache_folder):
    use(monkeypatch, server, "unpacks")
    assert len(elsedu.load("mnist")) == 20


def test_a_damaged_download_is_fetched_again(monkeypatch, server, cache_folder):
    use(monkeypatch, server, "good")
    good = elsedu.load("mnist")
    path = cache_folder / "downloads" / "mnist" / f"{IDX_NAMES['train'][0]}.gz"
    path.write_bytes(gzip.compress(b"something else"))
    assert elsedu.load("mnist").hash == good.hash
    assert server.log[-1] == f"good/{path.name}" and len(server.log) == 3
    path.write_bytes(b"")
    use(monkeypatch, server, "corrupts")
    with pytest.raises(ValueError, match="MD5"):
        elsedu.load("mnist")


def test_a_killed_download_leaves_nothing_that_loads(monkeypatch, server, cache_folder):
    code = (
        "import sys; from elsedu.data import download; "
        f"download.ADDRESSES['mnist'] = ['{server.address}/stalls/']; download.fetch('mnist')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    assert server.stalled.wait(60), process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (cache_folder / "downloads" / "mnist" / f"{IDX_NAMES['train'][0]}.gz").exists()
    use(monkeypatch, server, "good")
    assert len(elsedu.load("mnist")) == 20


def test_nothing_is_downloaded_or_compared_with_a_root(monkeypatch, server, cache_folder, tmp_path):
    use(monkeypatch, server, "good")
    write_idx(tmp_path / "mine", seed=7)  # other bytes than the "published" ones
    assert len(elsedu.load("mnist", root=tmp_path / "mine")) == 20
    monkeypatch.setenv("ELSEDU_DATA", str(tmp_path / "mine"))
    assert len(elsedu.load("mnist")) == 20
    with pytest.raises(FileNotFoundError, match="t10k-images"):
        elsedu.load("mnist", split="test")
    assert server.log == []


def test_an_unwritable_cache_is_named_before_the_download(monkeypatch, server, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ELSEDU_CACHE", str(tmp_path / "file" / "below"))
    use(monkeypatch, server, "good")
    with pytest.raises(OSError, match=r"file.below.*cannot be written.*ELSEDU_CACHE"):
        elsedu.load("mnist")
    assert server.log == []


def test_what_cannot_be_fetched(cache_folder):
    with pytest.raises(FileNotFoundError, match=r"mmlab.ie.cuhk.edu.hk"):
        fetch("celeba")
    with pytest.raises(ValueError, match=r"digits.*fashion_mnist"):
        fetch("digits")


def test_every_official_file_has_a_mirror_and_a_checksum():
    for name, addresses in download.ADDRESSES.items():
        assert len(addresses) >= 2 and all(address.endswith("/") for address in addresses), name
    sums = [value for files in download.CHECKSUMS.values() for value in files.values()]
    assert all(len(value) == 32 and int(value, 16) for value in sums) and len(set(sums)) == len(sums)


# -- verify -------------------------------------------------------------------------------------------


def test_verify_reports_every_file(monkeypatch, server, cache_folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="mnist"):
        verify(["mnist"])
    use(monkeypatch, server, "good")
    fetch("mnist")
    assert [check.state for check in verify()] == ["ok"] * 4
    root = tmp_path / "root"
    write_idx(root / "mnist", "train", 20, seed=1)
    write_idx(root / "mnist", "test", 10, packed=False)
    (root / "mnist" / f"{IDX_NAMES['train'][1]}.gz").write_bytes(b"damaged")
    write_folder(root, cifar_files("bin"))
    (root / "img_align_celeba.zip").write_bytes(zipped(celeba_files(2)))
    states = {check.path.relative_to(root).as_posix(): check.state for check in verify(root=root)}
    unknown = "no published checksum"
    assert states == {
        "mnist/train-images-idx3-ubyte.gz": "ok",
        "mnist/train-labels-idx1-ubyte.gz": "differs",
        "mnist/t10k-images-idx3-ubyte": unknown,
        "mnist/t10k-labels-idx1-ubyte": unknown,
        **{f"cifar-10-batches-bin/data_batch_{i}.bin": unknown for i in range(1, 6)},
        "cifar-10-batches-bin/test_batch.bin": unknown,
        "img_align_celeba.zip": "differs",
    }
    (check,) = verify(["celeba"], root)
    assert check.expected == "00d2c5bc6d35e252742224ab0c1e8fcb"
    assert check.found == hashlib.md5((root / "img_align_celeba.zip").read_bytes()).hexdigest()
    with pytest.raises(ValueError, match="photos32"):
        verify(["photos32"])
    write_idx(tmp_path / "plain", "train", 20, seed=1)  # MNIST in the root itself is not Fashion-MNIST
    assert [(check.name, check.state) for check in verify(root=tmp_path / "plain")] == [("mnist", "ok")] * 2
    (check, _) = verify(["fashion_mnist"], tmp_path / "plain")
    assert (check.name, check.state) == ("fashion_mnist", "differs")
    monkeypatch.setenv("ELSEDU_DATA", str(root))
    assert len(verify()) == 4 + len(states)  # the cache and ELSEDU_DATA
