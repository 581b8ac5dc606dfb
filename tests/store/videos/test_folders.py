from pathlib import Path

import pytest

from framebank.store import DataError, Manifest, Video


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_of_frames(tmp_path):
    touch(tmp_path, "train/walk/v.1/1.jpg", "train/walk/v.1/2.JPG", "val/run/w/1.webp", "val/run/w/notes.txt")
    assert Manifest.read([tmp_path]).videos == (
        Video("train/walk/v.1", tmp_path / "train/walk/v.1", "walk", "train"),
        Video("val/run/w", tmp_path / "val/run/w", "run", "val"),
    )
    alone = tmp_path / "train/walk/v.1"
    assert Manifest.read([alone]).videos == (Video("v.1", alone),)


def test_a_list_names_folders_of_frames(tmp_path):
    touch(tmp_path, "frames/walk/v/1.png")
    (tmp_path / "train.txt").write_text("walk/v 1 0\n")
    manifest, _ = Manifest.read([tmp_path / "frames"]).with_splits([tmp_path / "train.txt"])
    assert manifest.split_sizes == {"train": 1}


def test_images_beside_videos_are_no_frames(tmp_path):
    touch(tmp_path, "walk/v.mp4", "walk/v.jpg")
    assert [v.video_id for v in Manifest.read([tmp_path]).videos] == ["walk/v"]


def test_frames_above_frames(tmp_path):
    touch(tmp_path, "walk/cover.jpg", "walk/v/1.jpg")
    with pytest.raises(DataError, match="holds images beside the folder of frames"):
        Manifest.read([tmp_path])


def test_a_store_given_as_a_folder_of_videos_is_called_a_store(tmp_path):
    (tmp_path / "shard-00000.h5").touch()
    (tmp_path / "manifest.csv").write_text("video_id,path,label,split\n")
    with pytest.raises(DataError, match=r"is a store, not a folder of videos; `framebank predict .*` labels"):
        Manifest.read(tmp_path)
