import os
from pathlib import Path

import pytest

from framebank.store import DataError, DataWarning, Manifest, Video
from framebank.store.exchange.sources import Names, open_source
from framebank.tests.places import DATA

OFFICIAL = DATA / "labels"


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def given(*paths: str) -> Manifest:
    return Manifest(tuple(Video(path, Path("/root") / path) for path in paths))


def splits(manifest: Manifest) -> dict[str, str]:
    return {video.video_id: video.split for video in manifest.videos}


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "with space.avi", 'quo"te,.mp4', "é 日本.mkv", "new\nline.mp4"])
def test_csv_round_trip(tmp_path, name):
    manifest = Manifest((Video(name, tmp_path / name, label=name, split="train"), Video("b", Path("/b.mp4"))))
    manifest.write(tmp_path / "m.csv")
    assert Manifest.read_csv(tmp_path / "m.csv") == manifest
    assert Manifest.read([tmp_path / "m.csv"]) == manifest


def test_splits_in_capitals_and_with_blanks(tmp_path):
    rows = ("a,a.mp4,TRAIN", "b,b.mp4, val ", "c,c.mp4,Test", "d,d.mp4, Fold 1", "e,e.mp4,")
    path = write(tmp_path / "m.csv", "video_id,path,split", *rows)
    assert splits(Manifest.read_csv(path)) == {"a": "train", "b": "val", "c": "test", "d": "Fold 1", "e": ""}


def test_the_usual_names_of_splits_are_ours_in_the_csv_of_a_user(tmp_path):
    rows = ("a,a.mp4,training", "b,b.mp4,Validation", "c,c.mp4,testing", "d,d.mp4,fold 1", "e,e.mp4,")
    path = write(tmp_path / "m.csv", "video_id,path,split", *rows)
    told = "m.csv: the split 'Validation' is read as 'val' and 'testing' is read as 'test' and 'training' is read as"
    expected = {"a": "train", "b": "val", "c": "test", "d": "fold 1", "e": ""}
    with pytest.warns(DataWarning, match=told):
        assert splits(Manifest.read([path])) == expected
    with pytest.warns(DataWarning, match=told):
        assert splits(open_source(path, Names()).manifest) == expected
    # the list of a store is read as it was written: an earlier version kept these names
    assert splits(Manifest.read_csv(path))["b"] == "Validation"


@pytest.mark.parametrize("names", [("val", "validation"), ("dev", "valid"), ("dev-1", "developer")])
def test_two_splits_never_become_one(tmp_path, names):
    path = write(tmp_path / "m.csv", "video_id,path,split", *(f"{name},{name}.mp4,{name}" for name in names))
    assert splits(Manifest.read([path])) == {name: name for name in names}


def test_paths_are_relative_to_the_csv(tmp_path):
    path = tmp_path / "sub" / "m.csv"
    path.parent.mkdir()
    path.write_bytes("\ufeffpath,video_id,more\r\nx/a.mp4,a,1\r\n\r\n/abs/b.mp4,b,2\r\n".encode())
    assert Manifest.read_csv(path).videos == (
        Video("a", tmp_path / "sub/x/a.mp4", extra=(("more", "1"),)),
        Video("b", Path("/abs/b.mp4"), extra=(("more", "2"),)),
    )


