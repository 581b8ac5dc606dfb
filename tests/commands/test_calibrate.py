"""The command calibrate: thresholds by held-out videos, on indexes of parts of the demo world."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from framebank.store import FeatureStore, Manifest, Video
from framebank.store.indexes.enrolment import NAME
from framebank.tests.worlds.cli import sentence

STRANGER = "falling down"


@pytest.fixture(scope="module")
def world(framebank: Any, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose first and second training clips are "train", the third "val", and an index of the former.

    "falling down" is in neither of the two. Not to be written to.
    """
    folder = tmp_path_factory.mktemp("calibrated")
    copy_store(store, folder / "store")
    rewrite(
        folder / "store",
        lambda video: (
            {"train_02": "val", "test_00": "test"}.get(video.video_id[-8:].strip("_"), "train")
            if video.label != STRANGER
            else "other"
        ),
    )
    framebank("index", folder / "store", folder / "index", "--split", "train")
    return folder


def copy_store(store: Path, folder: Path) -> None:
    folder.mkdir()
    for path in store.iterdir():
        if path.name == "manifest.csv":
            shutil.copy(path, folder)
        elif path.is_file():
            (folder / path.name).symlink_to(path.resolve())


def rewrite(store: Path, split_of: Any, *, label_of: Any = lambda video: video.label) -> None:
    """Give each video of a store another split and label."""
    videos = FeatureStore(store).manifest.videos
    changed = tuple(Video(video.video_id, video.path, label_of(video), split_of(video)) for video in videos)
    Manifest(changed).write(store / "manifest.csv")


@pytest.fixture
def index(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world / "index", tmp_path / "index"))


