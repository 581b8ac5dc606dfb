"""The process that reads HDF5: it ends when it should, and whatever becomes of it the caller is told in a sentence."""

import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import h5py
import pytest

from framebank.store import DataError, FeatureStore
from framebank.store.exchange.arrays import Arrays
from framebank.store.formats import hdf5_process
from framebank.store.formats.datasets import Datasets
from framebank.store.formats.hdf5_process import ask
from framebank.store.formats.remembered import stamp_of
from framebank.tests.places import TESTS
from framebank.tests.worlds.hostile import zero_the_heap
from framebank.tests.worlds.process import children
from framebank.tests.worlds.store import make_earlier, make_store


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A store of one shard that keeps HDF5 for ever."""
    folder = make_store(tmp_path / "store", {"a": 2})
    make_earlier(folder / "shard-00000.h5")
    zero_the_heap(folder / "shard-00000.h5")
    return folder


def opening(folder: Path) -> "tuple[subprocess.Popen[bytes], int]":
    """Start a program that opens a store; return it, and the process that reads HDF5 for it, when that is busy."""
    code = (
        "import sys, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "sys.path.insert(0, sys.argv[1]); import conftest;"
        "from framebank.store import FeatureStore; FeatureStore(sys.argv[2])"
    )
    program = subprocess.Popen([sys.executable, "-c", code, str(TESTS), str(folder)], stderr=subprocess.DEVNULL)
    listed = Path(f"/proc/{program.pid}/task/{program.pid}/children")
    if not listed.exists():
        pytest.skip("no /proc, which lists the children of a process")
    while not (found := listed.read_text().split()) or not is_busy(int(found[0])):
        assert program.poll() is None
        time.sleep(0.02)
    return program, int(found[0])


def is_busy(process: int) -> bool:
    """Whether it has computed for a second since it began to read."""
    return num_seconds(process) > 2


def num_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_there(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_program_however_that_ends(endless: Path, number: signal.Signals) -> None:
    program, reader = opening(endless)
    program.send_signal(number)
    assert program.wait(30) != 0
    until = time.monotonic() + 30
    while is_there(reader) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_there(reader)


def test_what_never_ends_is_tried_once(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"shard-00000\.h5: HDF5 does not finish reading it; it is damaged"):
        FeatureStore(endless)
    monkeypatch.setattr(hdf5_process, "Process", None)
    with pytest.raises(DataError, match="does not finish"):
        FeatureStore(endless)


def test_it_is_started_again(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", {"a": 2})
    path = folder / "shard-00000.h5"
    first = ask(path, stamp_of(path), "describe")
    reader = hdf5_process._reader._process
    assert reader is not None
    os.kill(reader.pid, signal.SIGKILL)
    reader.wait()
    assert ask(path, stamp_of(path), "describe") == first
    assert children() == []  # `children` ends it


def test_a_fork_starts_its_own(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store", {"a": 2}) / "shard-00000.h5"
    first = ask(path, stamp_of(path), "describe")
    child = os.fork()
    if child == 0:
        same = ask(path, stamp_of(path), "describe") == first
        hdf5_process.end()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert ask(path, stamp_of(path), "describe") == first


def test_a_crash_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_store(tmp_path / "store", {"a": 2}) / "shard-00000.h5"
    ask(path, stamp_of(path), "describe")
    reader = hdf5_process._reader._process
    assert reader is not None
    os.kill(reader.pid, signal.SIGSTOP)  # it is asked before it dies
    hear = hdf5_process._Reader._hear

    def crash(self: object, process: object) -> bytes:
        os.kill(reader.pid, signal.SIGSEGV)
        os.kill(reader.pid, signal.SIGCONT)
        return hear(self, process)  # type: ignore[arg-type]

    monkeypatch.setattr(hdf5_process._Reader, "_hear", crash)
    with pytest.raises(DataError, match=r"shard-00000\.h5: .* ended \(signal SIGSEGV\)"):
        ask(path, stamp_of(path), "describe")


def test_a_file_that_is_another_by_now(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store", {"a": 2}) / "shard-00000.h5"
    with pytest.raises(DataError, match="was rewritten while it was being opened"):
        ask(path, (1, 2, 3, 4), "describe")


def packed_zeros(count: int) -> bytes:
    """So many zeros as deflate packs them, without ever having them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = (count % 65521) << 16 | 1
    return b"\x78\x01" + block * (count >> 24) + b"\x03\x00" + checksum.to_bytes(4, "big")


def test_a_chunk_that_would_take_all_memory(tmp_path: Path) -> None:
    path = tmp_path / "all.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", shape=(1 << 31,), chunks=(1 << 31,), dtype="u1", compression="gzip")
        dataset.id.write_direct_chunk((0,), packed_zeros(1 << 31))
    array = Arrays(path)["x"]
    with pytest.raises(DataError, match=r"all\.h5: (is damaged|takes more than)"):
        array[:10]
    with pytest.raises(DataError, match="x would take 2147483648 bytes"):
        array[:]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "shard-00000.h5")
    with pytest.raises(DataError, match="is not a regular file"):
        Datasets(tmp_path / "shard-00000.h5")
