"""Official lists through the door: what a list of each data set gives the videos, and what is said to a wrong one."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebank.store import FeatureStore
from framebank.tests.places import DATA
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.video import write_video

LISTS = DATA / "labels"
Tree = Callable[..., Path]

needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason=f"no official lists at {LISTS}")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of two frames of 32 by 32 pixels."""
    images = [np.full((32, 32, 3), 100 * number, dtype=np.uint8) for number in range(2)]
    return Path(write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", images, codec="mpeg4"))


@pytest.fixture
def tree(tmp_path: Path, clip: Path) -> Tree:
    """What makes a folder of videos with these names."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / "videos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clip, path)
        return tmp_path / "videos"

    return make


@pytest.fixture
def extract(framebank: Any, tmp_path: Path) -> Callable[..., dict[str, tuple[str, str]]]:
    """What embeds videos with lists, and returns the label and the split of each in the store."""

    def run(videos: Path, *lists: object) -> dict[str, tuple[str, str]]:
        options = [part for path in lists for part in ("--split-file", path)]
        framebank("extract", videos, tmp_path / "bank", "--model", "demo", "--frames", 1, "--workers", 1, *options)
        store = FeatureStore(tmp_path / "bank")
        assert len(store) == len(store.manifest)
        return {video.video_id: (video.label, video.split) for video in store.manifest.videos}

    return run


@needs_lists
def test_ucf101(tree: Tree, extract: Any) -> None:
    videos = tree("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "Archery/v_Archery_g01_c01.avi", "Archery/other.avi")
    assert extract(videos, LISTS / "ucf101" / "trainlist01.txt", LISTS / "ucf101" / "testlist01.txt") == {
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01": ("ApplyEyeMakeup", "train"),
        "Archery/v_Archery_g01_c01": ("Archery", "test"),
        "Archery/other": ("Archery", ""),
    }


@needs_lists
def test_ucf101_without_folders(tree: Tree, extract: Any) -> None:
    videos = tree("v_ApplyEyeMakeup_g08_c01.avi", "v_Archery_g01_c01.avi")
    assert extract(videos, LISTS / "ucf101" / "trainlist01.txt", LISTS / "ucf101" / "testlist01.txt") == {
        "v_ApplyEyeMakeup_g08_c01": ("ApplyEyeMakeup", "train"),
        "v_Archery_g01_c01": ("Archery", "test"),
    }


@needs_lists
def test_ucf101_numbered_by_a_class_list(tree: Tree, extract: Any) -> None:
    videos = tree("v_ApplyEyeMakeup_g01_c01.avi", "v_Archery_g01_c01.avi")
    assert extract(videos, LISTS / "base2novel" / "ucf_101_labels.csv", LISTS / "kshot" / "ucf" / "val1.txt") == {
        "v_ApplyEyeMakeup_g01_c01": ("ApplyEyeMakeup", "val"),
        "v_Archery_g01_c01": ("Archery", "val"),
    }


@needs_lists
def test_hmdb51_in_one_list_a_split(tree: Tree, extract: Any) -> None:
    train, val = ("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0", _first(LISTS / "hmdb51" / "val_rgb_split_1.txt"))
    videos = tree(f"{train}.avi", f"{val}.avi")
    lists = [LISTS / "hmdb51" / f"{split}_rgb_split_1.txt" for split in ("train", "val")]
    assert extract(videos, *lists) == {train: ("brush_hair", "train"), val: ("brush_hair", "val")}


def test_hmdb51_as_published(tree: Tree, extract: Any, framebank: Any, tmp_path: Path) -> None:
    videos = tree("brush_hair/a.avi", "brush_hair/b.avi", "wave/c#1.avi")
    lists = tmp_path / "testTrainMulti_7030_splits"
    lists.mkdir()
    for name, rows in (
        ("brush_hair_test_split1", "a.avi 1 \nb.avi 2 \n"),
        ("brush_hair_test_split2", "a.avi 2 \nb.avi 1 \n"),
        ("wave_test_split1", "c#1.avi 0 \n"),
    ):
        (lists / f"{name}.txt").write_text(rows)
    assert extract(videos, lists / "*_test_split1.txt") == {
        "brush_hair/a": ("brush_hair", "train"),
        "brush_hair/b": ("brush_hair", "test"),
        "wave/c#1": ("wave", ""),
    }
    unquoted = sorted(lists.glob("*_split1.txt")) + sorted(lists.glob("*_split2.txt"))
    told = sentence(
        framebank("extract", videos, tmp_path / "s", "--model", "demo", "--split-file", *unquoted, exit_code=1)
    )
    assert (
        "wave_test_split1.txt: is not a video; give a list with --split-file, several lists as a pattern in quotes"
        in told
    )
    both = lists / "*"
    told = sentence(framebank("extract", videos, tmp_path / "s", "--model", "demo", "--split-file", both, exit_code=1))
    assert "brush_hair_test_split2.txt: lists 'brush_hair/a' for test, another list for train" in told


@pytest.mark.parametrize("folder", ["", "air_drumming/"])
def test_kinetics(tree: Tree, extract: Any, tmp_path: Path, folder: str) -> None:
    """Videos as the usual programs fetch them: cut, in folders of classes or in none; whole, under their id."""
    videos = tree(f"{folder}---aQ-tA5_A_000009_000019.mp4", f"{folder}abc.mp4", f"{folder}-x_y_000001_000011.mp4")
    header = "label,youtube_id,time_start,time_end,split,is_cc\n"
    (tmp_path / "train.csv").write_text(
        f"{header}air drumming,---aQ-tA5_A,9,19,train,0\nair drumming,abc,3,13,train,0\n"
    )
    (tmp_path / "test.csv").write_text("youtube_id,time_start,time_end,split\n-x_y,1,11,test\n")
    label = "air_drumming" if folder else "air drumming"
    assert extract(videos, tmp_path / "train.csv", tmp_path / "test.csv") == {
        f"{folder}---aQ-tA5_A_000009_000019": (label, "train"),
        f"{folder}abc": (label, "train"),
        f"{folder}-x_y_000001_000011": (label if folder else "", "test"),
    }


@needs_lists
def test_kinetics100_few_shot(tree: Tree, extract: Any) -> None:
    videos = tree("-kYzxMKp514_000086_000096.mp4")
    assert extract(videos, LISTS / "fewshot" / "kinetics100" / "test_few_shot.txt") == {
        "-kYzxMKp514_000086_000096": ("blasting_sand", "test")
    }


def test_something_something(tree: Tree, extract: Any, tmp_path: Path) -> None:
    videos = tree("78687.webm", "42326.webm", "1420.webm")
    row = {"id": "78687", "label": "holding potato", "template": "Holding [something]", "placeholders": ["potato"]}
    (tmp_path / "train.json").write_text(json.dumps([row]))
    (tmp_path / "validation.json").write_text(json.dumps([{**row, "id": "42326"}]))
    (tmp_path / "test.json").write_text('[{"id": "1420"}]')
    (tmp_path / "labels.json").write_text('{"Holding something": "0"}')
    names = ("labels.json", "train.json", "validation.json", "test.json")
    assert extract(videos, *(tmp_path / name for name in names)) == {
        "78687": ("Holding something", "train"),
        "42326": ("Holding something", "val"),
        "1420": ("", "test"),
    }


@needs_lists
def test_something_something_few_shot(tree: Tree, extract: Any) -> None:
    videos = tree("195025.webm", "19977.webm")
    assert extract(videos, LISTS / "fewshot" / "ssv2_full" / "test_few_shot.txt") == {
        "195025": ("test18", "test"),
        "19977": ("test17", "test"),
    }


@needs_lists
def test_charades(tree: Tree, extract: Any) -> None:
    videos = tree("YSKX3.mp4", "T5ECU.mp4")
    with (LISTS / "charades" / "Charades_v1_test.csv").open(newline="") as file:
        actions = {row["id"]: row["actions"] for row in csv.DictReader(file)}
    names = dict(
        line.split(" ", 1) for line in (LISTS / "charades" / "Charades_v1_classes.txt").read_text().splitlines()
    )
    found = extract(videos, LISTS / "charades" / "Charades_v1_test.csv")
    for name in ("YSKX3", "T5ECU"):
        codes = dict.fromkeys(action.split()[0] for action in actions[name].split(";") if action)
        assert found[name] == (";".join(names[code] for code in codes), "test")
        assert codes


def test_actions_of_charades_are_videos(tree: Tree, framebank: Any, tmp_path: Path) -> None:
    videos = tree("AAAAA.mp4")
    rows = "id,actions,length\nAAAAA,c001 0.00 0.05;c000 0.00 9.00,9.0\n"
    (tmp_path / "Charades_v1_test.csv").write_text(rows)
    (tmp_path / "Charades_v1_classes.txt").write_text("c000 Holding some clothes\nc001 Taking a cup\n")
    arguments = ("extract", videos, tmp_path / "bank", "--model", "demo", "--frames", 1, "--workers", 1, "--actions")
    told = framebank(*arguments, "--split-file", tmp_path / "Charades_v1_test.csv").stderr
    assert "Charades_v1_test.csv: 2 actions" in told
    found = {video.video_id: video for video in FeatureStore(tmp_path / "bank").manifest.videos}
    assert found["AAAAA#1"].label == "Taking a cup"
    assert (found["AAAAA#1"].start, found["AAAAA#1"].end, found["AAAAA#1"].split) == (0.0, 0.05, "test")
    told = framebank("extract", videos, tmp_path / "other", "--model", "demo", "--actions", exit_code=2).stderr
    assert "give the lists with --split-file" in told


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.txt", None, "gone.txt: no such split file"),
        ("trainlist01.txt", "", "trainlist01.txt: lists no video"),
        ("trainlist01.txt", "Other/v.avi 1\n", "none of its 1 videos is among the 2 given"),
        ("list.txt", "Archery/a.avi\n", "its name says neither train, val nor test"),
        ("train.csv", "label,youtube_id,time_start,time_end\nx,a,one,2\n", "'one' is not a number of seconds"),
        ("train.csv", "label,youtube_id,time_start,time_end\nx,a,1\n", "line 2: does not have the 4 columns"),
        ("train.json", "[", "is not JSON (line 1)"),
        ("train.json", "{}", "expected a list of objects with an id"),
        ("Charades_v1_train.csv", "id,actions,length\na,c001,3\n", "'c001' is not a class, a start and an end"),
        ("train.txt", "\xff", None),
    ],
)
def test_a_wrong_list_is_one_sentence(
    framebank: Any, tree: Tree, tmp_path: Path, name: str, text: str | None, message: str | None
) -> None:
    videos = tree("Archery/a.avi", "Biking/b.avi")
    if text is not None:
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    options = ("--model", "demo", "--split-file", tmp_path / name)
    told = sentence(framebank("extract", videos, tmp_path / "s", *options, exit_code=1))
    assert name in told
    assert (message or "cannot be read as text") in told
    assert not (tmp_path / "s").exists()


def _first(path: Path) -> str:
    return path.read_text().split(maxsplit=1)[0]
