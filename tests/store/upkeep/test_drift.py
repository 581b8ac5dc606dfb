"""How a store follows its folder: what changed, moved, is gone, and what was set by hand."""

import shutil

import pytest

from framebank.library.drift import drift_lines
from framebank.store import DataError, FeatureStore
from framebank.store.upkeep.history import History
from framebank.store.upkeep.known_files import read_learned
from framebank.store.upkeep.merge import merge_stores, remove_videos, split_store
from framebank.store.upkeep.relabel import relabel_store, undo_relabel
from framebank.store.upkeep.status import drift_report
from framebank.store.upkeep.verify import verify_store
from framebank.tests.worlds.bank import contents, put, replan, write_store

ALL = ["A", "B", "C", "DD", "EEE", "F"]


@pytest.fixture
def videos(tmp_path):
    """Four files: run/a, run/b, walk/c and walk/d, with A, B, C and DD in them."""
    for name, content in {"run/a": "A", "run/b": "B", "walk/c": "C", "walk/d": "DD"}.items():
        put(tmp_path / "videos" / f"{name}.mp4", content)
    return tmp_path / "videos"


@pytest.fixture
def folder(tmp_path, videos):
    return write_store(tmp_path / "bank", videos)


def names(plan):
    drift = plan.drift
    return [sorted(drift.changed), dict(drift.moved), sorted(drift.gone), [video.video_id for video in plan.missing]]


def labels(folder):
    return {video.video_id: video.label for video in FeatureStore(folder).manifest.videos}


def test_nothing_happened(folder, videos):
    assert names(replan(folder, videos)) == [[], {}, [], []]
    assert not (folder / "sources.csv").exists() and not (folder / "history.csv").exists()


def test_touched_is_not_changed_and_is_read_once(folder, videos, monkeypatch):
    put(videos / "run/a.mp4", "A", seconds=1_500_000_000)
    assert names(replan(folder, videos)) == [[], {}, [], []]
    assert read_learned(folder).keys() == {"run/a"}
    monkeypatch.setattr("framebank.store.upkeep.drift.identify_quietly", None)
    assert names(replan(folder, videos)) == [[], {}, [], []]


@pytest.mark.parametrize("content", ["F", "longer than before", ""])
def test_changed_is_told_each_time_and_keeps_its_rows(folder, videos, content):
    put(videos / "run/a.mp4", content, seconds=1_500_000_000)
    for _ in range(2):
        assert names(replan(folder, videos)) == [["run/a"], {}, [], []]
    assert contents(folder, ALL)["run/a"] == "A"
    again = replan(folder, videos, refresh=True)
    assert [video.video_id for video in again.refreshed] == ["run/a"]
    assert contents(folder, ALL)["run/a"] == "A"  # until the new rows are there


@pytest.mark.parametrize("target", ["run/new.mp4", "walk/a.mp4", "deep/er/a.mp4", "a.mp4"])
def test_moved_keeps_its_rows_and_gets_the_label_of_the_new_place(folder, videos, target):
    (videos / target).parent.mkdir(parents=True, exist_ok=True)
    (videos / "run/a.mp4").rename(videos / target)
    new = target.removesuffix(".mp4")
    assert names(replan(folder, videos)) == [[], {"run/a": new}, [], []]
    assert contents(folder, ALL) == dict(sorted({new: "A", "run/b": "B", "walk/c": "C", "walk/d": "DD"}.items()))
    assert labels(folder)[new] == (target.split("/")[-2] if "/" in target else "")
    assert verify_store(folder).faults == () and verify_store(folder).to_extract == ()
    assert names(replan(folder, videos)) == [[], {}, [], []]


def test_a_class_folder_and_the_whole_folder_renamed(folder, videos):
    (videos / "run").rename(videos / "jog")
    assert names(replan(folder, videos))[1] == {"run/a": "jog/a", "run/b": "jog/b"}
    assert labels(folder) == {"jog/a": "jog", "jog/b": "jog", "walk/c": "walk", "walk/d": "walk"}
    videos.rename(videos.with_name("clips"))
    assert names(replan(folder, videos.with_name("clips"))) == [[], {}, [], []]
    assert all("clips" in str(video.path) for video in FeatureStore(folder).manifest.videos)


def test_two_files_that_changed_names(folder, videos):
    for old, new in (("run/a", "x"), ("run/b", "run/a"), ("x", "run/b")):
        (videos / f"{old}.mp4").rename(videos / f"{new}.mp4")
    put(videos / "run/a.mp4", "B", seconds=1_500_000_000)
    put(videos / "run/b.mp4", "A", seconds=1_500_000_000)
    assert names(replan(folder, videos)) == [[], {"run/a": "run/b", "run/b": "run/a"}, [], []]
    assert contents(folder, ALL) == {"run/a": "B", "run/b": "A", "walk/c": "C", "walk/d": "DD"}
    assert verify_store(folder).faults == ()


