"""The command predict on a real store, folder and list, and label of a folder."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import framebank as fb
from framebank.tests.worlds.cli import LABELS, sentence


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_of_a_store_is_as_right_as_evaluate_says(
    framebank: Any, store: Path, run: Path, tmp_path: Path
) -> None:
    printed = framebank("predict", store, "--run", run, "--split", "test", "--csv", tmp_path / "o.csv").stdout
    assert printed.splitlines()[-1].startswith("16 labelled")
    assert printed.splitlines()[-1].endswith(f"-> {tmp_path / 'o.csv'}")
    with (store / "manifest.csv").open(newline="") as file:
        truth = {row["video_id"]: row for row in csv.DictReader(file) if row["split"] == "test"}
    rows = rows_of(tmp_path / "o.csv")
    assert [row["video_id"] for row in rows] == list(truth)
    assert [row["path"] for row in rows] == [row["path"] for row in truth.values()]
    right = sum(row["label"] == truth[row["video_id"]]["label"] for row in rows) / len(rows)
    assert right == json.loads(framebank("evaluate", run, "--json").stdout)["top1"]
    assert {row["by"] for row in rows} == {"run"}
    assert all(float(row["confidence"]) >= float(row["confidence_2"]) for row in rows)


def test_json_has_what_scripts_rely_on(framebank: Any, store: Path, tmp_path: Path) -> None:
    told = framebank("predict", store, "--labels", LABELS, "--split", "test", "--top", 2, "--json").stdout
    report = json.loads(told)
    assert len(report["videos"]) == report["labelled"] == 16
    for one in report["videos"]:
        assert one["video_id"] and isinstance(one["unsure"], bool)
        assert [set(label) for label in one["labels"]] == [{"label", "confidence"}] * 2
        assert one["labels"][0]["label"] == one["label"]
    zero = json.loads(framebank("zeroshot", store, "--labels", LABELS, "--texts", "descriptions", "--json").stdout)
    with (store / "manifest.csv").open(newline="") as file:
        truth = {row["video_id"]: row["label"] for row in csv.DictReader(file)}
    assert sum(one["label"] == truth[one["video_id"]] for one in report["videos"]) / 16 == zero["top1"]


def test_a_folder_without_labels_is_decoded_in_order(framebank: Any, clips: Path, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    for number, clip in enumerate(sorted((clips / "waving").glob("*.mp4"))):
        shutil.copy(clip, folder / f"{9 - number}.mp4")
    (folder / "bad.mp4").write_bytes(b"no")
    result = framebank("predict", folder, "--run", run, "--csv", tmp_path / "o.csv", "--workers", 2, exit_code=1)
    rows = rows_of(tmp_path / "o.csv")
    assert [row["video_id"] for row in rows] == ["6", "7", "8", "9"]
    assert "bad.mp4" in result.stderr and result.stderr.count("failed: ") == 1
    assert "4 labelled" in result.stdout and "1 failed" in result.stdout
    report = json.loads(framebank("predict", folder, "--run", run, "--json", exit_code=1).stdout)
    assert [one["video_id"] for one in report["failed"]] == ["bad"]
    (folder / "bad.mp4").unlink()
    told = framebank("label", folder, "--run", run, "--json").stdout
    labels = {Path(one["video"]).stem: one["label"] for one in json.loads(told)["videos"]}
    assert labels == {row["video_id"]: row["label"] for row in rows}
    assert json.loads(told)["videos"][0]["video"] == str(folder / "6.mp4")


def test_the_parts_of_a_list_have_their_seconds(framebank: Any, clips: Path, index: Path, tmp_path: Path) -> None:
    video = clips / "waving" / "waving_train_00.mp4"
    (tmp_path / "l.csv").write_text(f"video_id,path,start,end\nb,{video},0.5,1.25\na,{video},,\n")
    framebank("predict", tmp_path / "l.csv", "--index", index, "--csv", tmp_path / "o.csv", "--top", 1)
    rows = rows_of(tmp_path / "o.csv")
    assert [(row["video_id"], row["start"], row["end"]) for row in rows] == [("b", "0.5", "1.25"), ("a", "", "")]
    same = sentence(
        framebank("predict", tmp_path / "l.csv", "--index", index, "--csv", tmp_path / "l.csv", exit_code=1)
    )
    assert "is read by this command" in same
    with pytest.raises(fb.DataError, match="itself, or inside it"):
        fb.predict(tmp_path / "l.csv", index=index, csv=tmp_path / "l.csv")
    assert (tmp_path / "l.csv").read_text().startswith("video_id,path")


def test_a_store_that_lacks_videos_names_them(framebank: Any, store: Path, run: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "s")
    with (tmp_path / "s" / "manifest.csv").open("a") as file:
        file.write("lost,/x/lost.mp4,,test\n")
    result = framebank(
        "predict", tmp_path / "s", "--run", run, "--split", "test", "--csv", tmp_path / "o.csv", exit_code=1
    )
    assert "failed: /x/lost.mp4: has no embedding in" in result.stderr
    assert len(rows_of(tmp_path / "o.csv")) == 16


def test_nothing_is_left_where_nothing_can_be_labelled(framebank: Any, run: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no")
    (tmp_path / "worse.mp4").write_bytes(b"no")
    videos = (tmp_path / "bad.mp4", tmp_path / "worse.mp4")
    told = sentence(framebank("predict", *videos, "--run", run, "--csv", tmp_path / "o.csv", exit_code=1))
    assert "none of 2 videos could be labelled" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "worse.mp4"]


@pytest.mark.parametrize("where", ["manifest.csv", "sub/o.csv", "."])
def test_no_table_inside_a_store(framebank: Any, store: Path, run: Path, where: str) -> None:
    before = sorted(store.rglob("*"))
    told = sentence(framebank("predict", store, "--run", run, "--csv", store / where, exit_code=1))
    assert "expected another place" in told or "is a folder" in told
    assert sorted(store.rglob("*")) == before


def test_wrong_usage(framebank: Any, store: Path, run: Path, tmp_path: Path) -> None:
    framebank("predict", store, exit_code=2)
    framebank("predict", store, "--run", run, "--like", store, exit_code=2)
    framebank("predict", store, "--prompts", run, "--labels", LABELS, exit_code=2)
    two = sentence(framebank("predict", store, store, "--run", run, exit_code=1))
    assert "is a store, given with other sources" in two


def test_evaluate_and_zeroshot_say_that_labels_are_missing(
    framebank: Any, clips: Path, run: Path, tmp_path: Path
) -> None:
    framebank("extract", *sorted((clips / "waving").glob("*")), tmp_path / "s", "--model", "demo", "--frames", 2)
    for command in (("evaluate", run, "--store", tmp_path / "s"), ("zeroshot", tmp_path / "s", "--labels", LABELS)):
        for split in ("test", "all"):
            told = sentence(framebank(*command, "--split", split, exit_code=1))
            assert f"{tmp_path / 's'}: none of the 4 videos of the store has a label" in told
            assert "framebank store relabel" in told and "framebank predict" in told
    rows = (tmp_path / "s" / "manifest.csv").read_text().replace(".mp4,,", ".mp4,waving,", 3)
    (tmp_path / "s" / "manifest.csv").write_text(rows)
    for command in (("evaluate", run, "--store", tmp_path / "s"), ("zeroshot", tmp_path / "s", "--labels", LABELS)):
        assert "left out   1 video without a label" in framebank(*command, "--split", "all").stdout


def test_label_of_one_video_and_of_many_agree(framebank: Any, clips: Path, run: Path, index: Path) -> None:
    videos = sorted((clips / "bowing").glob("*.mp4"))[:3]
    many = json.loads(framebank("label", *videos, "--run", run, "--index", index, "--json").stdout)["videos"]
    for video, found in zip(videos, many, strict=True):
        (alone,) = json.loads(framebank("label", video, "--run", run, "--index", index, "--json").stdout)["videos"]
        assert (alone["video"], alone["label"], alone["by"]) == (str(video), found["label"], found["by"])
        for one, other in zip(alone["labels"], found["labels"], strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=0.02)
