import json
from pathlib import Path

import pytest

from framebank.store import DataError, LabelSet, Manifest, Video
from framebank.store.videos.lists import (
    ListFile,
    format_of,
    is_class_list,
    read_charades_segments,
    read_list,
    split_in_name,
)
from framebank.store.videos.splits import charades_segments
from framebank.tests.places import DATA

OFFICIAL = DATA / "labels"
CLASS_LISTS = {
    **dict.fromkeys(("activitynet_label_map.txt",), 200),
    "diving48_label_map.txt": 48,
    "hmdb51_label_map.txt": 51,
    "ucf101_label_map.txt": 101,
    "kinetics_label_map_k400.txt": 400,
    "kinetics_label_map_k600.txt": 600,
    "kinetics_label_map_k700.txt": 700,
    "sthv1_label_map.txt": 174,
    "sthv2_label_map.txt": 174,
    "classInd.txt": 101,
    "Charades_v1_classes.txt": 157,
    "ucf_101_labels.csv": 101,
    "ucf_101_base_labels.csv": 51,
    "ucf_101_novel_labels.csv": 50,
    "hmdb_51_labels.csv": 51,
    "hmdb_51_base_labels.csv": 26,
    "hmdb_51_novel_labels.csv": 25,
    **dict.fromkeys(("ZS_split1_K600.csv", "ZS_split2_K600.csv", "ZS_split3_K600.csv"), 160),
}
COUNTS = {
    "ucf101/trainlist": {"01": 9537, "02": 9586, "03": 9624},
    "ucf101/testlist": {"01": 3783, "02": 3734, "03": 3696},
    "hmdb51/train_rgb_split_": dict.fromkeys("123", 3570),
    "hmdb51/val_rgb_split_": dict.fromkeys("123", 1530),
    "kshot/ucf/train1_few_shot_": {"2": 202, "4": 404, "8": 808, "16": 1616},
    "kshot/hmdb/train1_few_shot_": {"2": 102, "4": 204, "8": 408, "16": 816},
    "kshot/ucf/val": {"1": 3783, "2": 3734, "3": 3696},
    "kshot/hmdb/val": dict.fromkeys("123", 1530),
    "base2novel/ucf/": {"base_train": 5385, "base_val": 2088, "novel_val": 1695},
    "base2novel/hmdb/": {"base_train": 1820, "base_val": 780, "novel_val": 750},
    "base2novel/ucf/fs_base_": dict.fromkeys(("s1_train", "s2_train", "s3_train"), 816),
    "base2novel/hmdb/fs_base_": dict.fromkeys(("s1_train", "s2_train", "s3_train"), 416),
    "fewshot/hmdb51/": {"train_few_shot": 4280, "val_few_shot": 1194, "test_few_shot": 1292},
    "fewshot/ucf101/": {"train_few_shot": 9154, "val_few_shot": 1421, "test_few_shot": 2745},
    "fewshot/kinetics100/": {"train_few_shot": 6400, "val_few_shot": 1200, "test_few_shot": 2400},
    "fewshot/ssv2_small/": {"train_few_shot": 6400, "val_few_shot": 1200, "test_few_shot": 2400},
    "fewshot/ssv2_full/": {"train_few_shot": 67013, "val_few_shot": 1926, "test_few_shot": 2857},
}
LISTS = {f"{start}{end}.txt": count for start, ends in COUNTS.items() for end, count in ends.items()}
LISTS["charades/Charades_v1_test.csv"] = 1863


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def given(*paths: str, label: str = "") -> Manifest:
    return Manifest(tuple(Video(path, Path("/root") / path, label) for path in paths))


def told(manifest: Manifest) -> list[tuple[str, str]]:
    return [(video.label, video.split) for video in manifest.videos]


@pytest.mark.parametrize("name", LISTS)
def test_each_official_list(name):
    path = OFFICIAL / name
    if not OFFICIAL.is_dir():
        pytest.skip("the official lists are not here")
    rows = read_list(path)
    kind = {"fewshot": "few_shot", "charades": "charades"}.get(name.split("/")[0], "plain")
    assert format_of(ListFile(path, path.read_text())) == kind
    assert len(rows) == LISTS[name]
    split = next(word for word in ("train", "val", "test") if word in path.name)
    assert {row.split for row in rows} == {split}


def test_every_official_list_is_read_here():
    if not OFFICIAL.is_dir():
        pytest.skip("the official lists are not here")
    files = {path for path in OFFICIAL.rglob("*.*") if path.suffix in (".txt", ".csv")}
    classes = {path for path in files if path.name in CLASS_LISTS}
    assert {path.relative_to(OFFICIAL).as_posix() for path in files - classes} == set(LISTS)
    assert {path.name for path in classes} == set(CLASS_LISTS)


