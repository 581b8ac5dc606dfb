"""A folder named train is a split or a class: what lies in it and beside it decides."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from framebank.store import DataError, Manifest
from framebank.store.exchange.sources import Names, open_source
from framebank.tests.store.files.test_walk import touch


def told(folder: Path) -> dict[str, tuple[str, str]]:
    return {video.video_id: (video.split, video.label) for video in Manifest.read([folder]).videos}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("bus/1.mp4", "car/1.mp4", "train/1.mp4"), [("", "bus"), ("", "car"), ("", "train")]),
        (("Test/1.mp4", "exam/1.mp4"), [("", "Test"), ("", "exam")]),
        (("train/run/1.mp4", "val/run/1.mp4"), [("train", "run"), ("val", "run")]),
        (("train/run/1.mp4",), [("train", "run")]),
        (("train/1.mp4", "test/1.mp4"), [("test", ""), ("train", "")]),
        (("train/run/1.mp4", "test/1.mp4"), [("test", ""), ("train", "run")]),
        (("train/1.mp4",), [("train", "")]),
        (("1.mp4", "train/run/1.mp4"), [("", ""), ("train", "run")]),
        (("train/train/1.mp4", "train/bus/1.mp4"), [("train", "bus"), ("train", "train")]),
        # frames: the folder that holds them is the video
        (("bus/v/1.jpg", "train/v/1.jpg"), [("", "bus"), ("", "train")]),
        (("train/run/v/1.jpg", "test/run/v/1.jpg"), [("test", "run"), ("train", "run")]),
    ],
)
def test_split_or_class(tmp_path, names, expected):
    touch(tmp_path, *names)
    assert sorted(told(tmp_path).values()) == sorted(expected)


@pytest.mark.parametrize(
    "names",
    [
        ("train/run/1.mp4", "wave/1.mp4"),
        ("train/freight/1.mp4", "bus/school/1.mp4"),
        ("train/1.mp4", "test/1.mp4", "bus/1.mp4"),
        ("train/run/v/1.jpg", "wave/v/1.jpg"),
    ],
)
def test_splits_beside_classes_are_asked_about(tmp_path, names):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=r"holds the folder 't.*', which is named after a split, beside '(wave|bus)'"):
        told(tmp_path)


def test_folders_of_features_follow_the_same_rule(tmp_path):
    def save(*names: str) -> dict[str, tuple[str, str]]:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / name, np.ones((2, 4), np.float32))
        found = open_source(tmp_path, Names()).manifest.videos
        return {video.video_id: (video.split, video.label) for video in found}

    assert save("bus/1.npy", "train/1.npy") == {"bus/1": ("", "bus"), "train/1": ("", "train")}
    with pytest.raises(DataError, match="'train', which is named after a split, beside 'bus'"):
        save("train/run/1.npy")
    shutil.rmtree(tmp_path / "bus")
    assert save("test/run/2.npy")["train/run/1"] == ("train", "run")
