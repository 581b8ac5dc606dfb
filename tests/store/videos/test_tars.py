import gzip
import io
import tarfile
from pathlib import Path

import pytest

from framebank.store import DataError, Manifest, Video
from framebank.store.videos.inputs import read_videos
from framebank.store.videos.tars import tar_and_member


def tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return path


def test_members_and_their_labels(tmp_path):
    members = {"a.mp4": b"v" * 700, "a.cls": b"walk\n", "b.mp4": b"v", "b.json": b'{"label": ["run", "jump"]}'}
    path = tar(tmp_path / "shard-000.tar", members | {"c.avi": b"v", "c.txt": b"sit", "d.mkv": b"", "notes.txt": b"x"})
    videos = Manifest.read([path]).videos
    assert videos[0] == Video("shard-000/a", path / "a.mp4", "walk")
    assert [(v.video_id, v.labels) for v in videos[1:]] == [
        ("shard-000/b", ("run", "jump")),
        ("shard-000/c", ("sit",)),
        ("shard-000/d", ()),
    ]
    assert tar_and_member(videos[0].path) == (path, "a.mp4")
    assert tar_and_member(path) == (path, "")


def test_several_tars_and_a_folder_of_them(tmp_path):
    paths = [tar(tmp_path / f"s{i}.tar", {"a.mp4": b"v"}) for i in range(2)]
    assert [v.video_id for v in Manifest.read(paths).videos] == ["s0/a", "s1/a"]
    assert Manifest.read([tmp_path]) == Manifest.read(paths)


def test_tars_of_one_stem_in_two_folders(tmp_path):
    names = ("train/0.tar", "train/1.tar", "val/0.tar", "val/2.tar")
    for name in names:
        tar(tmp_path / "set" / name, {"a.mp4": b"v", f"{name[:2]}.mp4": b"w"})
    videos = Manifest.read([tmp_path / "set"]).videos
    assert [(video.video_id, video.split) for video in videos] == [
        ("train/0/a", "train"),
        ("train/0/tr", "train"),
        ("1/a", "train"),
        ("1/tr", "train"),
        ("val/0/a", "val"),
        ("val/0/va", "val"),
        ("2/a", "val"),
        ("2/va", "val"),
    ]
    with pytest.raises(DataError, match="the video_id '0/a' stands for two videos"):
        Manifest.read([tmp_path / "set/val/0.tar", tmp_path / "set/val/0.tar"])


def test_two_members_are_two_files(tmp_path):
    path = tar(tmp_path / "s.tar", {"a.mp4": b"v", "b.mp4": b"w"})
    old = Manifest((Video("x", path / "a.mp4"),))
    assert old.merged(old) == old
    with pytest.raises(DataError, match="the video_id 'x' is"):
        old.merged(Manifest((Video("x", path / "b.mp4"),)))


@pytest.mark.parametrize("cut", [100, 512, 900, 1536])
def test_a_tar_that_is_cut(tmp_path, cut):
    path = tar(tmp_path / "s.tar", {"a.mp4": b"v" * 700, "b.mp4": b"w"})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"s\.tar: is a damaged tar"):
        Manifest.read([path])


def test_a_tar_with_a_broken_header(tmp_path):
    path = tar(tmp_path / "s.tar", {"a.mp4": b"v", "b.mp4": b"w"})
    data = bytearray(path.read_bytes())
    data[1024:1100] = b"\xff" * 76
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"s\.tar: is a damaged tar"):
        Manifest.read([path])


def test_tars_that_cannot_be_read(tmp_path):
    plain = tar(tmp_path / "s.tar", {"a.mp4": b"v"}).read_bytes()
    for name, data, message in [
        ("z.tar", gzip.compress(plain), r"z\.tar: is compressed \(gzip\); expected an uncompressed tar"),
        ("z.tar.gz", gzip.compress(plain), r"z\.tar\.gz: is compressed"),
        ("t.tar", b"text" * 200, r"t\.tar: is a damaged tar"),
    ]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=message):
            Manifest.read([tmp_path / name])
    for member, message in [
        ("notes.txt", "holds 1 member, none of them a video"),
        ("../a.mp4", "leads out of the tar"),
    ]:
        with pytest.raises(DataError, match=message):
            Manifest.read([tar(tmp_path / "u.tar", {member: b"v"})])


def test_members_that_are_not_taken_are_counted(tmp_path):
    members = {
        "a.mp4": b"v",
        "a.cls": b"run",
        "._a.mp4": b"x",
        "__MACOSX/a.mp4": b"x",
        "b.f4v": b"v",
        "c.jpg": b"x",
        "notes.txt": b"x",
        "README": b"x",
    }
    path = tar(tmp_path / "s.tar", members)
    with tarfile.open(path, "a") as file:
        fifo = tarfile.TarInfo("d.mp4")
        fifo.type = tarfile.FIFOTYPE
        file.addfile(fifo)
    (tmp_path / "index.json").touch()
    intake = read_videos([tmp_path])
    assert [(video.video_id, video.label) for video in intake.videos] == [("s/a", "run")]
    one = dict.fromkeys((".f4v", ".json", ".txt", "no suffix", "not a regular file", "picture beside videos"), 1)
    assert intake.counts == {"hidden": 2, **one}
    assert intake.not_taken[".f4v"] == (path / "b.f4v",)
    by_content = read_videos([path], is_video=lambda found: found.name in ("b.f4v", "README"))
    assert [video.video_id for video in by_content.videos] == ["s/a", "s/b", "s/README"]


def test_two_members_of_one_stem(tmp_path):
    path = tar(tmp_path / "s.tar", {"a.mp4": b"v", "a.avi": b"w", "a.cls": b"run", "b.mp4": b"v"})
    assert [(video.video_id, video.label) for video in Manifest.read([path]).videos] == [
        ("s/a.mp4", "run"),
        ("s/a.avi", "run"),
        ("s/b", ""),
    ]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train/0.tar", "val/0x.tar"), ["train", "val"]),
        (("train/0.tar",), ["train"]),
        (("bus/0.tar", "train/1.tar"), ["", ""]),
        (("0.tar", "train/1.tar"), ["", "train"]),
    ],
)
def test_the_folder_of_a_tar_may_be_its_split(tmp_path, names, splits):
    paths = [tar(tmp_path / "set" / name, {"a.mp4": b"v"}) for name in names]
    for sources in ([tmp_path / "set"], paths):
        assert [video.split for video in Manifest.read(sources).videos] == splits
    tar(tmp_path / "set" / "extra" / "9.tar", {"a.mp4": b"v"})
    if len(set(splits) - {""}) > 1:
        with pytest.raises(DataError, match="'train', which is named after a split, beside 'extra'"):
            Manifest.read([tmp_path / "set"])


def test_labels_in_the_other_unicode_form_or_in_capitals(tmp_path):
    members = {"cafe\u0301.mp4": b"v", "caf\u00e9.cls": b"run", "b.MP4": b"v", "b.JSON": b'{"label": "jump"}'}
    intake = read_videos([tar(tmp_path / "s.tar", members)])
    assert [(video.video_id, video.label) for video in intake.videos] == [("s/caf\u00e9", "run"), ("s/b", "jump")]
    assert not intake.counts