@pytest.mark.parametrize("name", CLASS_LISTS)
def test_each_official_class_list(name):
    if not OFFICIAL.is_dir():
        pytest.skip("the official lists are not here")
    (path,) = OFFICIAL.rglob(name)
    assert len(LabelSet.read(path)) == CLASS_LISTS[name]
    assert is_class_list(path)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("trainlist01.txt", "train"),
        ("fs_base_s1_train.txt", "train"),
        ("val1.txt", "val"),
        ("something-something-v2-validation.json", "val"),
        ("train_or_test.txt", ""),
        ("constraints.txt", ""),
        ("contest.txt", ""),
    ],
)
def test_split_in_name(name, split):
    assert split_in_name(Path(name)) == split


def test_kinetics(tmp_path):
    header = "label,youtube_id,time_start,time_end,split\n"
    path = write(
        tmp_path / "k.csv", f'{header}"air drumming",abc,12,22,train\n"a, b",d_e,0,10,validate\nx,zz,1,2,test\n'
    )
    manifest, notes = given("abc_000012_000022.mp4", "sub/d_e_000000_000010.mp4").with_splits([path])
    assert told(manifest) == [("air drumming", "train"), ("a, b", "val")]
    assert notes[:1] == ["k.csv: 1 video listed for train, 1 of them given"]
    with pytest.raises(DataError, match=r"k\.csv, line 2: the time_start 'x' is not a number of seconds"):
        given("a").with_splits([write(path, f"{header}l,a,x,2,train\n")])


def test_something_something(tmp_path):
    rows = [{"id": "78687", "label": "holding a potato", "template": "Holding [something] next to [something]"}]
    path = write(tmp_path / "something-something-v2-validation.json", json.dumps(rows))
    assert told(given("78687.webm").with_splits([path])[0]) == [("Holding something next to something", "val")]
    file = ListFile(path, path.read_text())
    assert format_of(file) == "something"
    assert "columns" not in vars(file)  # a line of 170,000 videos is not taken apart as that of a table first
    test = write(tmp_path / "test.json", '[{"id": "78687"}]')
    assert told(given("78687.webm").with_splits([test])[0]) == [("", "test")]
    with pytest.raises(DataError, match="expected a list of objects with an id"):
        given("1.webm").with_splits([write(tmp_path / "train.json", '{"1": 2}')])


def test_hmdb51_as_published(tmp_path):
    path = write(tmp_path / "brush_hair_test_split1.txt", "a.avi 1 \nb.avi 2 \nc.avi 0 \n")
    manifest, notes = given("a.avi", "b.avi", "c.avi").with_splits([path])
    assert told(manifest) == [("brush_hair", "train"), ("brush_hair", "test"), ("brush_hair", "")]
    assert len(notes) == 4


def test_charades_has_many_labels(tmp_path):
    path = write(tmp_path / "Charades_v1_test.csv", "id,actions,length\nA,c001 1.0 2.0;c000 0 3;c001 4 5,9\nB,,3\n")
    classes = write(tmp_path / "Charades_v1_classes.txt", "c000 Holding some clothes\nc001 Waving\n")
    for files in ([path], [classes, path]):
        manifest, _ = given("A.mp4", "B.mp4").with_splits(files)
        assert told(manifest) == [("Waving;Holding some clothes", "test"), ("", "test")]
    assert manifest.labels == ("Holding some clothes", "Waving")
    with pytest.raises(DataError, match=r"'A.mp4' has 2 labels, 'Waving;Holding some clothes'; expected one"):
        manifest.few_shot(1, seed=0)


CHARADES = "id,actions,length\nA,c001 1.0 2.5;c000 0 30;c001 4 5,9.5\nB,,3\nC,c000 8 9;c001 2.5 2.5;c000 0 1,8\n"


def test_the_actions_of_charades_are_rows_with_times(tmp_path):
    rows = read_charades_segments(write(tmp_path / "Charades_v1_train.csv", CHARADES))
    # the second action of A ends with its video, the first of C begins after it, and the second has no length
    assert [(row.key, row.codes, row.split, row.start, row.end) for row in rows] == [
        ("A", ("c001",), "train", 1.0, 2.5),
        ("A", ("c000",), "train", 0.0, 9.5),
        ("A", ("c001",), "train", 4.0, 5.0),
        ("C", ("c000",), "train", 0.0, 1.0),
    ]


