from dataclasses import replace

import pytest

from framebank.store import DataError, FeatureStore, Manifest, ShardWriter
from framebank.store.ledger import Failure, Ledger
from framebank.store.shard import shard_paths
from framebank.store.upkeep.adoption import Adopter, adopt_leftovers
from framebank.tests.worlds.store import SPEC, embeddings, make_store, videos


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
        patch.setattr("framebank.store.upkeep.adoption.sync", killed)  # after the first shard is moved
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


def write_sourced(folder, sources, *, seed):
    """Write one shard of videos that were read from these sources."""
    folder.mkdir(parents=True, exist_ok=True)
    with ShardWriter(folder, SPEC) as writer:
        for video_id, source in sources.items():
            writer.add(video_id, embeddings(2, seed=seed), source=source)
    return folder


def test_rows_of_another_file_take_the_place_of_those_that_are_there(tmp_path):
    folder = write_sourced(tmp_path / "s", {"a": "1 1 x", "b": "1 1 y", "c": ""}, seed=0)
    part = write_sourced(folder / "parts" / "slice-1-00000-1", {"a": "2 2 z", "b": "1 1 y", "c": "3 3 w"}, seed=1)
    Ledger(part / "failed.csv").add(Failure("b", "b.mp4", "another attempt", "1 1 y"))
    old, new = embeddings(2, seed=0).data.tobytes(), embeddings(2, seed=1).data.tobytes()
    adopted = Adopter(folder, held=FeatureStore(folder)).adopt(part)
    assert adopted.rows == {"a": 2, "b": 2, "c": 2}
    store = FeatureStore(folder)
    assert {name: store[name].data.tobytes() for name in store} == {"a": new, "b": old, "c": new}
    assert store.sources == {"a": "2 2 z", "b": "1 1 y", "c": "3 3 w"}
    assert not store.failures
    assert not part.exists()


def test_a_changed_file_that_fails_is_listed_and_keeps_its_rows(tmp_path):
    folder = write_sourced(tmp_path / "s", {"a": "1 1 x"}, seed=0)
    for number, refreshed in enumerate(((), {"a"})):
        part = write_sourced(folder / "parts" / f"slice-1-00000-{number}", {"z": ""}, seed=1)
        Ledger(part / "failed.csv").add(Failure("a", "a.mp4", "cut", "2 2 z"))
        Adopter(folder, held=FeatureStore(folder), refreshed=refreshed).adopt(part)
        assert [failure.video_id for failure in FeatureStore(folder).failures] == list(refreshed)
    assert "a" in FeatureStore(folder)
