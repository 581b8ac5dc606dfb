"""Updating an index: it becomes what a new index of its store would be, and keeps what was enrolled."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from framebank.heads.labelling.calibrate import calibrate, held_out, source_of
from framebank.heads.labelling.enroll import enroll
from framebank.heads.labelling.neighbours import index_store
from framebank.heads.labelling.update import update_index
from framebank.store import DataError, FeatureStore, Manifest, ShardWriter, Video
from framebank.store.indexes.enrolment import Calibration
from framebank.store.indexes.index import Index
from framebank.tests.heads.labelling.test_neighbours import run_of
from framebank.tests.store.indexes.test_index import Killed, killed_after
from framebank.tests.store.indexes.test_origin import add, remove, rewrite
from framebank.tests.worlds.heads import SPEC, World, prompts_of, write_world

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def store(tmp_path):
    write_world(tmp_path / "store")
    return tmp_path / "store"


def build(store, folder, *, split="train", run=None, run_path=None):
    features = FeatureStore(store)
    built = index_store(features, features.split(split), run=run, run_path=run_path, device=CPU, split=split)
    built.save(folder)
    return folder


def change(store):
    """One video joins, one leaves, one has another label, one another place, one other rows."""
    kept = FeatureStore(store)["clap-train-1"]
    remove(store, "wave-train-0")
    remove(store, "clap-train-1", listed=True)
    videos = FeatureStore(store).manifest
    with ShardWriter(store, SPEC) as writer:
        writer.add("clap-train-1", replace(kept, data=kept.data + np.float16(2)))
        writer.add("fresh", kept)
    Manifest((*videos.videos, Video("fresh", Path("/fresh.mp4"), "fresh", "train"))).write(store / "manifest.csv")

    def edit(video):
        if video.video_id == "rise-train-2":
            return replace(video, label="soar")
        return replace(video, path=Path("/new/place.mp4")) if video.video_id == "fall-train-3" else video

    rewrite(store, edit)


def test_an_updated_index_is_a_new_one_with_what_was_enrolled(store, tmp_path):
    folder = build(store, tmp_path / "index")
    vector = FeatureStore(store)["unknown"].data[0].astype(np.float32)
    index = enroll(folder, "mine", [(Video("one", Path("/one.mp4")), vector)], index=Index.load(folder))
    index = enroll(folder, "own", [(index.video("wave-train-0"), index.vector("wave-train-0"))], index=index)
    index = calibrate(folder, Calibration(0.2), index=index)
    change(store)
    done = update_index(folder, FeatureStore(store), device=CPU)
    assert (done.difference.joined, done.difference.left) == (("fresh",), ("wave-train-0",))
    assert (done.difference.changed, done.difference.relabelled) == (("clap-train-1",), ("rise-train-2",))
    assert done.difference.moved == {"fall-train-3": "fall-train-3"}
    again, fresh = Index.load(folder), Index.load(build(store, tmp_path / "fresh"))
    np.testing.assert_array_equal(again.own_vectors, fresh.own_vectors)
    assert again.videos[: again.num_own] == fresh.videos
    assert not again.compare()
    # what was enrolled stays bit for bit, and the thresholds are those of enrolling in the new index
    np.testing.assert_array_equal(again.enrolment.vectors, index.enrolment.vectors)
    assert again.enrolment.videos == index.enrolment.videos
    assert again.enrolment.calibration.share == 0.2
    expected = enroll(tmp_path / "fresh", "mine", [(Video("one", Path("/one.mp4")), vector)], index=fresh)
    examples = [(Video("wave-train-0", index.video("wave-train-0").path), index.vector("wave-train-0"))]
    expected = enroll(tmp_path / "fresh", "own", examples, index=expected)
    expected = calibrate(tmp_path / "fresh", Calibration(0.2), index=expected)
    assert again.enrolment.thresholds == pytest.approx(expected.enrolment.thresholds, abs=1e-6)
    assert again.enrolment.nearest == pytest.approx(expected.enrolment.nearest, abs=1e-6)
    assert not update_index(folder, FeatureStore(store), device=CPU).difference


def test_an_index_by_a_run_is_pooled_by_it_again(store, tmp_path):
    world = World(FeatureStore(store), prompts_of())
    run = run_of(world, tmp_path / "run", epochs=1)
    folder = build(store, tmp_path / "index", run=run, run_path=tmp_path / "run")
    change(store)
    update_index(folder, FeatureStore(store), device=CPU)
    fresh = Index.load(build(store, tmp_path / "fresh", run=run, run_path=tmp_path / "run"))
    np.testing.assert_array_equal(Index.load(folder).own_vectors, fresh.own_vectors)
    assert Index.load(folder).made_by == fresh.made_by
    (tmp_path / "run").rename(tmp_path / "moved")
    with pytest.raises(DataError, match="which is not there"):
        update_index(folder, FeatureStore(store), device=CPU)
    found = update_index(folder, FeatureStore(store), run=run, run_path=tmp_path / "moved", device=CPU)
    assert found.index.made_by["run"] == str(tmp_path / "moved")
    other = run_of(world, tmp_path / "other", epochs=1, seed=3)
    with pytest.raises(DataError, match=r"was pooled by the run .*moved, not by .*other as it is now"):
        update_index(folder, FeatureStore(store), run=other, run_path=tmp_path / "other", device=CPU)
    mean = build(store, tmp_path / "mean")
    with pytest.raises(DataError, match="was pooled by the mean of the frames, not by"):
        update_index(mean, FeatureStore(store), run=run, run_path=tmp_path / "moved", device=CPU)


def test_what_cannot_be_updated(store, tmp_path):
    folder = build(store, tmp_path / "index")
    with pytest.raises(DataError, match="was made of the split 'train', not of 'all'"):
        update_index(folder, FeatureStore(store), split="all", device=CPU)
    with pytest.raises(DataError, match="is not an index"):
        update_index(tmp_path / "none", FeatureStore(store), device=CPU)
    write_world(tmp_path / "other", spec=replace(SPEC, sampling="segments:4"))
    with pytest.raises(DataError, match=r"sampling 'segments:8', .* with sampling 'segments:4'; they cannot be mixed"):
        update_index(folder, FeatureStore(tmp_path / "other"), device=CPU)
    write_world(tmp_path / "strange")
    rewrite(tmp_path / "strange", lambda video: replace(video, video_id=f"x{video.video_id}"))
    with pytest.raises(DataError, match=r"has none of the videos of .*, which was made from .*store; make a new index"):
        update_index(folder, FeatureStore(tmp_path / "strange"), device=CPU)
    assert not Index.load(folder).compare()


def test_a_store_that_lies_elsewhere_now(store, tmp_path):
    folder = build(store, tmp_path / "index")
    store.rename(tmp_path / "moved")
    assert Index.load(folder).compare() is None
    assert not update_index(folder, FeatureStore(tmp_path / "moved"), device=CPU).difference
    remove(tmp_path / "moved", "wave-train-0")
    assert Index.load(folder).compare().left == ("wave-train-0",)


def test_an_enrolled_example_that_joins_the_store_keeps_its_place(store, tmp_path):
    folder = build(store, tmp_path / "index")
    vector = FeatureStore(store)["short"].data.astype(np.float32).mean(0)
    enroll(folder, "fox", [(Video("one", Path("/fox/one.mp4")), vector)], index=Index.load(folder))
    add(store, "fox/one", seed=1, like=FeatureStore(store)["short"], label="fox", split="train")
    index = update_index(folder, FeatureStore(store), device=CPU).index
    assert [video.video_id for video in index.videos if "fox" in video.video_id] == ["fox/one", "fox/one-2"]
    assert [hit.enrolled for hit in index.search(index.vector("fox/one")[None], 2)[0]].count(True) == 1


def test_held_out_videos_follow_their_store_and_never_set_thresholds_of_themselves(store, tmp_path):
    folder = build(store, tmp_path / "index")
    features, index = FeatureStore(store), Index.load(folder)
    made = held_out(index, features, features.split("val"), split="val", share=0.5, device=CPU)
    before = calibrate(folder, made, index=index)
    assert source_of(before).num_videos == 12
    remove(store, "wave-val-0")
    rewrite(store, lambda video: replace(video, split="train") if video.video_id == "clap-val-1" else video)
    rewrite(store, lambda video: replace(video, label="soar") if video.video_id == "rise-val-1" else video)
    after = update_index(folder, FeatureStore(store), device=CPU).index
    source = source_of(after)
    assert (source.num_videos, source.share, source.split) == (10, 0.5, "val")
    names = {video.video_id: video.label for video in after.enrolment.calibration.videos}
    assert not {"wave-val-0", "clap-val-1"} & set(names) and names["rise-val-1"] == "soar"
    # of another store, they stay as they are, but for those that are in the index now
    shutil.copytree(store, tmp_path / "other")
    other = FeatureStore(tmp_path / "other")
    calibrate(folder, held_out(after, other, other.split("val"), split="val", share=0.5, device=CPU))
    rewrite(store, lambda video: replace(video, split="train") if video.video_id == "fall-val-0" else video)
    everything = update_index(folder, FeatureStore(store), device=CPU).index
    assert (source_of(everything).num_videos, source_of(everything).store) == (9, str(tmp_path / "other"))
    rewrite(store, lambda video: replace(video, split="train") if video.split == "val" else video)
    with pytest.raises(DataError, match=r"all 9 held-out videos that set the thresholds, .* would be in the index"):
        update_index(folder, FeatureStore(store), device=CPU)
    assert len(everything.videos) == len(Index.load(folder).videos)


def test_a_kill_leaves_the_old_index_or_the_updated_one(store, tmp_path):
    folder = build(store, tmp_path / "index")
    vector = FeatureStore(store)["unknown"].data[0].astype(np.float32)
    enroll(folder, "mine", [(Video("one", Path("/one.mp4")), vector)], index=Index.load(folder))
    num_before = len(Index.load(folder))
    for name in ("wave-train-0", "wave-train-1", "wave-train-2"):
        remove(store, name)
    found = []
    for steps in range(0, 60, 3):
        one = tmp_path / str(steps)
        shutil.copytree(folder, one)
        with pytest.MonkeyPatch.context() as patched:
            killed_after(steps, patched)
            try:
                update_index(one, FeatureStore(store), device=CPU)
                found.append("done")
            except Killed:
                found.append("killed")
        index = Index.load(one)
        assert index.enrolment.labels == ("mine",)
        assert len(index) in (num_before, num_before - 3)
        if found[-1] == "done":
            assert len(index) == num_before - 3
            break
    assert found[0] == "killed" and found[-1] == "done"


def test_an_index_of_an_earlier_version_is_updated(store, tmp_path):
    folder = build(store, tmp_path / "index", split="all")
    old = Index.load(folder)
    old.origin = None
    (tmp_path / "old").mkdir()
    old.save(tmp_path / "old")
    change(store)
    done = update_index(tmp_path / "old", FeatureStore(store), device=CPU)
    assert (done.difference.joined, done.difference.left) == (("fresh",), ("wave-train-0",))
    assert (done.difference.changed, done.difference.relabelled) == (("clap-train-1",), ("rise-train-2",))
    assert done.index.origin.split == "all"
    part = Index.load(build(store, tmp_path / "part"))
    part.origin = None
    part.save(tmp_path / "old part")
    with pytest.raises(DataError, match="does not say of which split it was made; give --split, or --split all"):
        update_index(tmp_path / "old part", FeatureStore(store), device=CPU)
    assert not update_index(tmp_path / "old part", FeatureStore(store), split="train", device=CPU).difference
