"""One writer at a time: the lock dies with its process, and what a killed process left behind is collected."""

import os
import signal
import subprocess
import sys
import time

import pytest

from elsedu._common.files import whole_file, write_bytes
from elsedu._common.lock import one_writer

HOLD = """
import sys, time
from elsedu._common.lock import one_writer
with one_writer(sys.argv[1], *sys.argv[2:]):
    print("held", flush=True)
    time.sleep(60)
"""
WRITE = """
import sys, time
from elsedu._common.files import whole_file
with whole_file(sys.argv[1]) as stream:
    stream.write(b"half")
    stream.flush()
    print("half", flush=True)
    time.sleep(60)
"""


def started(script, *arguments):
    """A child that runs the script and has printed its first line."""
    child = subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline()
    return child


def killed(child):
    child.send_signal(signal.SIGKILL)
    child.wait()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    place = tmp_path / "out"
    child = started(HOLD, place)
    with pytest.raises(BlockingIOError, match=rf"another process \({child.pid}\) is writing to .*out"):
        with one_writer(place):
            pass
    with one_writer(place, "net"), one_writer(tmp_path):  # other places are free
        pass
    killed(child)
    assert names(place) == [".lock"]
    with one_writer(place):  # nobody had to remove anything
        pass
    assert names(place) == []


def test_waiting_for_the_other_one(tmp_path):
    child = started(HOLD, tmp_path, "net")
    start = time.monotonic()
    with pytest.raises(BlockingIOError):
        with one_writer(tmp_path, "net", wait=0.3):
            pass
    assert 0.3 <= time.monotonic() - start < 10
    os.kill(child.pid, signal.SIGKILL)
    with one_writer(tmp_path, "net", wait=30):
        pass
    child.wait()


def test_one_process_may_take_it_twice(tmp_path):
    with one_writer(tmp_path):
        with one_writer(tmp_path / "." / ""):
            assert names(tmp_path) == [".lock"]
        assert names(tmp_path) == [".lock"]  # still held
        with pytest.raises(AssertionError):
            killed_holder = started(HOLD, tmp_path)  # it prints nothing, because it is refused
            killed_holder.wait()
    assert names(tmp_path) == []


def test_many_processes_only_one_at_a_time(tmp_path):
    script = """
import sys, time
from pathlib import Path
from elsedu._common.lock import one_writer
place = Path(sys.argv[1])
for _ in range(20):
    with one_writer(place, "count", wait=60):
        number = int((place / "count").read_text())
        time.sleep(0.002)
        (place / "count").write_text(str(number + 1))
"""
    (tmp_path / "count").write_text("0")
    children = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert (tmp_path / "count").read_text() == "80"


def test_folders_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write to .*file"):
        with one_writer(tmp_path / "file" / "below"):
            pass


# -- whole files --------------------------------------------------------------------------------------


def test_leftovers_of_killed_processes_are_collected(tmp_path):
    path = tmp_path / "piece.bin"
    write_bytes(path, b"old")
    dead, alive = started(WRITE, path), started(WRITE, path)
    killed(dead)
    assert path.read_bytes() == b"old" and len(names(tmp_path)) == 3
    write_bytes(tmp_path / "piece.bin.other", b"")  # another file, whose name begins alike
    assert len(names(tmp_path)) == 4
    write_bytes(path, b"new")
    left = [name for name in names(tmp_path) if name.endswith(".part")]
    assert path.read_bytes() == b"new" and len(left) == 1  # that of the living one
    killed(alive)
    with pytest.raises(RuntimeError), whole_file(path):
        raise RuntimeError
    assert names(tmp_path) == ["piece.bin", "piece.bin.other"] and path.read_bytes() == b"new"


def test_a_link_is_followed(tmp_path):
    target, link = tmp_path / "target.bin", tmp_path / "link.bin"
    write_bytes(target, b"old")
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    (tmp_path / "dangling").symlink_to(tmp_path / "to come")
    write_bytes(tmp_path / "dangling", b"there")
    assert (tmp_path / "to come").read_bytes() == b"there"


def test_pipes_devices_and_folders_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "pipe", tmp_path / "folder"):
        with pytest.raises(OSError, match="no ordinary file"):
            write_bytes(place, b"x")
    assert names(tmp_path) == ["folder", "pipe"]