def test_the_actions_of_charades_official_list():
    if not OFFICIAL.is_dir():
        pytest.skip("the official lists are not here")
    rows = read_charades_segments(OFFICIAL / "charades" / "Charades_v1_test.csv")
    assert rows[0].split == "test"
    assert all(0 <= row.start < row.end for row in rows)
    of_videos = {row.key: set(row.codes) for row in read_list(OFFICIAL / "charades" / "Charades_v1_test.csv")}
    assert all(set(row.codes) <= of_videos[row.key] for row in rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,name\nA,b\n", "is not a list of Charades; expected a CSV with the columns id, actions and length"),
        ("v.mp4 1\n", "is not a list of Charades"),
        ("id,actions,length\nA,c001 1.0,3\n", ", line 2: the action 'c001 1.0' is not a class, a start and an end"),
        ("id,actions,length\nA,wave 1 2,3\n", "the action 'wave 1 2' is not a class"),
        ("id,actions,length\nA,c001 1 x,3\n", "'x' is not a number of seconds"),
        ("id,actions,length\nA,,\n", ", line 2: '' is not a number of seconds"),
        ("id,actions,length\nA,c001 1 2\n", ", line 2: does not have the 3 columns of the first line"),
    ],
)
def test_what_is_no_list_of_charades(tmp_path, text, message):
    path = write(tmp_path / "Charades_v1_test.csv", text)
    with pytest.raises(DataError) as error:
        read_charades_segments(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_charades_segments(tmp_path):
    path = write(tmp_path / "Charades_v1_train.csv", CHARADES)
    classes = write(tmp_path / "classes.txt", "c000 Holding some clothes\nc001 Waving\n")
    videos = given("sub/A.mp4", "C.mp4").videos
    a, c = Path("/root/sub/A.mp4"), Path("/root/C.mp4")
    assert charades_segments(videos, path, classes=classes) == (
        Video("sub/A.mp4#1", a, "Waving", "train", 1.0, 2.5),
        Video("sub/A.mp4#2", a, "Holding some clothes", "train", 0.0, 9.5),
        Video("sub/A.mp4#3", a, "Waving", "train", 4.0, 5.0),
        Video("C.mp4#1", c, "Holding some clothes", "train", 0.0, 1.0),
    )
    with pytest.raises(DataError, match="none of its 4 videos is among the 1 given"):
        charades_segments(given("D.mp4").videos, path, classes=classes)
    write(classes, "c000 Holding some clothes\n")
    with pytest.raises(DataError, match="'A' has the class 1; expected one of the 1 classes numbered 0 to 0"):
        charades_segments(videos, path, classes=classes)


def test_a_pattern_stands_for_the_lists_it_matches(tmp_path):
    for name, rows in {
        "run_test_split1": "a.avi 1\n",
        "sit_test_split1": "b.avi 2\n",
        "run_test_split2": "a.avi 2\n",
    }.items():
        write(tmp_path / "s" / f"{name}.txt", rows)
    manifest, _ = given("a.avi", "b.avi").with_splits([tmp_path / "s" / "*_test_split1.txt"])
    assert told(manifest) == [("run", "train"), ("sit", "test")]
    with pytest.raises(DataError, match=r"\*_split3\.txt: matches no file"):
        given("a.avi").with_splits([tmp_path / "s" / "*_split3.txt"])
    with pytest.raises(DataError, match="s: is a folder; expected a list, or a pattern of some in quotes"):
        given("a.avi").with_splits([tmp_path / "s"])


def test_numbers_mean_classes_only_with_a_class_list(tmp_path):
    path = write(tmp_path / "a" / "train1_few_shot_2.txt", "v.avi 0\nw.avi 1\n")
    assert told(given("v.avi", "w.avi").with_splits([path])[0]) == [("", "train"), ("", "train")]
    named = [("Archery", "train"), ("Biking", "train")]
    classes = write(tmp_path / "labels.csv", "id,name\n0,Archery\n1,Biking\n")
    assert told(given("v.avi", "w.avi").with_splits([classes, path])[0]) == named
    beside = write(tmp_path / "a" / "classInd.txt", "1 Archery\n2 Biking\n")  # counts from 1, the list from 0
    assert told(given("v.avi", "w.avi").with_splits([path])[0]) == named
    write(beside, "1 Archery\n2 Biking\n3 Surfing\n")  # the list may be of other classes, or count from 0
    write(path, "v.avi 1\nw.avi 2\n")
    assert told(given("v.avi", "w.avi").with_splits([path])[0]) == [("", "train"), ("", "train")]


def test_a_folder_and_a_list_that_disagree(tmp_path):
    path = write(tmp_path / "trainlist01.txt", "PlayingPiano/v.avi 1\nSurfing/w.avi 2\n")
    assert told(given("v.avi", label="playing_piano").with_splits([path])[0]) == [("playing_piano", "train")]
    assert told(given("v.avi").with_splits([path])[0]) == [("PlayingPiano", "train")]
    with pytest.raises(DataError, match=r"lists 'v\.avi' as 'PlayingPiano', but its label is 'Archery'"):
        given("v.avi", label="Archery").with_splits([path])


def test_few_shot_lists(tmp_path):
    path = write(
        tmp_path / "train_few_shot.txt", "train0//train_256/air_drumming/-V_1.mp4\ntrain1//train_256/run/x.mp4\n"
    )
    assert told(given("-V_1.mp4").with_splits([path])[0]) == [("air_drumming", "train")]
    with pytest.raises(DataError, match="is named after train, but lists videos for val"):
        given("7").with_splits([write(path, "val8/7\n")])
