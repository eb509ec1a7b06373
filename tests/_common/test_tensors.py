"""Files of tensors, arrays and JSON: changes are noticed, and what is promised is compared with what is there."""

import io
import json
import os
import struct
import zipfile

import numpy as np
import pytest
import torch
from confined import FORK, confined
from safetensors.torch import save

from elsedu._common import records, tensors
from elsedu._common.arrays import read_npy, read_npz
from elsedu.machines import ScaleSchedule


def some():
    generator = torch.Generator().manual_seed(0)
    return {
        "a": torch.randn(3, 4, generator=generator),
        "b": torch.arange(5),
        "empty": torch.zeros(0, 2),
        "scalar": torch.tensor(2.0),
        "half": torch.ones(3).bfloat16(),
        "flags": torch.tensor([True, False]),
    }


def test_round_trip(tmp_path):
    path = tmp_path / "some.safetensors"
    path.write_bytes(tensors.to_bytes(some(), {"name": "x"}))
    metadata, found = tensors.read(path)
    assert metadata["name"] == "x" and set(found) == set(some())
    assert all(torch.equal(found[key], value) and found[key].dtype == value.dtype for key, value in some().items())


@pytest.mark.parametrize("change", [
    lambda t, m: t.update(a=t["a"] + 1e-7), lambda t, m: t.update(b=t["b"].flip(0)), lambda t, m: t.pop("flags"),
    lambda t, m: t.update(a=t["a"].reshape(4, 3)), lambda t, m: t.update(c=t.pop("b")), lambda t, m: m.update(name="y"),
    lambda t, m: t.update(b=t["b"].int()), lambda t, m: m.update(more="1"),
])  # fmt: skip
def test_every_change_is_noticed(tmp_path, change):
    path = tmp_path / "some.safetensors"
    values, metadata = some(), {"name": "x"}
    metadata["sha256"] = tensors.hash_of(values, metadata)
    change(values, metadata)
    path.write_bytes(save({key: value.contiguous() for key, value in values.items()}, metadata))
    with pytest.raises(ValueError, match=r"some\.safetensors is damaged"):
        tensors.read(path)


def test_a_hash_can_be_demanded(tmp_path):
    path = tmp_path / "some.safetensors"
    path.write_bytes(save(some(), {"name": "x"}))
    tensors.read(path, frozenset({"name"}))
    with pytest.raises(ValueError, match="carries no hash"):
        tensors.read(path, frozenset({"other"}))
    with pytest.raises(ValueError, match="carries no hash"):
        tensors.read(path)


# -- numpy's files ------------------------------------------------------------------------------------


def npy(shape, kind="|u1", content=b"", fortran=False):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": kind, "fortran_order": fortran, "shape": shape})
    return stream.getvalue() + content


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.ones((3, 4), np.float32)),
        np.array("text"),
        np.zeros((0, 3)),
        np.array([True, False]),
    ],
)
def test_arrays_are_read(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", a=array, b=array)
    for found in (read_npy(tmp_path / "a.npy"), *read_npz(tmp_path / "a.npz").values()):
        assert found.dtype == array.dtype and found.shape == array.shape and (found == array).all()
    assert list(read_npz(tmp_path / "a.npz", names=["b"])) == ["b"]


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@FORK
@pytest.mark.parametrize("content", [
    b"", b"x", b"\x93NUMPY\x01\x00", npy((2**40,)), npy((10**6, 10**6)), npy((4,), content=b"abc"), npy((-1,)),
    npy((4,), content=b"abcde"), npy((1,), "|O", b"x" * 8), npy((1,), [("a", "<i4")], b"x" * 4),
    b"\x93NUMPY\x09\x00" + b"x" * 99,
    b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000,
])  # fmt: skip
def test_arrays_that_are_none(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    outcome = confined(read_npy, tmp_path / "a.npy")
    assert outcome.kind == "ValueError" and "a.npy" in outcome.words and outcome.grown < 50e6, outcome
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    outcome = confined(read_npz, tmp_path / "a.npz")
    assert outcome.kind == "ValueError" and "a.npz" in outcome.words and outcome.grown < 50e6, outcome


@FORK
def test_archives_that_unpack_to_too_much_or_to_objects(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(300_000_000, np.uint8))
    assert path.stat().st_size < 1e6
    outcome = confined(read_npz, path, limit=10**8)
    assert outcome.kind == "ValueError" and "more than 100,000,000" in outcome.words and outcome.grown < 50e6, outcome
    np.savez(path, a=np.array([Bomb(tmp_path / "owned")], dtype=object))
    outcome = confined(read_npz, path)
    assert outcome.kind == "ValueError" and not (tmp_path / "owned").exists()
    np.load(path, allow_pickle=True)["a"]
    assert (tmp_path / "owned").exists()  # the attack is real
    for content in (b"PK\x03\x04" * 9, b"", b"\0" * 100):
        path.write_bytes(content)
        assert confined(read_npz, path).kind == "ValueError"


# -- JSON ---------------------------------------------------------------------------------------------


@FORK
@pytest.mark.parametrize("content", [
    b"", b"{", b"[" * 100_000, b"\xff\xfe", b"\0" * 10, b"[1" + b"0" * 10_000 + b"]", b"null", b"[]", b'{"windows": 3}',
    b'{"windows": [3, 4], "schedule": "cosine"}', b'{"windows": [3, NaN], "schedule": "cosine"}',
    b'{"windows": [3, Infinity], "schedule": "cosine"}', b'{"windows": [3], "schedule": []}',
    b'{"windows": "333", "schedule": "cosine"}', b'{"windows": [3], "schedule": "cosine", "info": 1}',
    b'{"windows": [], "schedule": "cosine"}', b'{"windows": [1e400], "schedule": "cosine"}',
])  # fmt: skip
def test_schedules_that_are_none_are_named(tmp_path, content):
    path = tmp_path / "windows.json"
    path.write_bytes(content)
    outcome = confined(ScaleSchedule.load, path)
    assert outcome.kind == "ValueError" and "windows.json is not a scale schedule" in outcome.words, outcome


def test_results_that_were_changed_are_refused(tmp_path):
    from elsedu.experiments.comparison import Comparison

    path = Comparison({"seeds": 2, "agreement": {150: {"els": 0.5}}}, {"data": {"name": "x"}}).save(tmp_path / "a.json")
    assert Comparison.load(path).measured["seeds"] == 2
    record = json.loads(path.read_text())
    record["measured"]["agreement"]["150"]["els"] = 7.0
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"a\.json was changed after it was measured"):
        Comparison.load(path)
    record.pop("hash")  # as the first results were
    path.write_text(json.dumps(record))
    assert Comparison.load(path).measured["agreement"]["150"]["els"] == 7.0
    for content in ("[]", '{"measured": 1, "provenance": {}}', "{"):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"a\.json"):
            records.check_result(records.read_json(path), path)