def test_a_new_file_under_the_name_of_one_that_moved(folder, videos):
    (videos / "run/a.mp4").rename(videos / "run/old.mp4")
    put(videos / "run/a.mp4", "EEE")
    assert names(replan(folder, videos)) == [[], {"run/a": "run/old"}, [], ["run/a"]]
    assert contents(folder, ALL) == {"run/b": "B", "run/old": "A", "walk/c": "C", "walk/d": "DD"}


def test_one_moved_over_another(folder, videos):
    (videos / "run/b.mp4").replace(videos / "run/a.mp4")
    put(videos / "run/a.mp4", "B", seconds=1_500_000_000)
    assert names(replan(folder, videos)) == [["run/a"], {}, ["run/b"], []]
    assert contents(folder, ALL)["run/a"] == "A"


def test_a_copy_is_a_video_of_its_own(folder, videos):
    shutil.copy2(videos / "run/a.mp4", videos / "run/copy.mp4")
    assert names(replan(folder, videos)) == [[], {}, [], ["run/copy"]]


def test_gone_stays_until_it_is_pruned(folder, videos):
    (videos / "walk/d.mp4").unlink()
    for _ in range(2):
        assert names(replan(folder, videos)) == [[], {}, ["walk/d"], []]
        assert "walk/d" in FeatureStore(folder)
    assert replan(folder, videos, prune=True).pruned == ("walk/d",)
    assert sorted(FeatureStore(folder)) == ["run/a", "run/b", "walk/c"] == sorted(labels(folder))
    assert names(replan(folder, videos)) == [[], {}, [], []]
    shutil.rmtree(videos / "run")
    (videos / "walk/c.mp4").unlink()
    put(videos / "walk/f.mp4", "F")
    assert replan(folder, videos, prune=True).pruned == ("run/a", "run/b", "walk/c")  # whole shards go
    assert verify_store(folder).to_extract == ("walk/f",)


@pytest.mark.parametrize("lost", ["run", "."])
def test_what_lay_in_a_folder_that_is_empty_now_stays(folder, videos, tmp_path, lost):
    """The folder of a disk that is not mounted is empty."""
    listed = tmp_path / "listed.csv"
    listed.write_text("video_id,path\n" + "".join(f"{one},videos/{one}.mp4\n" for one in ("run/a", "run/b")))
    given = videos if lost == "run" else listed
    shutil.rmtree(videos / lost)
    (videos / lost).mkdir()
    for _ in range(2):
        plan = replan(folder, given, prune=True)
        assert plan.drift.in_empty_folders == plan.drift.gone == ("run/a", "run/b") and not plan.pruned
        assert {"run/a", "run/b"} <= set(FeatureStore(folder))
    assert "gone: 2, their folder is empty" in drift_lines(drift_report(plan)["drift"], refreshed=False, pruned=True)[0]
    (videos / lost).rmdir()
    if lost == "run":
        assert replan(folder, videos, prune=True).pruned == ("run/a", "run/b")


def test_two_folders_in_one_store_are_both_kept(folder, videos, tmp_path):
    put(tmp_path / "more" / "sit" / "e.mp4", "EEE")
    assert names(replan(folder, tmp_path / "more", prune=True)) == [[], {}, [], ["sit/e"]]
    assert sorted(labels(folder)) == ["run/a", "run/b", "sit/e", "walk/c", "walk/d"]
    shutil.rmtree(videos / "run")
    assert names(replan(folder, tmp_path / "more", prune=True))[2] == []


def test_a_new_folder_that_reuses_a_name_does_not_get_the_rows_as_its_own(folder, videos, tmp_path):
    shutil.rmtree(videos)
    put(tmp_path / "other" / "run" / "a.mp4", "F")
    assert names(replan(folder, tmp_path / "other")) == [["run/a"], {}, [], []]
    listed = {video.video_id: video.path for video in FeatureStore(folder).manifest.videos}
    assert listed["run/a"] == videos / "run/a.mp4"  # what the rows are of
    again = replan(folder, tmp_path / "other", refresh=True)
    assert [video.path for video in again.refreshed] == [tmp_path / "other/run/a.mp4"]


def test_a_second_suffix_of_one_stem_leaves_the_first_its_id(folder, videos):
    from framebank.store import Manifest, Video
    from framebank.store.upkeep.plan import Choices, carry_out, plan_extraction
    from framebank.tests.worlds.store import SPEC

    put(videos / "run/a.avi", "EEE")
    given = [Video("run/a.mp4", videos / "run/a.mp4", "run"), Video("run/a.avi", videos / "run/a.avi", "run")]
    plan = plan_extraction(folder, Manifest(tuple(given)), SPEC, Choices(roots=(videos,)))
    assert (plan.drift.moved, [v.video_id for v in plan.missing]) == ({}, ["run/a.avi"])
    carry_out(folder, plan)
    assert contents(folder, ALL)["run/a"] == "A"


