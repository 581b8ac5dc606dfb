import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.store import DataError, FeatureStore, Manifest, ShardWriter, Video
from framebank.store.ledger import Failure, Ledger
from framebank.store.shard import shard_paths
from framebank.store.upkeep.merge import merge_stores, remove_videos, split_store
from framebank.store.upkeep.repair import same_rows
from framebank.store.upkeep.subsets import parts_by
from framebank.store.upkeep.verify import verify_store
from framebank.tests.places import DATA
from framebank.tests.worlds.store import DIM, SPEC, embeddings, make_store, videos

ROWS = {"a": 3, "b": 1, "c": 5, "d": 2, "e": 4}


@pytest.fixture
def folder(tmp_path):
    """Three shards: a and b, c and d, e."""
    return make_store(tmp_path / "store", ROWS)


@pytest.fixture
def other(tmp_path):
    """A with the same rows, and y and z."""
    return make_store(tmp_path / "other", {"a": 3, "y": 2, "z": 1})


def fail(folder, *names):
    for name in names:
        Ledger(folder / "failed.csv").add(Failure(name, f"/videos/{name}.mp4", "why"))


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_copied(out, *sources):
    """Every video of `out` is that of a source, to the bit."""
    assert verify_store(out).faults == ()
    store = FeatureStore(out)
    for source in map(FeatureStore, sources):
        for video_id in set(source) & set(store):
            assert same_rows(store.read_video(video_id), source.read_video(video_id))


def test_merging_into_a_new_store(folder, other, tmp_path):
    fail(folder, "z", "q")
    Manifest((*videos(*ROWS, "z", "q"),)).write(folder / "manifest.csv")
    fail(other, "q", "e")
    out = tmp_path / "out"
    merge = merge_stores([folder, other], out)
    assert (merge.copied, merge.already_there, merge.failed) == (7, 1, 1)
    store = FeatureStore(out)
    assert set(store) == {*ROWS, "y", "z"}
    assert len(shard_paths(out)) == 1  # small shards have become one
    assert [failure.video_id for failure in store.failures] == ["q"]
    assert {v.video_id for v in store.manifest.videos} == {*ROWS, "y", "z", "q"}
    assert store.decoders["c"] == "d2"
    assert_copied(out, folder, other)
    again = merge_stores([folder, other], out)
    assert (again.copied, again.already_there) == (0, 8)
    assert len(shard_paths(out)) == 1


def test_merging_into_a_store_that_is_there(folder, other):
    fail(other, "b")
    before = {path: path.read_bytes() for path in shard_paths(other)}
    merge = merge_stores([folder], other, max_videos=3)
    assert (merge.copied, merge.already_there, merge.failed) == (4, 1, 0)
    assert set(FeatureStore(other)) == {*ROWS, "y", "z"}
    assert FeatureStore(other).failures == []
    assert {path: path.read_bytes() for path in before} == before
    assert_copied(other, folder)


def test_further_streams_are_copied(tmp_path):
    spec = replace(SPEC, streams="frame,regions:3,patch_mean", view="three", sampling="clips")
    one = replace(
        embeddings(6),
        views=np.repeat([0, 1, 2], 2),
        streams={"regions": np.random.default_rng(0).normal(size=(6, 3, DIM)).astype(np.float16)},
        patch_mean=np.ones((3, 2, 4), dtype=np.float16),
    )
    (tmp_path / "s").mkdir()
    with ShardWriter(tmp_path / "s", spec) as writer:
        writer.add("a", one)
    Manifest(videos("a")).write(tmp_path / "s" / "manifest.csv")
    merge_stores([tmp_path / "s"], tmp_path / "out")
    assert same_rows(FeatureStore(tmp_path / "out").read_video("a"), one)


