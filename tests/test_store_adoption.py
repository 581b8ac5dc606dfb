from dataclasses import replace

import pytest

from framebank.store import DataError, FeatureStore, Manifest, ShardWriter
from framebank.store.adoption import Adopter, adopt_leftovers
from framebank.store.ledger import Failure, Ledger
from framebank.store.shard import shard_paths
from framebank.tests.store_world import SPEC, embeddings, make_store, videos


def make_part(folder, name, rows, *, failed=(), spec=SPEC):
    part = folder / "parts" / name
    part.parent.mkdir(parents=True, exist_ok=True)
    make_store(part, rows, spec=spec)
    for video_id in failed:
        Ledger(part / "failed.csv").add(Failure(video_id, f"{video_id}.mp4", "why"))
    return part


def test_a_part_becomes_the_stores_own(tmp_path):
    folder = make_store(tmp_path / "s", {"a": 1, "b": 2, "c": 3})  # two shards
    part = make_part(folder, "slice-1-00000-1", {"d": 4, "e": 5, "f": 6}, failed=["g"])
    before = [path.read_bytes() for path in shard_paths(part)]
    adopted = Adopter(folder).adopt(part)
    assert adopted.rows == {"d": 4, "e": 5, "f": 6}
    assert (adopted.reason("g"), adopted.reason("d")) == ("why", "")
    assert [path.read_bytes() for path in shard_paths(folder)[2:]] == before
    assert FeatureStore(folder).ids == tuple("abcdef")
    assert [failure.video_id for failure in FeatureStore(folder).failures] == ["g"]
    assert not part.exists()
    assert Adopter(folder).adopt(part).rows == {}  # a worker that died before it began leaves nothing


def test_leftovers_are_taken_once_whoever_wrote_them_twice(tmp_path):
    folder = make_store(tmp_path / "s", {"a": 1})
    Ledger(folder / "failed.csv").add(Failure("x", "x.mp4", "before"))
    make_part(folder, "slice-1-00000-1", {"a": 1, "b": 2}, failed=["c", "x"])
    make_part(folder, "slice-1-00000-2", {"b": 2, "c": 3}, failed=["a"])
    (folder / "parts" / "run-1").touch()
    adopt_leftovers(folder)
    store = FeatureStore(folder)
    assert {video_id: len(store[video_id].data) for video_id in store} == {"a": 1, "b": 2, "c": 3}
    assert [(failure.video_id, failure.reason) for failure in store.failures] == [("x", "before")]
    assert not (folder / "parts").exists()


def test_an_adoption_that_is_killed_is_finished_by_the_next(tmp_path, monkeypatch):
    folder = make_store(tmp_path / "s", {"a": 1})
    make_part(folder, "slice-1-00000-1", {"b": 1, "c": 1, "d": 1}, failed=["x"])  # two shards
    with monkeypatch.context() as patch:
        patch.setattr("framebank.store.adoption.sync", killed)  # after the first shard is moved
        with pytest.raises(KeyboardInterrupt):
            adopt_leftovers(folder)
    assert FeatureStore(folder).ids == ("a", "b", "c")
    adopt_leftovers(folder)
    assert FeatureStore(folder).ids == ("a", "b", "c", "d")
    assert [failure.video_id for failure in FeatureStore(folder).failures] == ["x"]


def killed(path):
    raise KeyboardInterrupt


def test_nothing_to_adopt(tmp_path):
    adopt_leftovers(tmp_path / "none")
    (tmp_path / "parts").mkdir()  # in a folder that is no store
    adopt_leftovers(tmp_path)
    assert (tmp_path / "parts").exists() and not (tmp_path / "writer.lock").exists()


def test_files_of_the_users_stay(tmp_path):
    folder = make_store(tmp_path / "s", {"a": 1})
    (folder / "parts").mkdir()
    (folder / "parts" / "mine.txt").touch()
    adopt_leftovers(folder)
    assert (folder / "parts" / "mine.txt").exists()


def test_a_part_made_otherwise_is_refused(tmp_path):
    folder = make_store(tmp_path / "s", {"a": 1})
    part = make_part(folder, "slice-1-00000-1", {"b": 1}, spec=replace(SPEC, sampling="segments:8"))
    with pytest.raises(DataError, match=r"segments:4.*segments:8.*cannot be mixed"):
        adopt_leftovers(folder)
    assert FeatureStore(folder).ids == ("a",) and shard_paths(part)


def test_not_while_another_process_writes(tmp_path):
    folder = make_store(tmp_path / "s", {"a": 1})
    make_part(folder, "slice-1-00000-1", {"b": 1})
    with ShardWriter(folder, SPEC) as writer:
        writer.add("z", embeddings(), decoder="")
        with pytest.raises(DataError, match="another process is writing"):
            adopt_leftovers(folder)
    Manifest(videos("a", "b", "z")).write(folder / "manifest.csv")
    adopt_leftovers(folder)
    assert FeatureStore(folder).ids == ("a", "z", "b")