def told(framebank: Any, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(framebank(*arguments, "--json").stdout)
    return found


def test_the_source_of_a_threshold_is_stored_and_told(framebank: Any, clips: Path, world: Path, index: Path) -> None:
    val, clip = world / "store", clips / "falling_down" / "falling_down_train_00.mp4"
    own = framebank("enroll", index, STRANGER, clip).stdout
    assert own.splitlines()[-1] == "compared with 30 videos of other classes, of the 31 videos of the index itself"
    assert max(map(len, own.splitlines()[1:])) <= 80
    before = told(framebank, "label", clip, "--index", index)["made_by"]["thresholds"]
    assert before == {"num_videos": 31, "share": 0.05, "store": None, "split": None}

    made = told(framebank, "calibrate", index, val, "--share", 0.1)
    expected = {"num_videos": 15, "share": 0.1, "store": str(val), "split": "val"}
    assert made["thresholds"] == expected
    assert [(row["label"], row["num_others"]) for row in made["classes"]] == [(STRANGER, 15)]
    printed = framebank("label", clip, "--index", index).stdout.splitlines()
    source = f"15 held-out videos of {val}, split val"
    assert printed[-1] == f"thresholds are set by {source}: 10 % of the videos of other classes may pass each"
    assert f"threshold {made['classes'][0]['threshold']:.3f}" in printed[2]
    assert told(framebank, "label", clip, "--index", index)["made_by"]["thresholds"] == expected

    # a class that is enrolled later is held to the same videos
    second = told(framebank, "enroll", index, "another", clips / "falling_down" / "falling_down_train_01.mp4")
    assert (second["num_others"], second["thresholds"]) == (15, expected)
    framebank("unenroll", index, "another")
    assert told(framebank, "calibrate", index, val, "--share", 0.1) == made


def test_without_a_store_the_videos_of_the_index_set_them_again(
    framebank: Any, clips: Path, world: Path, index: Path
) -> None:
    framebank("enroll", index, STRANGER, clips / "falling_down" / "falling_down_train_00.mp4")
    before = (index / NAME).read_bytes()
    framebank("calibrate", index, world / "store", "--share", 0.1)
    assert (index / NAME).read_bytes() != before
    shown = framebank("calibrate", index).stdout.splitlines()
    assert shown[0].split() == ["class", "examples", "others", "threshold"]
    assert shown[1].split()[:4] == ["falling", "down", "1", "30"]
    assert shown[-1].startswith(f"thresholds of {index} are set by the 31 videos of the index itself: at most 5 % of ")
    assert (index / NAME).read_bytes() == before


def test_a_calibrated_index_says_unknown_without_an_enrolled_class(
    framebank: Any, clips: Path, world: Path, index: Path
) -> None:
    stranger, seen = clips / "falling_down" / "falling_down_test_00.mp4", clips / "waving" / "waving_train_00.mp4"
    files = sorted(path.name for path in index.iterdir())
    assert told(framebank, "label", stranger, "--index", index)["videos"][0]["by"] == "neighbours"
    assert told(framebank, "calibrate", index, world / "store", "--share", 0.1)["classes"] == []
    unknown, known = told(framebank, "label", stranger, seen, "--index", index)["videos"]
    (votes,) = unknown["answers"]
    assert (unknown["label"], votes["passes"]) == ("unknown", False)
    assert votes["similarity"] <= votes["threshold"]
    assert (known["label"], known["by"]) == ("waving", "neighbours")
    assert "holds enrolled classes or a calibration" in sentence(
        framebank("index", world / "store", index, "--overwrite", exit_code=1)
    )
    assert "has no thresholds now" in framebank("calibrate", index).stdout
    assert sorted(path.name for path in index.iterdir()) == files
    assert told(framebank, "label", stranger, "--index", index)["made_by"]["thresholds"] is None


def test_an_index_that_a_run_pooled(framebank: Any, run: Path, world: Path, tmp_path: Path) -> None:
    framebank("index", world / "store", tmp_path / "i", "--run", run, "--split", "train")
    framebank("index", world / "store", tmp_path / "plain", "--split", "train")
    pooled = told(framebank, "calibrate", tmp_path / "i", world / "store", "--share", 0.1)["nearest"]
    plain = told(framebank, "calibrate", tmp_path / "plain", world / "store", "--share", 0.1)["nearest"]
    assert 0 < plain < 1
    assert abs(pooled - plain) > 1e-3


def test_what_cannot_calibrate_changes_nothing(framebank: Any, world: Path, index: Path, tmp_path: Path) -> None:
    val, before = world / "store", {path.name: path.read_bytes() for path in index.iterdir()}

    def refused(*arguments: object) -> str:
        return sentence(framebank("calibrate", *arguments, exit_code=1))

    assert "no video is in the split 'vall'; the splits are: other (4), test (15), train (30), val (15), and 'all'" in (
        refused(index, val, "--split", "vall")
    )
    leak = refused(index, val, "--split", "train")
    assert "split train: " in leak
    assert "_train_00' is in " in leak
    assert "expected videos that are held out of the index" in leak
    assert "is in" in refused(index, val, "--split", "all")
    copy_store(val, tmp_path / "bare")
    rewrite(
        tmp_path / "bare",
        lambda video: video.split,
        label_of=lambda video: "" if video.split == "val" else video.label,
    )
    assert (
        "none of the 15 videos of the split 'val' has a label; the splits with labelled videos are: other (4), "
        "test (15), train (30)"
    ) in refused(index, tmp_path / "bare")
    few = refused(index, val)
    assert f"15 held-out videos of {val}, split val are too few to set a threshold that 5 % of the others" in few
    assert few.endswith("pass; at least 19 are needed, each with a video of another class in the index")
    assert "the 30 videos of the index itself are too few" in refused(index, "--share", 0.01)
    assert "no such store" in refused(index, tmp_path / "none")
    assert "is not an index" in refused(tmp_path / "none", val)
    assert "is not an index" in refused(tmp_path, val)
    assert "is not an index" in refused(val)
    framebank("calibrate", index, "--split", "val", exit_code=2)
    framebank("calibrate", index, val, "--share", 0, exit_code=2)
    framebank("calibrate", index, val, "--share", 1, exit_code=2)
    assert {path.name: path.read_bytes() for path in index.iterdir()} == before


def test_a_store_that_was_embedded_otherwise(framebank: Any, clips: Path, index: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    framebank("extract", clips / "waving", other, "--model", "demo", "--frames", 4, "--device", "cpu")
    told_so = sentence(framebank("calibrate", index, other, "--split", "all", exit_code=1))
    assert f"{index} was made with sampling 'segments:8', {other} with sampling 'segments:4'" in told_so
