"""What is remembered of files that were found good, and when it is not believed."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebank.store import DataError, FeatureStore
from framebank.store.formats.remembered import recall, stamp_of
from framebank.store.upkeep.verify import verify_store
from framebank.tests.worlds.store import DIM, make_earlier, make_store

ROWS = {"a": 3, "b": 1, "c": 5}


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that holds what is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "framebank" / "hdf5"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that HDF5 is asked of."""
    from framebank.store.formats import datasets

    found: list[str] = []
    ask = datasets.ask

    def tell(path: Path, *arguments: Any, **about: Any) -> Any:
        found.append(path.name)
        return ask(path, *arguments, **about)

    monkeypatch.setattr(datasets, "ask", tell)
    return found


def read_all(folder: Path) -> list[np.ndarray]:
    store = FeatureStore(folder)
    return [store[video_id].data for video_id in store]


def test_what_was_just_written_is_known(tmp_path: Path, asked: list[str], memory: Path) -> None:
    folder = make_store(tmp_path / "store", ROWS)
    read_all(folder)
    assert asked == []
    path = folder / "shard-00000.h5"
    known = recall(path, stamp_of(path))
    assert known is not None and set(known.description.forms) >= {"end", "streams/frame", "video_id"}
    assert not list(folder.glob("*cache*"))


def test_a_store_from_elsewhere_is_examined_once(tmp_path: Path, asked: list[str]) -> None:
    folder = Path(shutil.copytree(make_store(tmp_path / "store", ROWS), tmp_path / "copy"))
    expected = read_all(folder)
    assert asked == ["shard-00000.h5", "shard-00001.h5"]
    for one, other in zip(read_all(folder), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(asked) == 2


def test_large_datasets_that_have_their_checksum_are_remembered(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(make_store(tmp_path / "store", {"a": 70_000}), tmp_path / "copy"))
    read_all(folder)
    for path in (folder / "shard-00000.h5", tmp_path / "store" / "shard-00000.h5"):  # read, and written
        known = recall(path, stamp_of(path))
        assert known is not None and known.sound == {"streams/frame"}


def test_strings_of_an_earlier_version_are_remembered(tmp_path: Path, asked: list[str]) -> None:
    folder = make_store(tmp_path / "store", ROWS)
    for path in folder.glob("*.h5"):
        make_earlier(path)
    assert FeatureStore(folder).ids == FeatureStore(folder).ids == tuple(ROWS)
    assert len(asked) == 2


def test_a_file_that_was_written_to_is_examined_again(tmp_path: Path, asked: list[str]) -> None:
    folder = make_store(tmp_path / "store", ROWS)
    path = folder / "shard-00000.h5"
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-20:] = bytes(20)
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # of the same size and time, with the same inode
    with pytest.raises(DataError, match=r"shard-00000\.h5"):
        read_all(folder)
    assert set(asked) == {"shard-00000.h5"}  # twice, as the store is new: its files could be moving


def test_verify_believes_no_memory(tmp_path: Path, asked: list[str]) -> None:
    folder = make_store(tmp_path / "store", ROWS)
    verify_store(folder)
    assert asked == ["shard-00000.h5", "shard-00001.h5"]


@pytest.mark.parametrize("home", ["/proc/1/nowhere", "", "relative"])
def test_without_a_memory_files_are_examined_each_time(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    monkeypatch.setenv("HOME", "/proc/1/nowhere")
    folder = make_store(tmp_path / "store", ROWS)
    assert len(read_all(folder)) == len(read_all(folder)) == 3
    assert len(asked) == 4
    assert not Path("relative").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content.split(b"\n")[0],
        lambda content: content.replace(b'"forms"', b'"norms"'),
        lambda content: content.replace(b'"offset": ', b'"offset": -'),
        lambda content: content.replace(b'"<f2"', b'"<q9"'),
        lambda content: content.replace(b'"shape": [', b'"shape": [2.5, '),
        lambda content: content.replace(b'"form": 1', b'"form": 0'),
        lambda content: b"\xff" * 100 + b"\n" + b"[" * 100_000,
    ],
)
def test_a_damaged_memory_is_no_memory(tmp_path: Path, memory: Path, asked: list[str], spoil: Any) -> None:
    folder = make_store(tmp_path / "store", ROWS)
    for entry in memory.iterdir():
        entry.write_bytes(spoil(entry.read_bytes()))
    read_all(folder)
    assert asked == ["shard-00000.h5", "shard-00001.h5"]


def test_a_wrong_memory_gives_no_wrong_values(tmp_path: Path, memory: Path) -> None:
    folder = make_store(tmp_path / "store", {"a": 3, "b": 3})
    (entry,) = (entry for entry in memory.iterdir() if entry.name != "swept")
    first, second = entry.read_bytes().split(b"\n", 1)
    about, description = json.loads(first), json.loads(second)
    forms = description["forms"]
    forms["streams/frame"]["offset"] += 2 * DIM  # by a row
    entry.write_bytes(json.dumps(about | {"sound": []}).encode() + b"\n" + json.dumps(description).encode())
    with pytest.raises(DataError, match="streams/frame does not have its checksum"):
        read_all(folder)


def test_what_is_remembered_of_files_that_are_gone_is_removed(tmp_path: Path, memory: Path) -> None:
    folder = make_store(tmp_path / "store", ROWS)
    assert len(list(memory.iterdir())) == 3  # and when it was looked through
    (folder / "shard-00001.h5").unlink()
    (memory / "left.1.part").touch()
    os.utime(memory / "left.1.part", (0, 0))
    make_store(tmp_path / "other", {"x": 1})
    assert len(list(memory.iterdir())) == 5  # once a day
    os.utime(memory / "swept", (0, 0))
    make_store(tmp_path / "another", {"y": 1})
    assert len(list(memory.iterdir())) == 4