def test_columns_of_the_user_are_kept(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("video_id,path,Shot On,zoom,label\na,/a.mp4, Monday ,,run\nb,/b.mp4,,2,\nc,/c.mp4,,,\n")
    read = Manifest.read_csv(path)
    assert [video.extra for video in read.videos] == [(("shot_on", "Monday"),), (("zoom", "2"),), ()]
    read.write(tmp_path / "again.csv")
    assert Manifest.read_csv(tmp_path / "again.csv") == read
    assert (tmp_path / "again.csv").read_text().splitlines()[0] == "video_id,path,label,split,shot_on,zoom"
    plain = Manifest(tuple(Video(video.video_id, video.path) for video in read.videos))
    assert read.merged(plain) == read
    assert read.select([1]).columns.extra == {"shot_on": [""], "zoom": ["2"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no column 'video_id' (its columns: none); expected video_id, path, label, split, start, end"),
        (b"id,path\na,b\n", "no column 'video_id' (its columns: id, path)"),
        (b"video_id,label\na,b\n", "no column 'path'"),
        (b"video_id,path\n", "lists no video"),
        (b"video_id,path\na,b\n\nc,\n", "line 4: the video_id or the path is empty"),
        (b"video_id,path\na,b\nc\n", "line 3: the video_id or the path is empty"),
        (b"video_id,path\na;b\n", "line 2: the video_id or the path is empty; the line has one value, 'a;b'"),
        (b"video_id,path\n,b\n", "line 2: the video_id or the path is empty"),
        (b"video_id,path\na,x.mp4\na,y.mp4\n", "the video_id 'a' stands for two videos"),
        (
            b"video_id,path,start,end\na,b,,\na2,b,-1,\n",
            "line 3: the start of 'a2' is -1.0; expected seconds from 0",
        ),
        (b"video_id,path,start,end\na,b,2,2\n", "line 2: the end of 'a' is 2.0; expected seconds after its start, 2.0"),
        (b"video_id,path,start,end\na,b,,0\n", "line 2: the end of 'a' is 0.0; expected seconds after its start, 0.0"),
        (b"video_id,path,start,end\na,b,nan,\n", "line 2: the start 'nan' is not a number of seconds"),
        (b"video_id,path,start,end\na,b,1,inf\n", "line 2: the end 'inf' is not a number of seconds"),
        (
            b"video_id,path,start,end\na,b,0:72,\n",
            "line 2: the start '0:72' is not a number of seconds or a time as",
        ),
        (b"video_id,path,start,end\na,b,0:0:0:1,\n", "line 2: the start '0:0:0:1' is not a number of seconds"),
        (b"video_id,path\na,\xff.mp4\n", "cannot be read as text"),
        (b'video_id,path\na,"' + b"x" * 200_000, "is not CSV (field larger than field limit"),
    ],
)
def test_bad_csv_says_which_and_why(tmp_path, text, message):
    path = tmp_path / "m.csv"
    path.write_bytes(text)
    with pytest.raises(DataError) as error:
        Manifest.read([path])
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_parts_of_a_file_round_trip(tmp_path):
    ranges = [(None, None), (0.0, 1.5), (12.25, None), (None, 0.1), (1e-7, 1 / 3)]
    manifest = Manifest(tuple(Video(f"v{i}", Path("/v.mp4"), "", "", *part) for i, part in enumerate(ranges)))
    manifest.write(tmp_path / "m.csv")
    assert Manifest.read_csv(tmp_path / "m.csv") == manifest
    assert [(v.start, v.end) for v in manifest.videos] == ranges


def test_a_csv_without_parts_is_of_whole_files(tmp_path):
    path = write(tmp_path / "m.csv", "video_id,path,label,split", "a,/a.mp4,x,train")
    assert Manifest.read_csv(path).videos == (Video("a", Path("/a.mp4"), "x", "train", None, None),)


def test_sources_that_are_not_there_or_do_not_go_together(tmp_path):
    a, b, text = touch(tmp_path, "a.mp4", "b.mp4", "m.csv")
    (tmp_path / "empty").mkdir()
    for sources, message in [
        ([], "no videos given"),
        ([tmp_path / "none"], "none: no such file or folder; expected a folder, a manifest CSV or video files"),
        ([tmp_path / "empty"], "empty: holds no video file; expected a folder of class folders"),
        ([a, tmp_path / "empty"], "empty: given with other sources"),
        ([a, text], r"m\.csv: given with other sources"),
    ]:
        with pytest.raises(DataError, match=message):
            Manifest.read(sources)
    assert [v.video_id for v in Manifest.read([a, b]).videos] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "video_id", "label", "split"),
    [
        ("walk/v.1.MP4", "walk/v.1", "walk", ""),
        ("v.mp4", "v", "", ""),
        ("train/walk/v.avi", "train/walk/v", "walk", "train"),
        ("Validation/walk/v.avi", "Validation/walk/v", "walk", "val"),
        ("train/v.avi", "train/v", "", "train"),
        ("set/walk/v.avi", "set/walk/v", "walk", ""),
        ("walk/test/v.avi", "walk/test/v", "test", ""),
    ],
)
def test_folder(tmp_path, name, video_id, label, split):
    (path,) = touch(tmp_path, name)
    touch(tmp_path, "walk/notes.txt", ".avi")
    assert Manifest.read([tmp_path]).videos == (Video(video_id, path, label, split),)


def test_a_class_folder_with_a_semicolon_is_told(tmp_path, recwarn):
    touch(tmp_path, "run/1.mp4", "sit;stand/2.mp4", "sit;stand/3.mp4")
    assert Manifest.read([tmp_path]).labels == ("run", "sit", "stand")
    assert [str(one.message) for one in recwarn] == [
        f"{tmp_path}: the folder 'sit;stand' is read as several classes with ';' between them"
    ]


