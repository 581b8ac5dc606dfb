"""The commands on a folder that changes, and on labels that are set by hand."""

import json
import shutil

import pytest

from framebank.store import FeatureStore
from framebank.tests.worlds.bank import put, replan, write_store
from framebank.tests.worlds.cli import sentence


@pytest.fixture
def videos(tmp_path):
    for name, content in {"run/a": "A", "run/b": "B", "walk/c": "C"}.items():
        put(tmp_path / "videos" / f"{name}.mp4", content)
    return tmp_path / "videos"


@pytest.fixture
def bank(tmp_path, videos):
    return write_store(tmp_path / "bank", videos)


def labels(bank, column="label"):
    return {video.video_id: getattr(video, column) for video in FeatureStore(bank).manifest.videos}


@pytest.mark.slow
def test_extract_follows_its_folder(framebank, clips, tmp_path):
    videos, bank = tmp_path / "videos", tmp_path / "bank"
    for name in ("waving", "walking"):
        shutil.copytree(clips / name, videos / name)
    framebank("extract", videos, bank, "--model", "demo", "--frames", 2)
    one, two, three = sorted((videos / "waving").glob("*train*"))
    (videos / "jumping").mkdir()
    one.rename(videos / "jumping" / one.name)
    shutil.copyfile(clips / "bowing" / "bowing_test_00.mp4", two)
    three.unlink()
    framebank("store", "relabel", bank, "--set", "walking/*=strolling")
    result = framebank("extract", videos, bank, "--json")
    report = json.loads(result.stdout)
    assert "as in" in result.stderr and "model demo, sampling segments:2" in result.stderr
    counts = ("videos", "embedded", "changed", "moved", "gone", "failed", "already_there")
    assert [report[name] for name in counts] == [7, 0, 1, 1, 1, 0, 7]
    assert report["not_taken"] == {} and len(report["drift"]["set_by_hand"]) == 4
    old = FeatureStore(bank)[f"waving/{two.stem}"].data
    told = framebank("extract", videos, bank, "--refresh", "--prune").stdout
    assert "1 embedded (1 again), 0 failed, 6 already there" in told
    store = FeatureStore(bank)
    assert (old != store[f"waving/{two.stem}"].data).any()
    assert labels(bank)[f"jumping/{one.stem}"] == "jumping" and f"waving/{three.stem}" not in store
    assert labels(bank)["walking/walking_test_00"] == "strolling"
    report = json.loads(framebank("extract", videos, bank, "--json").stdout)
    assert [report[name] for name in counts] == [7, 0, 0, 0, 0, 0, 7]
    told = sentence(framebank("extract", videos, bank, "--view", "flip", exit_code=1))
    assert "was made with view 'centre', this extraction with view 'flip'" in told


def test_an_output_inside_its_input_is_refused(framebank, bank, videos, tmp_path):
    for out in (videos / "bank", videos, videos / "run" / ".." / "bank"):
        told = sentence(framebank("extract", videos, out, "--model", "demo", exit_code=1))
        assert "which is read; expected another place for the store" in told
    (tmp_path / "link").symlink_to(videos)
    framebank("extract", tmp_path / "link", videos / "bank", "--model", "demo", exit_code=1)
    for command in (
        ("store", "export", bank, bank / "features"),
        ("store", "split", bank, bank / "parts", "--by", "label"),
        ("store", "merge", bank, bank / "whole"),
        ("store", "import", videos, videos / "bank"),
    ):
        told = sentence(framebank(*command, exit_code=1))
        assert "which is read" in told or f"is inside the store {bank}; expected another place" in told
    assert sorted(path.name for path in videos.iterdir()) == ["run", "walk"]


def test_status(framebank, bank, videos):
    assert framebank("store", "status", bank).stdout == "3 videos: 3 as embedded, 0 new, 0 failed before\n"
    (videos / "run/a.mp4").rename(videos / "walk/a.mp4")
    put(videos / "run/b.mp4", "other")
    put(videos / "run/new.mp4", "new")
    assert framebank("store", "status", bank, videos).stdout.splitlines() == [
        "4 videos: 2 as embedded, 1 new, 0 failed before",
        "changed: 1, --refresh embeds them again; until then they keep their old rows (run/b)",
        "moved: 1, they keep their rows (run/a -> walk/a)",
    ]
    assert json.loads(framebank("store", "status", bank, "--json").stdout)["drift"]["gone"] == ["run/a"]
    assert sorted(labels(bank)) == ["run/a", "run/b", "walk/c"]  # it changes nothing


