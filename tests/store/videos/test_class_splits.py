import json
from collections import Counter
from pathlib import Path

import pytest

from framebank.store import DataError, Manifest, Video
from framebank.store.videos.class_splits import ClassSplits, read_class_splits
from framebank.tests.places import DATA

OFFICIAL = DATA / "labels" / "fewshot"
needs_official = pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official lists are not here")


def manifest_of(labels):
    """Two videos of each label."""
    return Manifest(
        tuple(
            Video(f"{label}-{n}", Path(f"/videos/{label}/{label}-{n}.mp4"), label) for label in labels for n in (0, 1)
        )
    )


@needs_official
@pytest.mark.parametrize(
    ("name", "sizes", "first"),
    [
        ("hmdb51", {"train": 31, "val": 10, "test": 10}, "fencing"),
        ("ucf101", {"train": 70, "val": 10, "test": 21}, "BlowingCandles"),
        ("kinetics100", {"train": 64, "val": 12, "test": 24}, "blasting_sand"),
        ("ssv2_full", {"train": 64, "val": 12, "test": 24}, "test0"),
        ("ssv2_small", {"train": 64, "val": 12, "test": 24}, "test0"),
    ],
)
def test_official_lists(name, sizes, first):
    splits = read_class_splits([OFFICIAL / name])
    assert splits.sizes == sizes
    assert splits.names("test")[0] == first
    assert len(splits.lists) == 3
    alone = read_class_splits([OFFICIAL / name / "test_few_shot.txt"])
    assert alone.sizes == {"test": sizes["test"]}
    assert alone.names("test") == splits.names("test")


@needs_official
def test_official_lists_choose_the_videos():
    listed = (OFFICIAL / "ssv2_small" / "test_few_shot.txt").read_text().split()[:300]
    videos = [Video(row.split("/")[1], Path(f"/ssv2/{row.split('/')[1]}.webm")) for row in listed]
    extra = Video("999999", Path("/ssv2/999999.webm"), "Pushing something")
    found, notes = read_class_splits([OFFICIAL / "ssv2_small" / "test_few_shot.txt"]).over(Manifest((*videos, extra)))
    assert found.split_sizes == {"test": 300, "": 1}
    assert len(found.split("test").labels) == 3  # 100 of each
    assert notes[0] == "test_few_shot.txt: 2400 videos listed for test, 300 of them given"


@needs_official
@pytest.mark.parametrize("shots", [2, 4, 8, 16])
@pytest.mark.parametrize(("name", "classes"), [("ucf", 101), ("hmdb", 51)])
def test_official_lists_of_few_shots_have_as_many_of_each_class(name, classes, shots):
    listed = OFFICIAL.parent / "kshot" / name / f"train1_few_shot_{shots}.txt"
    rows = [line.rsplit(maxsplit=1) for line in listed.read_text().splitlines()]
    videos = [Video(Path(key).stem, Path("/videos") / key, f"class {number}") for key, number in rows]
    found, _ = Manifest((*videos, Video("other", Path("/videos/other.avi"), "class 0"))).with_splits([listed])
    counts = Counter(video.label for video in found.split("train").videos)
    assert len(counts) == classes
    assert set(counts.values()) == {shots}


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_own_formats(tmp_path, suffix):
    file = tmp_path / f"classes.{suffix}"
    split_of = {"wave": "train", "PlayingPiano": "validation", "clap, twice": "test", "rise": "test"}
    rows = "".join(f'"{name}",{split}\n' for name, split in split_of.items())
    file.write_text(json.dumps(split_of) if suffix == "json" else f"class,split\n{rows}")
    splits = read_class_splits([file])
    assert splits.sizes == {"train": 1, "val": 1, "test": 2}
    found, notes = splits.over(manifest_of(["wave", "playing piano", "rise", "fall"]))
    assert {video.label: video.split for video in found.videos} == {
        "wave": "train",
        "playing piano": "val",
        "rise": "test",
        "fall": "",
    }
    assert notes == ["1 of 4 classes have no video: clap, twice"]


def test_a_class_is_in_one_split(tmp_path):
    with pytest.raises(DataError, match="'PlayingPiano' is in two splits"):
        ClassSplits({"PlayingPiano": "train", "Playing Piano": "test"})
    doubled = tmp_path / "classes.json"
    doubled.write_text('{"wave": "train", "wave": "test"}')
    with pytest.raises(DataError, match=r"classes.json: the class 'wave' is in two splits, train and test"):
        read_class_splits([doubled])
    for split in ("train", "test"):
        (tmp_path / f"{split}_few_shot.txt").write_text(
            "".join(f"{split}{number}//videos/{label}/{label}-0.mp4\n" for number, label in enumerate(["wave", split]))
        )
    with pytest.raises(DataError, match="the class 'wave' is in two splits"):
        read_class_splits([tmp_path / "train_few_shot.txt", tmp_path / "test_few_shot.txt"])


def test_labels_of_the_store_are_in_one_split_too(tmp_path):
    """A list of numbers, whose videos have names for their labels."""
    for split, video in (("train", "wave-0"), ("test", "wave-1")):
        (tmp_path / f"{split}.txt").write_text(f"{split}0/{video}\n")
    splits = read_class_splits([tmp_path])
    with pytest.raises(DataError, match="the class 'wave' is in two splits"):
        splits.over(manifest_of(["wave"]))


def test_videos_that_a_list_does_not_name_are_in_no_split(tmp_path):
    (tmp_path / "test.txt").write_text("test0//videos/wave/wave-0.avi\ntest1//videos/clap/clap-1.avi\n")
    found, _ = read_class_splits([tmp_path / "test.txt"]).over(manifest_of(["wave", "clap", "rise"]))
    assert [video.video_id for video in found.split("test").videos] == ["wave-0", "clap-1"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '["wave"]', "is not an object of class to split"),
        ("a.json", '{"wave": ["test"]}', "is not an object of class to split"),
        ("a.json", "{", r"is not JSON \(line 1\)"),
        ("a.json", '{"wave": "new"}', "the split 'new' of the class 'wave' is neither train, val nor test"),
        ("a.csv", "name,part\nwave,test\n", r"no columns class and split \(its columns: name, part\)"),
        ("a.csv", "class,split\n,test\n", "a class has no name"),
        ("a.csv", "class,split\n", "names no class"),
        ("train.txt", "wave/wave-0.mp4 1\n", "is not a list of a class split"),
    ],
)
def test_files_that_are_none(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_class_splits([tmp_path / name])


def test_places_without_a_list(tmp_path):
    with pytest.raises(DataError, match="holds no list of a class split"):
        read_class_splits([tmp_path])
    with pytest.raises(DataError, match="no such split file"):
        read_class_splits([tmp_path / "missing.txt"])
    with pytest.raises(DataError, match="cannot be read as text"):
        read_class_splits([tmp_path / "missing.json"])
    (tmp_path / "a.json").write_text('{"wave": "test"}')
    (tmp_path / "b.txt").write_text("test0/wave\n")
    with pytest.raises(DataError, match=r"a.json: given with other files"):
        read_class_splits([tmp_path / "a.json", tmp_path / "b.txt"])


def test_classes_that_no_video_has():
    with pytest.raises(DataError, match=r"none of the 1 classes of the split \('juggle', ...\) has a video"):
        ClassSplits({"juggle": "test"}).over(manifest_of(["wave"]))