def test_folders_behind_links_are_read_once(tmp_path):
    touch(tmp_path, "real/v.avi", "videos/run/w.avi")
    (tmp_path / "videos" / "walk").symlink_to(tmp_path / "real")
    (tmp_path / "videos" / "run" / "ring").symlink_to(tmp_path / "videos")
    assert [v.video_id for v in Manifest.read([tmp_path / "videos"]).videos] == ["run/w", "walk/v"]


def test_two_files_of_one_stem_have_ids_that_tell_them_apart(tmp_path):
    avi, mp4, other = touch(tmp_path, "walk/v.avi", "walk/v.mp4", "walk/w.mp4")
    found = {video.video_id: video.path for video in Manifest.read([tmp_path]).videos}
    assert found == {"walk/v.avi": avi, "walk/v.mp4": mp4, "walk/w": other}
    named = Manifest.read([avi, mp4, other])
    assert [video.video_id for video in named.videos] == ["v.avi", "v.mp4", "w"]


def test_a_name_that_is_not_utf8():
    with pytest.raises(DataError, match=r"udcff\.mp4': its name is not UTF-8; rename it"):
        Manifest((Video("a", Path(os.fsdecode(b"/v/\xff.mp4"))),))


def test_split_and_labelled():
    manifest = Manifest((Video("a", Path("a"), "x", "train"), Video("b", Path("b"))))
    assert manifest.split("all") is manifest
    assert [v.video_id for v in manifest.split("train").videos] == ["a"]
    assert manifest.labelled().labels == ("x",)
    with pytest.raises(DataError, match=r"no video is in the split 'val'; the splits are: none \(1\), train \(1\)"):
        manifest.split("val")
    with pytest.raises(DataError, match="no video has a label"):
        Manifest(manifest.videos[1:]).labelled()


def test_few_shot_and_held_out():
    manifest = Manifest(tuple(Video(f"{c}{i}", Path(f"{c}{i}"), c) for c in "xy" for i in range(10)))
    chosen = manifest.few_shot(3, seed=0)
    assert [v.label for v in chosen.videos] == ["x"] * 3 + ["y"] * 3
    assert chosen == manifest.few_shot(3, seed=0) != manifest.few_shot(3, seed=1)
    with pytest.raises(DataError, match="11 shots of each class wanted, but 'x' has 10"):
        manifest.few_shot(11, seed=0)
    rest, held = manifest.held_out(0.2, seed=0)
    assert sorted(v.label for v in held.videos) == ["x"] * 2 + ["y"] * 2
    assert {*rest.videos, *held.videos} == {*manifest.videos}
    assert len(rest) + len(held) == 20
    assert len(manifest.held_out(0, seed=0)[1]) == 0


def test_held_out_of_several_labels():
    videos = tuple(Video(f"v{i}", Path(f"v{i}"), "x;y" if i % 2 else "x") for i in range(20))
    manifest = Manifest((*videos, Video("only", Path("only"), "x;z")))
    for seed in range(20):
        rest, held = manifest.held_out(0.2, seed=seed)
        assert len(held) == 4
        assert {*rest.videos, *held.videos} == {*manifest.videos}
        assert "only" not in {video.video_id for video in held.videos}  # the last of its class
    assert len(manifest.held_out(0, seed=0)[1]) == 0


def test_merged(tmp_path):
    a, b = touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "link").symlink_to(tmp_path)
    old = Manifest((Video("a", a, "x"), Video("c", tmp_path / "gone.mp4")))
    new = Manifest((Video("a", tmp_path / "link" / "a.mp4", "y"), Video("c", b), Video("d", b)))
    assert old.merged(new).videos == new.videos
    with pytest.raises(DataError, match=r"the video_id 'a' is .*a\.mp4 in the store and .*b\.mp4 now"):
        old.merged(Manifest((Video("a", b),)))


def test_a_list_that_gives_no_label_or_no_split_takes_none_away():
    old = Manifest((Video("a", Path("a.mp4"), "x", "train"), Video("b", Path("b.mp4"), "y", "test")))
    bare = Manifest((Video("a", Path("a.mp4")), Video("b", Path("b.mp4")), Video("c", Path("c.mp4"))))
    assert old.merged(bare).videos == (*old.videos, bare.videos[2])
    labels = Manifest((Video("a", Path("a.mp4"), "z"),))
    assert old.merged(labels).videos[0] == Video("a", Path("a.mp4"), "z", "train")
    # Lists of another split say of a video that they leave out that it is in none.
    splits = Manifest((Video("a", Path("a.mp4"), "x"), Video("b", Path("b.mp4"), "y", "train")))
    assert [video.split for video in old.merged(splits).videos] == ["", "train"]


