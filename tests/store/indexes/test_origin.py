import json
import os
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from framebank.store import DataError, FeatureStore, Manifest, ShardWriter, Video
from framebank.store.digest import digest
from framebank.store.indexes.index import Index
from framebank.store.indexes.origin import Difference, Origin
from framebank.store.reader import ShardReader
from framebank.store.shard import shard_paths
from framebank.store.upkeep.rewrite import drop_videos
from framebank.tests.worlds.store import DIM, SPEC, embeddings, make_store

ROWS = {"apple": 3, "bee": 5, "cat": 2, "dog": 4, "elk": 1}


def index_of(store, *, split="all", left_out=None):
    """An index of the first row of each video."""
    features = FeatureStore(store)
    videos = [video for video in features.split(split).videos if video.video_id in features]
    vectors = np.stack([features[video.video_id].data[0] for video in videos])
    origin = Origin.of(features, videos, split=split, left_out=left_out or {})
    return Index(vectors, videos, spec=SPEC, made_by={"head": "mean"}, origin=origin)


def rewrite(store, change):
    """Change the rows of the manifest: `change` gives another video, or None for one that goes."""
    found = [change(video) for video in FeatureStore(store).manifest.videos]
    Manifest(tuple(video for video in found if video)).write(store / "manifest.csv")


def add(store, video_id, *, seed, like=None, label="new", split=""):
    with ShardWriter(store, FeatureStore(store).spec) as writer:
        writer.add(video_id, like or embeddings(3, seed=seed))
    videos = FeatureStore(store).manifest.videos
    Manifest((*videos, Video(video_id, Path(f"/videos/{video_id}.mp4"), label, split))).write(store / "manifest.csv")


def remove(store, video_id, *, listed=False):
    for path in shard_paths(store):
        with ShardReader(path) as reader:
            ids = reader.contents.ids
        if video_id in ids:
            drop_videos(path, [ids.index(video_id)])
    if not listed:
        rewrite(store, lambda video: video if video.video_id != video_id else None)


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "store", ROWS)


def test_nothing_differs_and_nothing_is_read(store, monkeypatch):
    index = index_of(store)
    monkeypatch.setattr("framebank.store.indexes.origin.ShardReader", None)
    monkeypatch.setattr("framebank.store.indexes.origin.read_text", None)
    assert index.compare() == Difference(store)
    assert str(index.compare()) == "no video joined, left or changed"


def test_videos_that_joined_left_changed_and_were_relabelled(store):
    index = index_of(store)
    add(store, "fox", seed=7)
    remove(store, "bee")
    remove(store, "dog", listed=True)  # its rows alone
    kept = FeatureStore(store)["cat"]
    remove(store, "cat", listed=True)
    with ShardWriter(store, SPEC) as writer:
        writer.add("cat", replace(kept, data=kept.data + 1))
    rewrite(store, lambda video: replace(video, label="pome") if video.video_id == "apple" else video)
    rewrite(store, lambda video: replace(video, path=Path("/other/elk.mp4")) if video.video_id == "elk" else video)
    found = index.compare()
    assert (found.joined, found.left, found.changed) == (("fox",), ("bee", "dog"), ("cat",))
    assert (found.relabelled, found.moved) == (("apple",), {"elk": "elk"})
    assert str(found) == "1 video joined, 2 left, 1 changed, 1 moved, 1 relabelled"
    followed = index.following(found)
    hits = followed.search(index.vector("bee")[None], 99)[0]
    assert {hit.video_id for hit in hits} == {"apple", "cat", "elk"}
    assert followed.video("apple").label == "pome"
    assert followed.video("elk").path == Path("/other/elk.mp4")
    np.testing.assert_array_equal(followed.vector("elk"), index.vector("elk"))


def test_shards_that_were_written_again_with_the_same_rows_change_nothing(store):
    index = index_of(store)
    for path in shard_paths(store):
        os.utime(path)
    assert index.compare() == Difference(store)
    remove(store, "elk")
    assert index.compare().counts == {"joined": 0, "left": 1, "changed": 0, "moved": 0, "relabelled": 0}


def test_a_video_under_another_id_moved(store):
    index = index_of(store)
    kept = FeatureStore(store)["bee"]
    remove(store, "bee")
    add(store, "insects/bee", seed=0, like=kept, label="insects")
    found = index.compare()
    assert (found.moved, found.relabelled, found.joined, found.left) == ({"bee": "insects/bee"}, ("bee",), (), ())
    (hit,) = index.following(found).search(index.vector("bee")[None], 1)[0]
    assert (hit.video_id, hit.label, hit.path) == ("insects/bee", "insects", Path("/videos/insects/bee.mp4"))