def test_relabel_by_patterns_and_by_a_file(framebank, bank, tmp_path):
    assert framebank("store", "relabel", bank, "--set", "run/*=jog", "--set", "run/b=jump").stdout.splitlines() == [
        f"2 values set by hand in {bank}",
        "run/a: label run -> jog",
        "run/b: label run -> jump",
    ]
    (tmp_path / "l.csv").write_text("video_id,path,label,split\nrun/a,x,sit,test\nwalk/c,y,,train\n")
    report = json.loads(framebank("store", "relabel", bank, tmp_path / "l.csv", "--json").stdout)
    assert (len(report["changed"]), report["columns_not_used"]) == (3, ["path"])
    assert labels(bank) == {"run/a": "sit", "run/b": "jump", "walk/c": "walk"}
    assert labels(bank, "split") == {"run/a": "test", "run/b": "", "walk/c": "train"}
    assert "3 values set back" in framebank("store", "relabel", bank, "--undo").stdout
    framebank("store", "relabel", bank, "--undo")
    assert labels(bank) == {"run/a": "run", "run/b": "run", "walk/c": "walk"}
    assert "there is no change by hand left" in sentence(framebank("store", "relabel", bank, "--undo", exit_code=1))
    framebank("store", "relabel", bank, "--set", "*=test", "--column", "split")
    assert set(labels(bank, "split").values()) == {"test"}


def test_undo_says_that_a_video_has_moved_since(framebank, bank, videos):
    framebank("store", "relabel", bank, "--set", "run/a=jog")
    (videos / "run").rename(videos / "running")
    replan(bank, videos)
    said = framebank("store", "relabel", bank, "--undo").stdout.splitlines()
    assert said[1:] == [
        "running/a: label jog -> run",
        "moved since that change: running/a; the values are those of before, and `framebank extract` takes those of "
        "the folder",
    ]
    replan(bank, videos)
    assert labels(bank)["running/a"] == "running"


def test_relabel_refuses_and_changes_nothing(framebank, bank, tmp_path):
    before = {path.name: path.read_bytes() for path in bank.iterdir()}
    path = tmp_path / "l.csv"
    for text, told in {
        "video_id,label\nrun/a,x\nrun/z,y\n": "line 3: there is no video 'run/z'; near names: 'run/",
        "video_id,path\nrun/a,x\n": "expected video_id and any of label, split",
        "video_id,label\nrun/a,x\nrun/a,y\n": "line 3: the label of 'run/a' is 'y', but different in an earlier line",
        "video_id,label\nrun/a,x,y\n": "line 2: has 3 values, but the first line names 2 columns",
        "video_id,label\nrun/a,x;;y\n": "has nothing on one side of a ';'",
    }.items():
        path.write_text(text)
        assert told in sentence(framebank("store", "relabel", bank, path, exit_code=1))
    assert "'x*=y': the store has no video like 'x*'" in sentence(
        framebank("store", "relabel", bank, "--set", "x*=y", exit_code=1)
    )
    assert "expected ID=VALUE" in sentence(framebank("store", "relabel", bank, "--set", "x", exit_code=1))
    assert "cannot be set by hand" in sentence(
        framebank("store", "relabel", bank, "--set", "x=y", "--column", "path", exit_code=1)
    )
    framebank("store", "relabel", bank, exit_code=2)
    framebank("store", "relabel", bank, path, "--undo", exit_code=2)
    assert "no such store" in sentence(framebank("store", "relabel", tmp_path, "--undo", exit_code=1))
    assert {path.name: path.read_bytes() for path in bank.iterdir()} == before | {"writer.lock": b""}


def test_rm_by_patterns_and_conditions(framebank, bank):
    for arguments in (("x*",), ("run/a", "x"), ("--where", "label=x"), ("walk/*", "--where", "label=run")):
        assert "nothing was removed" in sentence(framebank("store", "rm", bank, *arguments, exit_code=1))
    assert "no column 'lable'" in sentence(framebank("store", "rm", bank, "--where", "lable=x", exit_code=1))
    framebank("store", "rm", bank, exit_code=2)
    assert len(FeatureStore(bank)) == 3
    report = json.loads(framebank("store", "rm", bank, "*/b", "--where", "label=run", "--json").stdout)
    assert (report["removed"], report["embedded"]) == (["run/b"], 1)
    assert "removed: run/a" in framebank("store", "rm", bank, "--where", "label=run").stdout
    assert "no videos left" in sentence(framebank("store", "rm", bank, "*", exit_code=1))
    assert FeatureStore(bank).ids == ("walk/c",)


def test_a_file_with_brackets_in_its_name_is_no_pattern(framebank, tmp_path):
    put(tmp_path / "v" / "a[1].mp4", "A")
    put(tmp_path / "v" / "a1=b.mp4", "B")
    bank = write_store(tmp_path / "bank", tmp_path / "v")
    framebank("store", "relabel", bank, "--set", "a[1]=x", "--set", "a1=b=y")
    assert labels(bank) == {"a[1]": "x", "a1=b": "y"}