def test_merged_parts_of_a_file(tmp_path):
    (a,) = touch(tmp_path, "a.mp4")
    old = Manifest((Video("a", a, start=1.5, end=3),))
    assert old.merged(Manifest((Video("a", a, "x", start=1.5, end=3),))).labels == ("x",)
    for newer, part in [(Video("a", a), "the whole video"), (Video("a", a, start=1.5), "seconds 1.5 to the end")]:
        with pytest.raises(DataError, match=f"seconds 1.5 to 3 in the store and {part} now"):
            old.merged(Manifest((newer,)))


@pytest.mark.parametrize(
    "line", ["A/v.avi 1", "A/v.avi", "v.avi", "v 300 12", "train0//x/A/v.avi", "other/A/v.mp4 1", " A/v.AVI "]
)
def test_lists_as_they_are_written(tmp_path, line):
    manifest, notes = given("A/v.avi", "A/w.avi").with_splits(
        [write(tmp_path / "trainlist01.txt", line, "", "B/z.avi")]
    )
    assert splits(manifest) == {"A/v.avi": "train", "A/w.avi": ""}
    assert notes[:1] == ["trainlist01.txt: 2 videos listed for train, 1 of them given"]


def test_same_name_in_two_folders(tmp_path):
    train = write(tmp_path / "trainlist01.txt", "A/1.avi 1", "B/2.avi 2")
    test = write(tmp_path / "testlist01.txt", "B/1.avi", "A/2.avi")
    manifest, _ = given("A/1.avi", "B/1.avi", "A/2.avi", "B/2.avi").with_splits([train, test])
    assert splits(manifest) == {"A/1.avi": "train", "B/1.avi": "test", "A/2.avi": "test", "B/2.avi": "train"}
    # where a class was left out, its videos' names do not fall on another class's
    manifest, _ = given("A/1.avi", "A/2.avi").with_splits([train, test])
    assert splits(manifest) == {"A/1.avi": "train", "A/2.avi": "test"}


def test_a_bare_name_of_two_videos(tmp_path):
    names = write(tmp_path / "train.txt", "1.avi")
    with pytest.raises(DataError, match=r"train\.txt: '1' may be /root/A/1\.avi or /root/B/1\.avi"):
        given("A/1.avi", "B/1.avi").with_splits([names])


def test_names_with_spaces(tmp_path):
    manifest, _ = given("play guitar/a b.mp4").with_splits([write(tmp_path / "val.txt", "play guitar/a b.mp4 3")])
    assert splits(manifest) == {"play guitar/a b.mp4": "val"}


def test_bad_lists(tmp_path):
    manifest = given("A/v.avi")
    with pytest.raises(DataError, match=r"train\.txt: no such split file"):
        manifest.with_splits([tmp_path / "train.txt"])
    with pytest.raises(DataError, match=r"list\.txt: its name says neither train, val nor test"):
        manifest.with_splits([write(tmp_path / "list.txt", "A/v.avi")])
    with pytest.raises(DataError, match="none of its 1 videos is among the 1 given"):
        manifest.with_splits([write(tmp_path / "test.txt", "A/w.avi")])
    train = write(tmp_path / "train.txt", "A/v.avi")
    with pytest.raises(DataError, match=r"val\.txt: lists 'A/v.avi' for val, another list for train"):
        manifest.with_splits([train, write(tmp_path / "val.txt", "v.avi")])


@pytest.mark.parametrize(
    ("folder", "names", "counts"),
    [
        ("ucf101", ("trainlist01.txt", "testlist01.txt"), {"train": 9537, "test": 3783}),
        ("ucf101", ("trainlist03.txt", "testlist03.txt"), {"train": 9624, "test": 3696}),
        ("hmdb51", ("train_rgb_split_1.txt", "val_rgb_split_1.txt"), None),
    ],
)
def test_official_lists(folder, names, counts):
    if not OFFICIAL.is_dir():
        pytest.skip("the official lists are not here")
    files = [OFFICIAL / folder / name for name in names]
    lines = [line.split()[0] for file in files for line in file.read_text().splitlines() if line.strip()]
    paths = dict.fromkeys(line if line.endswith(".avi") else f"{line}.avi" for line in lines)
    manifest, _ = given(*paths).with_splits(files)
    expected = counts or {"train": 3570, "val": 1530}
    assert dict(manifest.split_sizes) == expected


def test_a_part_with_other_times_says_what_to_do(tmp_path):
    (a,) = touch(tmp_path, "a.mp4")
    old = Manifest((Video("a", a, start=1.5, end=3),))
    with pytest.raises(
        DataError, match="give the new part another video_id, or remove the old one by `framebank store rm`"
    ):
        old.merged(Manifest((Video("a", a, start=1.5, end=2),)))