def test_other_splits_are_none_of_its_business_until_a_video_changes_to_its_own(store):
    part = {"apple": "train", "bee": "train", "cat": "test"}
    rewrite(store, lambda video: replace(video, split=part.get(video.video_id, "val")))
    index = index_of(store, split="train")
    add(store, "fox", seed=7, split="test")
    assert index.compare() == Difference(store)
    add(store, "gnu", seed=8, split="train")
    rewrite(store, lambda video: replace(video, split="train") if video.video_id == "cat" else video)
    rewrite(store, lambda video: replace(video, split="test") if video.video_id == "apple" else video)
    found = index.compare()
    assert (set(found.joined), found.left, found.relabelled) == ({"gnu", "cat"}, ("apple",), ())


def test_a_video_that_was_never_embedded_did_not_join(store):
    rewrite(store, lambda video: video)
    videos = FeatureStore(store).manifest.videos
    lost = Video("lost", Path("/videos/lost.mp4"), "l")
    Manifest((*videos, lost)).write(store / "manifest.csv")
    index = index_of(store, left_out={"lost": "not in the store"})
    assert index.compare() == Difference(store)
    Manifest((*videos, lost, Video("later", Path("/videos/later.mp4"), "l"))).write(store / "manifest.csv")
    assert not index.compare()
    with ShardWriter(store, SPEC) as writer:
        writer.add("lost", embeddings(2, seed=9))
    assert index.compare().joined == ("lost",)


def test_a_store_that_is_not_at_hand_is_no_error(store, tmp_path):
    index = index_of(store)
    index.save(tmp_path / "index")
    (store / "shard-00000.h5").write_bytes(b"no")
    assert Index.load(tmp_path / "index").compare() is None
    (store / "manifest.csv").write_bytes(b"\xff\xfe no")
    assert Index.load(tmp_path / "index").compare() is None
    store.rename(tmp_path / "elsewhere")
    assert Index.load(tmp_path / "index").compare() is None


def test_an_origin_is_kept_with_the_index(store, tmp_path):
    index = index_of(store)
    index.save(tmp_path / "index")
    assert Index.load(tmp_path / "index").compare() == Difference(store)
    remove(store, "cat")
    assert Index.load(tmp_path / "index").compare() == index.compare() == Difference(store, left=("cat",))
    about = json.loads((tmp_path / "index" / "spec.json").read_text())
    assert (about["version"], about["origin"]["split"]) == (2, "all")
    (tmp_path / "index" / "spec.json").write_text(json.dumps({**about, "version": 5}))
    with pytest.raises(DataError, match="is an index of version 5, this framebank reads those up to 4"):
        Index.load(tmp_path / "index")


def old_index(folder, store, names, *, zeros=()):
    """An index as version 0.1.0 wrote it, where a vector of zeros stayed one."""
    folder.mkdir()
    rows = [video for video in FeatureStore(store).manifest.videos if video.video_id in names]
    made = Index(np.eye(DIM)[: len(rows)], rows, spec=SPEC, made_by={})
    made.save(folder)
    vectors = np.eye(DIM, dtype=np.float32)[: len(rows)]
    vectors[[list(names).index(name) for name in zeros]] = 0
    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors)
    faiss.write_index(flat, str(folder / "index.faiss"))
    text = "".join(f"{v.video_id},{v.path},{v.label},{v.split}\n" for v in rows)
    (folder / "ids.csv").write_text("video_id,path,label,split\n" + text)
    lines = "\n".join(f"{v.video_id}\t{v.label}\t{v.split}" for v in rows)
    name = digest({"vectors": vectors, "videos": np.frombuffer(lines.encode(), dtype=np.uint8)})
    made_by = {"head": "mean", "classifier": "text", "run": None, "run_hash": None, "store": str(store)}
    (folder / "spec.json").write_text(json.dumps({"spec": SPEC.to_dict(), "made_by": made_by, "digest": name}))
    return folder


def test_an_index_of_an_earlier_version_knows_what_left(store, tmp_path):
    folder = old_index(tmp_path / "index", store, list(ROWS))
    assert not Index.load(folder).compare()
    remove(store, "cat")
    rewrite(store, lambda video: replace(video, label="pome") if video.video_id == "apple" else video)
    found = Index.load(folder).compare()
    assert (found.left, found.relabelled, found.changed, found.joined) == (("cat",), ("apple",), (), ())


def test_zeros_in_an_index_of_an_earlier_version_are_left_out(store, tmp_path):
    index = Index.load(old_index(tmp_path / "index", store, list(ROWS), zeros=["cat"]))
    assert [video.video_id for video in index.videos] == ["apple", "bee", "dog", "elk"]
    assert len(index.search(np.ones((1, DIM)), 9)[0]) == 4