def test_a_store_of_an_earlier_version_learns_and_claims_nothing(tmp_path, videos):
    folder = write_store(tmp_path / "old", videos, identified=False)
    put(videos / "run/b.mp4", "F", seconds=3_000_000_000)  # newer than the rows
    plan = replan(folder, videos)
    assert names(plan) == [[], {}, [], []]
    assert plan.drift.unsure == ("run/b",)
    assert sorted(read_learned(folder)) == ["run/a", "walk/c", "walk/d"]
    (videos / "run/a.mp4").rename(videos / "walk/a.mp4")
    put(videos / "walk/c.mp4", "changed", seconds=3_000_000_000)
    plan = replan(folder, videos)
    assert names(plan) == [["walk/c"], {"run/a": "walk/a"}, [], []]
    assert sorted(read_learned(folder)) == ["walk/a", "walk/c", "walk/d"]
    assert [video.video_id for video in replan(folder, videos, refresh=True).refreshed] == ["run/b", "walk/c"]


def test_set_by_hand_stays_and_the_difference_is_told(folder, videos):
    relabel_store(folder, {("run/a", "label"): "jump", ("run/a", "split"): "test", ("walk/c", "label"): "walk"})
    assert History.read(folder).by_hand == {("run/a", "label"): "jump", ("run/a", "split"): "test"}
    plan = replan(folder, videos)
    assert dict(plan.by_hand) == {("run/a", "label"): "run"}
    (videos / "run/a.mp4").rename(videos / "walk/a.mp4")
    assert dict(replan(folder, videos).by_hand) == {("walk/a", "label"): "walk"}
    assert labels(folder)["walk/a"] == "jump"
    assert undo_relabel(folder).moved == ("walk/a",)
    assert labels(folder)["walk/a"] == "run"  # as it was, and as the folder says when it is given again
    replan(folder, videos)
    assert labels(folder)["walk/a"] == "walk"


def test_undo_goes_back_one_change_at_a_time(folder):
    before = labels(folder)
    for value in ("x", "y"):
        relabel_store(folder, {("run/a", "label"): value, ("run/b", "label"): value})
    undone = undo_relabel(folder)
    assert (undone.now, undone.moved) == ({("run/a", "label"): "x", ("run/b", "label"): "x"}, ())
    relabel_store(folder, {("run/a", "label"): "z"})
    assert labels(folder)["run/a"] == "z"
    undo_relabel(folder)
    assert (labels(folder)["run/a"], History.read(folder).by_hand["run/a", "label"]) == ("x", "x")
    undo_relabel(folder)
    assert labels(folder) == before and History.read(folder).by_hand == {}
    with pytest.raises(DataError, match="there is no change by hand left to undo"):
        undo_relabel(folder)
    assert len(History.read(folder).changes) == 2 + 2 + 2 + 1 + 1 + 2


def test_a_removed_video_takes_what_was_set_by_hand_with_it(folder, videos):
    relabel_store(folder, {("run/a", "label"): "jump"})
    remove_videos(folder, ["run/a"])
    assert History.read(folder).by_hand == {}
    assert names(replan(folder, videos)) == [[], {}, [], ["run/a"]]
    assert labels(folder)["run/a"] == "run"


def test_joined_and_divided_stores_keep_identities_and_what_was_set_by_hand(folder, videos, tmp_path):
    relabel_store(folder, {("run/a", "label"): "jump", ("walk/c", "label"): "stroll"})
    merge_stores([folder], tmp_path / "whole")
    store = FeatureStore(folder)
    split_store(store, {tmp_path / "part": store.manifest})
    for other in (tmp_path / "whole", tmp_path / "part"):
        assert FeatureStore(other).sources == store.sources
        replan(other, videos)
        assert labels(other) == {"run/a": "jump", "run/b": "run", "walk/c": "stroll", "walk/d": "walk"}


@pytest.mark.parametrize("moment", range(12))
def test_killed_while_it_renames_and_prunes_all_is_done_or_nothing(folder, videos, moment, monkeypatch):
    (videos / "run").rename(videos / "jog")
    (videos / "walk/d.mp4").unlink()
    relabel_store(folder, {("run/a", "label"): "jump"})
    steps = iter(range(100))

    def dying(path, target, *, do):
        if next(steps) == moment:
            raise KeyboardInterrupt
        return do(path, target)

    from pathlib import Path

    for name in ("rename", "replace"):
        do = getattr(Path, name)
        monkeypatch.setattr(Path, name, lambda path, target, do=do: dying(path, target, do=do))
    try:
        replan(folder, videos, prune=True)
        killed = False
    except KeyboardInterrupt:
        killed = True
    monkeypatch.undo()
    before = {"run/a": "A", "run/b": "B", "walk/c": "C", "walk/d": "DD"}
    after = {"jog/a": "A", "jog/b": "B", "walk/c": "C"}
    found = contents(folder, ALL)
    assert found in (before, after) and (killed or found == after)
    assert set(labels(folder)) == set(found)
    assert labels(folder).get("run/a", labels(folder).get("jog/a")) == "jump"
    replan(folder, videos, prune=True)
    assert contents(folder, ALL) == after and labels(folder)["jog/a"] == "jump"
    assert verify_store(folder).faults == ()
    assert not [path for path in folder.iterdir() if path.name.startswith(".framebank-next")]
