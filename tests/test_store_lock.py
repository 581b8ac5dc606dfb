import os
import signal

import pytest

from framebank.store import DataError
from framebank.store.lock import Lock


def test_one_holder(tmp_path):
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.acquire()
    with pytest.raises(DataError, match="another process is writing to this store"):
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
