"""Holding out: each class is on both sides, no source is, what has a split keeps it, and it can be undone."""

from collections import Counter
from pathlib import Path

import pytest

from framebank.store import DataError, FeatureStore
from framebank.store.upkeep.hold_out import HeldOut, hold_out
from framebank.store.upkeep.relabel import relabel_store, undo_relabel
from framebank.tests.worlds.bank import put, replan, write_store


def clips(folder: Path, label: str, sources: int, each: int = 2) -> Path:
    """Write clips named as those of UCF101."""
    for source in range(1, sources + 1):
        for clip in range(1, each + 1):
            put(folder / label / f"v_{label}_g{source:02}_c{clip:02}.mp4", f"{label} {source} {clip}")
    return folder


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return clips(clips(tmp_path / "videos", "run", 5), "wave", 10)


@pytest.fixture
def bank(tmp_path: Path, videos: Path) -> Path:
    return write_store(tmp_path / "bank", videos)


def splits(bank: Path) -> dict[str, str]:
    return {video.video_id: video.split for video in FeatureStore(bank).manifest.videos}


def test_a_fifth_of_each_class_by_whole_sources(bank: Path) -> None:
    done = hold_out(bank)
    found = splits(bank)
    assert Counter((name[: name.index("/")], split) for name, split in found.items()) == {
        ("run", "test"): 2,
        ("run", "train"): 8,
        ("wave", "test"): 4,
        ("wave", "train"): 16,
    }
    source = {name: split for name, split in found.items() if name.endswith("c01")}
    assert all(found[name.replace("c01", "c02")] == split for name, split in source.items())
    assert set(done.held) == {name for name, split in found.items() if split == "test"}
    assert set(done.train) == {name for name, split in found.items() if split == "train"}
    assert (done.split, done.never, done.unlabelled) == ("test", (), 0)


def test_the_draw_is_of_its_seed(bank: Path) -> None:
    first = hold_out(bank).held
    undo_relabel(bank)
    assert set(splits(bank).values()) == {""}
    assert hold_out(bank).held == first
    undo_relabel(bank)
    assert hold_out(bank, seed=1).held != first


def test_videos_that_joined_are_divided_and_the_others_stay(bank: Path, videos: Path) -> None:
    hold_out(bank)
    before = splits(bank)
    held = next(name for name, split in before.items() if split == "test" and name.startswith("run"))
    put(videos / f"{held[:-2]}03.mp4", "a third clip of a source that is held out")
    clips(videos, "sit", 5, each=1)
    replan(bank, videos)
    listed = {video.video_id: video for video in FeatureStore(bank).manifest.videos}
    assert len(listed) == len(before) + 6, "the plan lists what joined"
    done = hold_out(bank)
    after = splits(bank)
    assert {name: after[name] for name in before} == before
    assert after[f"{held[:-2]}03"] == "test" and sum(name.startswith("sit") for name in done.held) == 1
    assert hold_out(bank) == HeldOut("test", (), (), (), (), 0)


def test_a_class_with_videos_held_out_before_is_not_told_of(bank: Path, videos: Path) -> None:
    hold_out(bank)
    clips(clips(videos, "run", 6), "lie", 1)
    replan(bank, videos)
    done = hold_out(bank)
    assert (len(done.held), len(done.train), done.never) == (0, 4, ("lie",))


def test_a_store_that_keeps_another_name_of_train_gets_no_second_one(bank: Path) -> None:
    names = sorted(splits(bank))
    relabel_store(bank, {(name, "split"): "training" for name in names[:2]})
    with pytest.raises(DataError, match=r"'training'; expected another name"):
        hold_out(bank, split="training")
    done = hold_out(bank)
    assert set(splits(bank).values()) == {"training", "test"} and len(done.train) + len(done.held) == len(names) - 2


def test_what_has_a_split_or_no_label_is_left_alone(bank: Path) -> None:
    names = sorted(splits(bank))
    relabel_store(bank, {(names[0], "split"): "val", (names[-1], "label"): ""})
    done = hold_out(bank, fraction=0.5, split="Testing")
    found = splits(bank)
    assert done.split == "test" and done.unlabelled == 1 and done.elsewhere == (names[1],)
    assert (found[names[0]], found[names[1]], found[names[-1]]) == ("val", "val", "")  # one source


def test_sources_stay_whole_where_only_a_video_with_a_split_has_several_labels(bank: Path) -> None:
    names = sorted(splits(bank))
    relabel_store(bank, {(names[-1], "label"): "run;wave", (names[-1], "split"): "val"})
    relabel_store(bank, {(name, "label"): "sit" for name in names[:-2] if name.endswith("c02")})
    hold_out(bank, fraction=0.4)
    found = splits(bank)
    assert all(found[name] == found[name.replace("c01", "c02")] for name in names if name.endswith("c01"))
    assert set(found.values()) == {"train", "test", "val"}


def test_a_class_with_few_videos_trains(tmp_path: Path) -> None:
    few = clips(clips(clips(tmp_path / "few", "run", 5, each=1), "sit", 4, each=1), "lie", 1, each=6)
    bank = write_store(tmp_path / "bank", few)
    done = hold_out(bank)
    assert (len(done.held), done.never) == (1, ("lie", "sit"))


def test_what_cannot_be_held_out_is_refused(tmp_path: Path, bank: Path) -> None:
    before = (bank / "manifest.csv").read_bytes()
    for fraction in (0.0, 1.0, float("nan"), 20.0):
        with pytest.raises(DataError, match=r"expected a number between 0 and 1, such as 0\.2"):
            hold_out(bank, fraction=fraction)
    for split in ("train", "training", "all", " "):
        with pytest.raises(DataError, match=r"expected another name, such as 'test'"):
            hold_out(bank, split=split)
    assert (bank / "manifest.csv").read_bytes() == before
    small = write_store(tmp_path / "small", clips(tmp_path / "of four", "run", 4, each=1))
    with pytest.raises(DataError, match=r"none of the 4 labelled videos without a split can be held out"):
        hold_out(small)
    relabel_store(small, {(name, "split"): "train" for name in splits(small)})
    with pytest.raises(DataError, match=r"each labelled video has a split already \(train\); `framebank store relabel"):
        hold_out(small)
    relabel_store(small, {(name, "label"): "" for name in splits(small)})
    relabel_store(small, {(name, "split"): "" for name in splits(small)})
    with pytest.raises(DataError, match=r"no video has a label either: `framebank store relabel .* FILE\.csv` gives"):
        FeatureStore(small).split("train")
    with pytest.raises(DataError, match=r"none of its 4 videos has a label; `framebank store relabel .* FILE\.csv`"):
        hold_out(small)
