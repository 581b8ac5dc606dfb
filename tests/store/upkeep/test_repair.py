import shutil

import h5py
import numpy as np
import pytest

from framebank.store import DataError, FeatureStore, ShardWriter
from framebank.store.upkeep.adoption import adopt_leftovers
from framebank.store.upkeep.repair import repair_store
from framebank.store.upkeep.rewrite import drop_videos
from framebank.store.upkeep.verify import verify_store
from framebank.tests.worlds.store import SPEC, edited, embeddings, make_store

ROWS = {"a": 3, "b": 1, "c": 5, "d": 2, "e": 4}


@pytest.fixture
def folder(tmp_path):
    """Three shards: a and b, c and d, e."""
    return make_store(tmp_path / "store", ROWS)


def spoil(path, position, value=np.nan):
    with edited(path) as file:
        file["streams/frame"][position] = value


def assert_rows(folder, *names):
    """The store is whole, and the rows of these videos are those that were written."""
    assert verify_store(folder).faults == ()
    store = FeatureStore(folder)
    assert store.ids == names
    for video_id in names:
        seed = list(ROWS).index(video_id)
        np.testing.assert_array_equal(store[video_id].data, embeddings(ROWS[video_id], seed=seed).data)
        assert store[video_id].timestamps.tolist() == [row / 25 for row in range(ROWS[video_id])]
        assert store.decoders[video_id] == f"d{seed}"


def test_a_whole_store_is_left_alone(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    repair = repair_store(folder)
    assert (repair.moved, repair.dropped, repair.to_extract, repair.left) == ((), (), (), ())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_shards_that_cannot_be_read_or_lost_their_checksum_are_set_aside(folder):
    shard = folder / "shard-00001.h5"
    with h5py.File(shard) as file:
        offset = file["streams/frame"].id.get_offset()
    damaged = bytearray(shard.read_bytes())
    damaged[offset] ^= 1
    shard.write_bytes(damaged)
    (folder / "shard-00002.h5").write_bytes(b"cut")
    repair = repair_store(folder)
    assert [path.name for path in repair.moved] == ["shard-00001.h5", "shard-00002.h5"]
    assert repair.to_extract == ("c", "d", "e")
    assert repair.left == repair.dropped == ()
    assert (folder / "broken" / "shard-00001.h5").read_bytes() == damaged
    assert (folder / "broken" / "shard-00002.h5").read_bytes() == b"cut"
    assert_rows(folder, "a", "b")


def test_videos_that_are_not_finite_are_dropped_alone(folder):
    spoil(folder / "shard-00000.h5", (3, 0))  # b
    spoil(folder / "shard-00002.h5", (0, 0))  # e, the only one of its shard
    before = (folder / "shard-00000.h5").read_bytes()
    repair = repair_store(folder)
    assert (repair.dropped, repair.to_extract, repair.moved) == (("b", "e"), ("b", "e"), ())
    assert (folder / "broken" / "shard-00000.h5").read_bytes() == before
    assert_rows(folder, "a", "c", "d")
    spoil(folder / "shard-00000.h5", (0, 0))  # now a: what the first repair set aside stays
    assert repair_store(folder).dropped == ("a",)
    assert (folder / "broken" / "shard-00000.h5").read_bytes() == before
    assert_rows(folder, "c", "d")


def test_of_the_same_rows_one_is_kept_of_different_ones_none(folder):
    shutil.copy(folder / "shard-00001.h5", folder / "shard-00007.h5")
    spoil(folder / "shard-00007.h5", (6, 0), 5.0)  # the other d
    repair = repair_store(folder)
    assert sorted(repair.dropped) == ["c", "d", "d"]
    assert repair.to_extract == ("d",)
    assert_rows(folder, "a", "b", "c", "e")


def test_what_is_the_users_to_mend_is_left_and_said(folder):
    (folder / "manifest.csv").unlink()
    (fault,) = repair_store(folder).left
    assert "manifest.csv" in fault.problem
    assert FeatureStore(folder).ids == tuple(ROWS)


def test_refused_while_another_process_writes(folder):
    (folder / "shard-00002.h5").write_bytes(b"cut")
    with ShardWriter(folder, SPEC), pytest.raises(DataError, match="another process is writing"):
        repair_store(folder)
    assert (folder / "shard-00002.h5").exists()
    repair_store(folder)


def test_dropping_keeps_every_other_value(folder):
    shard = folder / "shard-00001.h5"
    with edited(shard) as file:
        file["note"] = np.arange(7)  # of rows, not known here
        file.attrs["remark"] = "kept"
    drop_videos(shard, [0])
    with h5py.File(shard) as file:
        assert file["note"][:].tolist() == [5, 6]
        assert file["end"][:].tolist() == [2]
        assert file.attrs["remark"] == b"kept"
    assert_rows(folder, "a", "b", "d", "e")


def test_a_rewrite_that_fails_changes_nothing(folder, monkeypatch):
    spoil(folder / "shard-00000.h5", (3, 0))
    before = (folder / "shard-00000.h5").read_bytes()

    def full(path, datasets, attributes):
        raise DataError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr("framebank.store.upkeep.rewrite.write_datasets", full)
    with pytest.raises(DataError, match="No space left"):
        repair_store(folder)
    assert (folder / "shard-00000.h5").read_bytes() == before
    monkeypatch.undo()
    assert repair_store(folder).dropped == ("b",)


def test_a_broken_shard_that_a_cluster_left_stops_no_extraction(folder):
    part = folder / "parts" / "slice-1-00000-1"
    part.mkdir(parents=True)
    broken = part / "shard-00000.h5"
    broken.write_bytes(b"no HDF5")
    with pytest.raises(DataError, match="not a readable HDF5 file"):
        adopt_leftovers(folder)
    assert repair_store(folder).moved == (broken,)
    assert (folder / "broken" / "shard-00000.h5").read_bytes() == b"no HDF5"
    adopt_leftovers(folder)
    assert_rows(folder, *ROWS)
