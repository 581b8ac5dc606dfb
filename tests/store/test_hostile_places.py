"""Places that lead elsewhere or never end: links, pipes, addresses, names within names."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from framebank.store import DataError, FeatureStore, Manifest
from framebank.store.errors import PlaceError
from framebank.store.exchange.exports import export_store
from framebank.store.files.kinds import kind_of
from framebank.store.files.replacing import NEXT, current, finish_moves, replacing
from framebank.store.formats import hdf5_process as reading
from framebank.store.formats.document import read_toml
from framebank.store.formats.remembered import stamp_of
from framebank.store.indexes.index import Index
from framebank.store.upkeep.repair import repair_store
from framebank.store.upkeep.verify import verify_store
from framebank.tests.worlds.store import SPEC, make_store, videos


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_store(tmp_path / "s", {"a": 2, "b": 3, "c": 2})


def test_a_link_in_the_place_of_files_that_wait_is_not_followed(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "manifest.csv").write_text("video_id,path,label,split\nx,/x.mp4,,\n")
    (folder / NEXT).symlink_to(secret)
    assert current(folder, "manifest.csv") == folder / "manifest.csv"
    assert [video.video_id for video in FeatureStore(folder).manifest.videos] == ["a", "b", "c"]
    with pytest.raises(DataError, match="is a link; expected nothing there"):
        finish_moves(folder)
    assert [path.name for path in secret.iterdir()] == ["manifest.csv"]


def test_what_is_written_goes_through_no_link_that_lay_there(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    (tmp_path / "out.csv.part").symlink_to(precious)
    with replacing(tmp_path / "out.csv") as part:
        part.write_text("new")
    assert (precious.read_text(), (tmp_path / "out.csv").read_text()) == ("mine", "new")


def test_an_output_that_is_a_link_or_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "target.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "target.csv")
    with replacing(tmp_path / "link.csv") as part:
        part.write_text("new")
    assert (tmp_path / "link.csv").is_symlink() and (tmp_path / "target.csv").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is a device or a pipe"), replacing(tmp_path / "pipe"):
        pass


def test_a_parquet_file_whose_name_looks_like_an_address(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(folder.parent)
    store = FeatureStore(folder)
    for name in ("file:x.parquet", "s3:x.parquet"):
        assert len(list(export_store(store, store.manifest, Path(name), form="parquet"))) == 3
        assert Path(name).read_bytes()[:4] == b"PAR1"


def test_a_pipe_in_the_place_of_a_list_is_not_waited_for(folder: Path) -> None:
    (folder / "manifest.csv").unlink()
    os.mkfifo(folder / "manifest.csv")
    with pytest.raises(DataError, match=r"manifest\.csv: .*is a pipe or a device; expected a file"):
        _ = FeatureStore(folder).manifest


@pytest.mark.parametrize("name", ["index.faiss", "ids.csv", "spec.json", "enrolled.npz"])
def test_a_pipe_in_an_index(tmp_path: Path, name: str) -> None:
    Index(np.eye(8)[:3], videos("a", "b", "c"), spec=SPEC, made_by={"head": "mean", "run": None}).save(tmp_path / "i")
    (tmp_path / "i" / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / "i" / name)
    with pytest.raises(DataError, match="is a pipe or a device"):
        Index.load(tmp_path / "i")


def test_a_list_of_more_bytes_than_any_list_has(folder: Path) -> None:
    os.truncate(folder / "manifest.csv", 40 << 30)  # a hole, which takes no room
    with pytest.raises(DataError, match=r"manifest\.csv: has more than 4096 MiB"):
        Manifest.read_csv(folder / "manifest.csv")


LONG = 60_000


@pytest.mark.parametrize(
    "text", ["a." * LONG + "a = 1", "[" + "a . " * LONG + "a]", "x = {" + '"a".' * LONG + "a = 1}"]
)
def test_names_within_names_without_end(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(DataError, match=r"r\.toml: nests more than 32 names"):
        read_toml(tmp_path / "r.toml", what="a recipe")
    sentences, word = "One. Two. " * 100, "x" * 100_000
    (tmp_path / "r.toml").write_text(f'a.b.c = 1\nd = ["{sentences}"]\ne = "{word}"')
    assert read_toml(tmp_path / "r.toml", what="a recipe")["a"] == {"b": {"c": 1}}


def test_strings_under_many_names_are_read_once_or_refused(folder: Path) -> None:
    shard = folder / "shard-00000.h5"
    with h5py.File(shard, "a") as file:
        file.create_dataset("more", (1000,), dtype=h5py.string_dtype())
        file["again"] = file["more"]
    with pytest.raises(DataError, match="is another name for the strings in"):
        FeatureStore(folder)


def test_paths_are_those_of_the_folder_that_the_caller_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(("d1", "d2")):
        (tmp_path / name).mkdir()
        make_store(tmp_path / name / "s", {f"v{number}": 2})
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache{number}"))  # nothing is known of it
        assert FeatureStore("s").ids == (f"v{number}",)


def test_a_reader_that_is_killed_is_no_fault_of_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = folder / "shard-00000.h5"
    reading.ask(shard, stamp_of(shard), "describe")
    process = reading._reader._process
    assert process
    sent = process.channel.send_bytes
    monkeypatch.setattr(
        process.channel, "send_bytes", lambda content: (os.kill(process.pid, signal.SIGKILL), sent(content))
    )
    with pytest.raises(PlaceError, match=r"shard-00000\.h5: the process that reads it was killed"):
        reading.ask(shard, stamp_of(shard), "describe")
    reading.ask(shard, stamp_of(shard), "describe")  # another process, and it ends well


def test_a_shard_that_could_not_be_looked_at_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise PlaceError("shard: the process that reads it was killed")

    monkeypatch.setattr("framebank.store.upkeep.verify.ShardReader", killed)
    assert {fault.hurts for fault in verify_store(folder).faults} == {"store"}
    assert repair_store(folder).moved == ()
    assert len(list(folder.glob("shard-*.h5"))) == 2


def test_a_file_of_a_folder_stands_for_it(folder: Path) -> None:
    for name in ("shard-00000.h5", "manifest.csv", "writer.lock"):
        assert kind_of(folder / name) == ("store", folder)


def test_a_store_is_opened_while_its_files_are_moved(folder: Path) -> None:
    """Another process puts shards and the list in their places again and again; every opening finds a whole store."""
    code = (
        "import shutil, sys, time; from pathlib import Path\n"
        "from framebank.store.files.replacing import replacing_together\n"
        "folder, until = Path(sys.argv[1]), time.monotonic() + 4\n"
        "while time.monotonic() < until:\n"
        "    with replacing_together(folder) as part:\n"
        "        for name in ('shard-00000.h5', 'shard-00001.h5', 'manifest.csv'):\n"
        "            shutil.copy(folder / name, part / name)\n"
        "    time.sleep(0.01)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    opened = 0
    while writer.poll() is None:
        store = FeatureStore(folder)
        assert (store.ids, len(store.manifest)) == (("a", "b", "c"), 3)
        opened += 1
    assert writer.returncode == 0 and opened > 5
