import errno
import os
import signal
import socket

import pytest

from framebank.store import DataError, FeatureStore, ShardWriter
from framebank.store.files.lock import Lock
from framebank.tests.worlds.store import SPEC, make_store


def test_one_holder(tmp_path):
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.acquire()
    with pytest.raises(DataError, match="another process is writing here"):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()


def test_a_killed_holder_frees_it(tmp_path):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        held = Lock(tmp_path / "other")
        held.acquire()
        os.write(write, b"x")
        signal.pause()
    assert os.read(read, 1) == b"x"
    with pytest.raises(DataError):
        Lock(tmp_path / "other").acquire()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    Lock(tmp_path / "other").acquire()


def test_no_place_for_it(tmp_path):
    with pytest.raises(DataError, match="cannot be written to: No such file"):
        Lock(tmp_path / "none" / "lock").acquire()


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks, as some network mounts."""

    def flock(handle, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("framebank.store.files.lock.fcntl.flock", flock)


def test_a_file_stands_for_the_lock_where_there_are_none(tmp_path, no_locks):
    first, second = Lock(tmp_path / "writer.lock"), Lock(tmp_path / "writer.lock")
    first.acquire()
    holder = tmp_path / "writer.pid"
    assert holder.read_text() == f"{socket.gethostname()} {os.getpid()}\n"
    with pytest.raises(DataError) as error:
        second.acquire()
    assert f"process {os.getpid()} on {socket.gethostname()} is writing here" in str(error.value)
    assert str(error.value).endswith(f"if it no longer runs, remove {holder}")
    second.release()
    assert holder.exists()  # who never held it does not give it back
    first.release()
    assert not holder.exists()
    second.acquire()
    second.release()


def test_a_store_is_written_and_read_without_locks(tmp_path, no_locks):
    assert FeatureStore(make_store(tmp_path / "s", {"a": 2, "b": 1})).ids == ("a", "b")
    assert not (tmp_path / "s" / "writer.pid").exists()
    (tmp_path / "s" / "writer.pid").touch()
    with pytest.raises(DataError, match="another process is writing"), ShardWriter(tmp_path / "s", SPEC):
        pass


def test_a_lock_that_fails_otherwise_is_said(tmp_path, monkeypatch):
    def flock(handle, operation):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("framebank.store.files.lock.fcntl.flock", flock)
    with pytest.raises(DataError, match=r"writer\.lock: cannot be locked: Input/output error"):
        Lock(tmp_path / "writer.lock").acquire()
