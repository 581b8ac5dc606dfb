import h5py
import numpy as np
import pytest

from framebank.store import DataError, Embeddings, FeatureStore, ShardWriter
from framebank.store.shard import shard_paths
from framebank.tests.worlds.store import DIM, SPEC, embeddings, make_store


def test_full_shards_are_written_at_once(tmp_path):
    with ShardWriter(tmp_path, SPEC, max_videos=2) as writer:
        for name in "abc":
            writer.add(name, embeddings())
        assert FeatureStore(tmp_path).ids == ("a", "b")
    assert [path.name for path in shard_paths(tmp_path)] == ["shard-00000.h5", "shard-00001.h5"]


def test_what_waited_a_twentieth_of_the_time_is_written(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("framebank.store.shard.time.monotonic", lambda: now[0])
    written = []
    with ShardWriter(tmp_path, SPEC, min_seconds=5) as writer:
        for now[0] in (2, 4.9, 5, 9.9, 10, 1000, 1049, 1053):  # s
            writer.add(f"at {now[0]}", embeddings())
            written.append(len(shard_paths(tmp_path)))
    assert written == [0, 0, 1, 1, 2, 3, 3, 4]


def test_nothing_added_writes_nothing(tmp_path):
    with ShardWriter(tmp_path, SPEC):
        pass
    assert shard_paths(tmp_path) == []


def test_second_writer_is_refused(tmp_path):
    with ShardWriter(tmp_path, SPEC), pytest.raises(DataError, match="another process"), ShardWriter(tmp_path, SPEC):
        pass
    with ShardWriter(tmp_path, SPEC):
        pass


def test_own_leftovers_are_removed(tmp_path):
    for name in ("shard-00003.h5.part", "manifest.csv.part", "download.mp4.part"):
        (tmp_path / name).touch()
    make_store(tmp_path, {"a": 1})
    assert [path.name for path in tmp_path.glob("*.part")] == ["download.mp4.part"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, DataError])
def test_what_was_added_before_an_error_is_kept(tmp_path, error):
    with pytest.raises(error), ShardWriter(tmp_path, SPEC) as writer:
        writer.add("a", embeddings())
        raise error
    assert FeatureStore(tmp_path).ids == ("a",)


def test_a_write_that_failed_is_not_tried_again(tmp_path, monkeypatch):
    tried = []

    def fail(path, datasets, attributes):
        tried.append(path)
        raise DataError("full")

    monkeypatch.setattr("framebank.store.shard.write_datasets", fail)
    with pytest.raises(DataError, match="full"), ShardWriter(tmp_path, SPEC, max_videos=1) as writer:
        writer.add("a", embeddings())
    assert len(tried) == 1
    with ShardWriter(tmp_path, SPEC):  # the lock was given back
        pass


def test_programming_mistakes(tmp_path):
    with ShardWriter(tmp_path, SPEC) as writer:
        writer.add("a", embeddings())
        with pytest.raises(ValueError, match="added twice"):
            writer.add("a", embeddings())
        with pytest.raises(ValueError, match="width 3, the spec says 8"):
            writer.add("b", Embeddings(np.zeros((1, 3)), np.zeros(1), np.zeros(1)))
    with pytest.raises(ValueError, match="expected data"):
        Embeddings(np.zeros((0, DIM)), np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="expected data"):
        Embeddings(np.zeros((2, DIM)), np.zeros(3), np.zeros(2))


def test_files_of_other_names_are_no_shards(tmp_path):
    make_store(tmp_path, {"a": 1})
    for name in ("shard-1.h5", "shard-00001.h5.part", "shard-abcde.h5", "prompts.h5"):
        h5py.File(tmp_path / name, "w").close()
    assert [path.name for path in shard_paths(tmp_path)] == ["shard-00000.h5"]
