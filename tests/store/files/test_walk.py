"""What lies in a folder: the files, and by reason what is never data."""

import os
from pathlib import Path

import pytest

from framebank.store import DataError, Manifest
from framebank.store.files.walk import is_litter, walk_folder
from framebank.store.videos.inputs import read_videos


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def inside(folder: Path, paths: tuple[Path, ...]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


LITTER = (
    "run/._a.mp4",
    "run/.b.mp4",
    ".trash/a.mp4",
    ".Trash-1000/files/a.mp4",
    ".ipynb_checkpoints/a-checkpoint.mp4",
    "run/@eaDir/a.mp4/SYNOFILE_THUMB_M.jpg",
    "@eaDir/a.mp4",
    "__MACOSX/run/._a.mp4",
    "$RECYCLE.BIN/x/a.mp4",
    "System Volume Information/a.mp4",
    "#recycle/a.mp4",
    "lost+found/a.mp4",
    "RECYCLER/S-1-5/a.mp4",
    "FOUND.000/a.mp4",
    "Network Trash Folder/a.mp4",
    "Temporary Items/a.mp4",
    "@tmp/a.mp4",
    "~snapshot/a.mp4",
    "run/Thumbs.db",
    "run/desktop.ini",
    "found.007/a.mp4",
    "run/~$a.mp4",
    ".DS_Store",
)


def test_what_file_managers_leave_is_no_data(tmp_path):
    touch(tmp_path, "run/a.mp4", *LITTER)
    intake = read_videos([tmp_path])
    assert [(video.video_id, video.label) for video in intake.videos] == [("run/a", "run")]
    assert sorted(inside(tmp_path, intake.not_taken["hidden"])) == sorted(LITTER)
    assert intake.counts == {"hidden": len(LITTER)}
    assert intake.told() == f"not taken: {len(LITTER)} files: {len(LITTER)} hidden"
    for name in ("run", "a.mp4", "trash", "recycling", "eaDir", "found"):
        assert not is_litter(name)


def test_a_hidden_folder_that_is_named_is_read(tmp_path):
    touch(tmp_path, ".cache/run/a.mp4")
    assert [video.video_id for video in Manifest.read([tmp_path / ".cache"]).videos] == ["run/a"]


def test_everything_that_is_not_taken_is_counted(tmp_path):
    touch(tmp_path, "run/a.mp4", *(f"run/d.{s}" for s in ("gif", "264", "f4v", "QT", "3g2", "mxf", "rm")))
    touch(tmp_path, "run/a.jpg", "run/notes.txt", "run/README", "labels.csv", "fps.txt")
    (tmp_path / "run" / "e.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "run" / "f.mp4").symlink_to("f.mp4")  # to itself
    os.mkfifo(tmp_path / "run" / "g.mp4")
    intake = read_videos([tmp_path])
    assert [video.video_id for video in intake.videos] == ["run/a"]
    suffixes = dict.fromkeys((".264", ".3g2", ".csv", ".f4v", ".gif", ".mxf", ".qt", ".rm", "no suffix"), 1)
    others = {"dangling link": 2, "not a regular file": 1, "picture beside videos": 1, ".txt": 2}
    assert intake.counts == {**suffixes, **others}
    assert intake.told().startswith("not taken: 15 files: 2 .txt, 2 dangling link, 1 .264, ")
    assert intake.told().endswith("; --any-suffix takes those that are videos by content")
    assert intake.files["not a regular file"] == [str(tmp_path / "run" / "g.mp4")]


def test_files_beside_frames_are_counted_but_for_their_rate(tmp_path):
    touch(tmp_path, "run/v/1.jpg", "run/v/2.tif", "run/v/fps.txt", "run/v/flow.npy", "run/fps.txt")
    intake = read_videos([tmp_path])
    assert [video.video_id for video in intake.videos] == ["run/v"]
    assert intake.counts == {".npy": 1, ".txt": 1}


def test_a_folder_without_a_video_says_what_it_holds(tmp_path):
    touch(tmp_path, "a.gif", "b.gif", ".c.mp4")
    with pytest.raises(DataError, match=r"holds no video file.*\(not taken: 3 files: 2 \.gif, 1 hidden; --any-suffix"):
        read_videos([tmp_path])


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "run/a.mp4", "wave/a.mp4")
    real = os.scandir

    def scandir(path):
        if Path(path).name == "wave":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"wave: this folder cannot be read \(Permission denied\)"):
        read_videos([tmp_path])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_without_permission_is_named(tmp_path):
    touch(tmp_path, "run/a.mp4", "wave/a.mp4")
    (tmp_path / "wave").chmod(0)
    try:
        with pytest.raises(DataError, match=r"wave: this folder cannot be read"):
            read_videos([tmp_path])
    finally:
        (tmp_path / "wave").chmod(0o700)


def test_link_loops_are_walked_once(tmp_path):
    touch(tmp_path, "a/x.mp4", "b/y.mp4")
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "other").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "other").symlink_to(tmp_path / "a")  # the two lead round and round
    found = walk_folder(tmp_path)
    assert inside(tmp_path, found.files) == ["a/x.mp4", "b/y.mp4"]
    assert len(found.not_taken["link to a folder that is read already"]) == 4


def test_many_links_to_each_other_end(tmp_path):
    for name in map(str, range(12)):
        touch(tmp_path, f"{name}/v.mp4")
        for other in map(str, range(12)):
            (tmp_path / name / f"to{other}").symlink_to(tmp_path / other)
    assert len(walk_folder(tmp_path).files) == 12
    elsewhere = tmp_path / "only"
    elsewhere.mkdir()
    (elsewhere / "first").symlink_to(tmp_path / "0")
    assert len(walk_folder(elsewhere).files) == 12


def test_content_tells_where_the_suffix_does_not(tmp_path):
    touch(tmp_path, "run/a.mp4", "run/b.f4v", "run/c", "run/d.txt", "run/e.jpg", "run/.f.qt", "fps.txt")
    asked: list[str] = []

    def is_video(path: Path) -> bool:
        asked.append(path.name)
        return path.name in ("b.f4v", "c", "e.jpg", ".f.qt")

    intake = read_videos([tmp_path], is_video=is_video)
    assert [(video.video_id, video.label) for video in intake.videos] == [
        ("run/a", "run"),
        ("run/b", "run"),
        ("run/c", "run"),
    ]
    assert sorted(asked) == ["b.f4v", "c", "d.txt"]
    assert intake.counts == {".txt": 2, "hidden": 1, "picture beside videos": 1}


def test_files_that_are_named_are_taken_whatever_their_suffix(tmp_path):
    touch(tmp_path, "a.mp4", "b.f4v", "Thumbs.db", "._a.mp4")
    intake = read_videos([tmp_path / name for name in ("a.mp4", "b.f4v", "Thumbs.db", "._a.mp4")])
    assert [video.video_id for video in intake.videos] == ["a", "b"]
    assert intake.counts == {"hidden": 2}
    with pytest.raises(DataError, match=r"Thumbs\.db: is a file of a file manager"):
        read_videos([tmp_path / "Thumbs.db"])
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(DataError, match=r"pipe\.mp4: is not a regular file"):
        read_videos([tmp_path / "pipe.mp4"])
