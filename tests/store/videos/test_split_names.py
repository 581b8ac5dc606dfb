"""The name of a split means the same wherever a user writes it: in lists, by hand, and in options."""

from pathlib import Path
from typing import Any

import pytest

from framebank.heads.training.run import Run
from framebank.store import FeatureStore, Manifest
from framebank.store.errors import DataWarning
from framebank.store.upkeep.relabel import read_settings, read_values
from framebank.store.videos.selection import where
from framebank.store.videos.split_names import split_among, usual_splits
from framebank.store.videos.video import Video
from framebank.tests.worlds.bank import fill_from, put

OLD = Manifest((Video("a", Path("/a.mp4"), "run", "training"), Video("b", Path("/b.mp4"), "run", "validation")))


@pytest.mark.filterwarnings("ignore::framebank.store.errors.DataWarning")
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("validation", "VALIDATION"), ("val", "val")),
        (("val", "VALIDATION", "validation"), ("val", "validation", "validation")),
        (("dev", "Valid", "TRAIN", "fold 1", ""), ("dev", "valid", "train", "fold 1", "")),
        ((" Testing ",), ("test",)),
    ],
)
def test_names_of_a_list(names, expected):
    assert usual_splits(names, where="m.csv") == dict(zip(names, expected, strict=True))


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("validation", ("train", "val"), "val"),
        ("val", ("train", "validation"), "validation"),
        ("validation", ("val", "validation"), "validation"),
        ("valid", ("val", "validation"), "valid"),  # may be either
        ("fold 2", ("fold 1",), "fold 2"),
    ],
)
def test_a_name_in_a_store(name, there, expected):
    assert split_among(name, there) == expected


def test_a_split_by_hand_is_read_as_in_a_list_but_for_what_the_store_has(tmp_path):
    new = Manifest((Video("a", Path("/a.mp4"), "run", "train"),))
    with pytest.warns(DataWarning, match="--set: the split 'Validation' is read as 'val'"):
        assert read_settings(["a=Validation"], new, column="split") == {("a", "split"): "val"}
    assert read_settings(["a=Validation"], new) == {("a", "label"): "Validation"}  # a label is no split
    assert read_settings(["a=validation"], OLD, column="split") == {("a", "split"): "validation"}
    assert read_settings(["b=val"], OLD, column="split") == {("b", "split"): "val"}  # this renames it
    (tmp_path / "s.csv").write_text("video_id,split\na,val\nb,dev\n")
    assert read_values(tmp_path / "s.csv", OLD)[0] == {("a", "split"): "val", ("b", "split"): "dev"}
    assert where(OLD, {"split": "dev"}) == ["b"]


def test_a_store_with_an_old_name_goes_on_with_it(tmp_path):
    rows = "".join(f"{name},{put(tmp_path / f'{name}.mp4', name)},run,validation\n" for name in "ab")
    head = "video_id,path,label,split\n"
    (tmp_path / "m.csv").write_text(head + rows.replace("validation", "val"))
    fill_from(tmp_path / "s", tmp_path / "m.csv")
    (tmp_path / "s/manifest.csv").write_text(head + rows)  # as version 0.1.0 kept it
    (tmp_path / "m.csv").write_text(f"{head}{rows}c,{put(tmp_path / 'c.mp4', 'c')},run,validation\n")
    with pytest.warns(DataWarning, match="s: has its own names of splits: 'val' stays 'validation'; `framebank store "):
        fill_from(tmp_path / "s", tmp_path / "m.csv")
    store = FeatureStore(tmp_path / "s")
    assert store.manifest.split_sizes == {"validation": 3}
    assert store.split("val").ids == store.split("Dev").ids == ["a", "b", "c"]


def test_options_take_the_names_that_a_csv_may_have(framebank: Any, store: Path, tmp_path: Path) -> None:
    options = ("--head", "mean", "--classifier", "linear", "--epochs", 1)
    framebank("train", store, tmp_path / "run", "--split", "Training", "--val-split", "testing", *options)
    known = Run.read(tmp_path / "run").trained_on["split"]  # a later check of the held-out split compares it
    assert known == "train"
    framebank("temperature", tmp_path / "run", "--split", "training", exit_code=1)
    assert "listed in split test" in framebank("evaluate", tmp_path / "run", "--split", "testing").stdout
    told = framebank("zeroshot", store, "--split", "valid", exit_code=1).stderr
    assert "no video is in the split 'valid'; the splits are: test (16), train (48), and 'all'" in told


def test_no_two_splits_of_a_list_become_one_in_a_store_of_an_old_name():
    new = Manifest(
        tuple(Video(name, Path(f"/{name}.mp4"), "run", split) for name, split in (("a", "val"), ("b", "dev")))
    )
    assert [video.split for video in new.with_splits_of(OLD, where="m.csv").videos] == ["val", "dev"]


def test_two_names_of_one_split_are_told(tmp_path):
    with pytest.warns(DataWarning, match="'dev' stays, beside another name of 'val' and 'validation' stays"):
        usual_splits(("validation", "dev"), where="m.csv")