def test_what_cannot_be_merged_is_refused_before_anything_is_written(folder, other, tmp_path):
    out = make_store(tmp_path / "out", {"k": 1})
    unlike = make_store(tmp_path / "unlike", {"u": 1}, spec=replace(SPEC, sampling="segments:8"))
    rows = make_store(tmp_path / "rows", {"b": 2})
    before = content(out)
    for sources, said in (
        ([folder, unlike], "cannot be mixed"),
        ([unlike], "cannot be mixed"),
        ([folder, rows], "'b' has other rows in"),
        ([folder, out], "is a source and also the output"),
    ):
        with pytest.raises(DataError, match=said):
            merge_stores(sources, out)
        assert content(out) == before
    other_label = make_store(tmp_path / "l", {"a": 3})
    Manifest((Video("a", Path("/videos/a.mp4"), label="run"),)).write(other_label / "manifest.csv")
    with pytest.raises(DataError, match="the label of 'a' is 'run', in another of the stores 'a'"):
        merge_stores([folder, other_label], out)
    assert content(out) == before
    with pytest.raises(DataError, match="cannot be mixed"):
        merge_stores([folder, unlike], tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.csv").write_text("video_id,path\na,b\n")
    with pytest.raises(DataError, match=r"a manifest\.csv that does not belong to a store"):
        merge_stores([folder], tmp_path / "mine")
    (tmp_path / "run").mkdir()
    for name in ("checkpoint.safetensors", "recipe.toml"):
        (tmp_path / "run" / name).touch()
    with pytest.raises(DataError, match=r"holds checkpoint\.safetensors, so it is a run or an index"):
        merge_stores([folder], tmp_path / "run")
    parts = {tmp_path / "run": "so it is a run or an index", tmp_path / "run" / "a": "is inside the run"}
    for part, said in parts.items():
        with pytest.raises(DataError, match=said):
            split_store(FeatureStore(folder), {part: FeatureStore(folder).manifest})
    assert len(list((tmp_path / "run").iterdir())) == 2


def test_an_interrupted_merge_is_finished_by_another(folder, other, tmp_path, monkeypatch):
    out, written = tmp_path / "out", []
    add = ShardWriter.add

    def killed(self, video_id, one, **options):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(video_id)
        add(self, video_id, one, **options)

    monkeypatch.setattr(ShardWriter, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        merge_stores([folder, other], out, max_videos=2)
    monkeypatch.undo()
    verdict = verify_store(out)
    assert verdict.faults == ()
    assert len(verdict.to_extract) == 4
    assert merge_stores([folder, other], out).copied == 4
    assert_copied(out, folder, other)
    assert set(FeatureStore(out)) == {*ROWS, "y", "z"}


def test_splitting(folder, tmp_path):
    fail(folder, "q")
    Manifest(videos(*ROWS, "q", "r")).write(folder / "manifest.csv")
    store = FeatureStore(folder)
    parts = {tmp_path / "x": Manifest(videos("e", "a", "q")), tmp_path / "y": Manifest(videos("c", "r"))}
    assert split_store(store, parts) == {tmp_path / "x": 2, tmp_path / "y": 1}
    assert FeatureStore(tmp_path / "x").ids == ("a", "e")
    assert [failure.video_id for failure in FeatureStore(tmp_path / "x").failures] == ["q"]
    assert verify_store(tmp_path / "y").to_extract == ("r",)
    assert_copied(tmp_path / "x", folder)
    assert_copied(tmp_path / "y", folder)
    with pytest.raises(DataError, match=r"y: holds a store or a manifest\.csv already"):
        split_store(store, {tmp_path / "new": Manifest(videos("a")), tmp_path / "y": Manifest(videos("c"))})
    assert not (tmp_path / "new").exists()


KILLED = DATA / "faults" / "split" / "parts"


@pytest.mark.skipif(not KILLED.is_dir(), reason="shared/data/faults is not here")
def test_a_split_that_version_0_1_0_left_half_done_is_finished(tmp_path):
    """Two of its parts are whole, of the third there is the list alone; the rows of that stand for those lost here."""
    shutil.copytree(KILLED, tmp_path / "parts")
    merge_stores([tmp_path / "parts" / name for name in ("Archery", "BasketballDunk")], tmp_path / "whole")
    lists = [Manifest.read_csv(path) for path in sorted(KILLED.glob("*/manifest.csv"))]
    rows = FeatureStore(tmp_path / "whole")
    any_rows = rows[rows.ids[0]]
    with ShardWriter(tmp_path / "whole", rows.spec) as writer:
        for video in lists[2].videos:
            writer.add(video.video_id, any_rows)
    Manifest(tuple(video for one in lists for video in one.videos)).write(tmp_path / "whole" / "manifest.csv")
    whole = FeatureStore(tmp_path / "whole")
    parts = parts_by(whole.manifest, "label", tmp_path / "parts")
    for _ in range(2):  # once more there is nothing left to do
        counts = split_store(whole, parts)
        assert {folder.name: count for folder, count in counts.items()} == {
            one.videos[0].label: len(one) for one in lists
        }
        for folder, manifest in parts.items():
            assert sorted(FeatureStore(folder)) == sorted(video.video_id for video in manifest.videos)
            assert verify_store(folder).faults == ()


def test_what_is_another_part_is_not_gone_on_with(folder, tmp_path):
    store, part = FeatureStore(folder), {tmp_path / "x": Manifest(videos("a", "b"))}
    split_store(store, part)
    with ShardWriter(tmp_path / "x", SPEC) as writer:
        writer.add("c", embeddings(2))  # of no part
    with pytest.raises(DataError, match=r"x: holds a store or a manifest\.csv already"):
        split_store(store, part)
    with pytest.raises(DataError, match=r"y: holds a store or a manifest\.csv already"):
        (tmp_path / "y").mkdir()
        part[tmp_path / "x"].write(tmp_path / "y" / "manifest.csv")  # the user's own: no store's lock is there
        split_store(store, {tmp_path / "y": part[tmp_path / "x"]})


def test_removing(folder):
    fail(folder, "q")
    Manifest(videos(*ROWS, "q", "r")).write(folder / "manifest.csv")
    expected = {name: FeatureStore(folder)[name].data for name in "bd"}
    assert remove_videos(folder, ["a", "c", "e", "q", "r"]) == 3
    store = FeatureStore(folder)
    assert store.ids == ("b", "d")
    assert [v.video_id for v in store.manifest.videos] == ["b", "d"]
    assert store.failures == []
    for name, data in expected.items():
        np.testing.assert_array_equal(store[name].data, data)
    assert verify_store(folder).faults == ()


def test_removing_what_is_not_there_touches_nothing(folder):
    before = content(folder)
    with pytest.raises(DataError, match=r"has no video 'x', 'y'; nothing was removed"):
        remove_videos(folder, ["a", "x", "y"])
    with pytest.raises(DataError, match="would have no videos left"):
        remove_videos(folder, list(ROWS))
    with ShardWriter(folder, SPEC), pytest.raises(DataError, match="another process"):
        remove_videos(folder, ["a"])
    assert content(folder) == before
