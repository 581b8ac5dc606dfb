"""The command label-store: names for the unlabelled videos of a store, written on request, and taken back."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import framebank as fb
from framebank.tests.worlds.cli import LABELS, sentence


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory, framebank: Any, store: Path) -> Path:
    """The texts of the demo's classes, embedded once."""
    path = tmp_path_factory.mktemp("bank") / "names.h5"
    framebank("prompts", LABELS, path, "--like", store, "--texts", "descriptions")
    return path


@pytest.fixture
def bare(tmp_path: Path, store: Path, framebank: Any) -> Path:
    """The store with labels for the videos of two classes only."""
    folder = tmp_path / "bare"
    shutil.copytree(store, folder)
    names = sorted({video.label.replace(" ", "_") for video in fb.open(folder).manifest.videos})[2:]
    framebank("store", "relabel", folder, *(word for name in names for word in ("--set", f"{name}_*=")))
    return folder


def labels_of(folder: Path) -> dict[str, str]:
    return {video.video_id: video.label for video in fb.open(folder).manifest.videos}


def test_the_sure_labels_are_written_and_taken_back(framebank: Any, bare: Path, bank: Path, tmp_path: Path) -> None:
    before = labels_of(bare)
    call = ("label-store", bare, "--bank", bank, "--out", tmp_path / "l.csv", "--threshold", 0.6)
    told = json.loads(framebank(*call, "--json").stdout)
    assert labels_of(bare) == before and told["written"] == 0
    assert {one["video_id"] for one in told["videos"]} == {name for name, label in before.items() if not label}
    sure = {one["video_id"]: one["label"] for one in told["videos"] if one["confidence"] >= 0.6}
    assert 0 < len(sure) == told["above_threshold"] < len(told["videos"])
    with (tmp_path / "l.csv").open(newline="") as file:
        rows = {row["video_id"]: row for row in csv.DictReader(file)}
    assert {name: row["label"] for name, row in rows.items()} == {v["video_id"]: v["label"] for v in told["videos"]}
    printed = framebank(*call, "--write").stdout
    assert f"{len(sure)} labels written into {bare}" in printed
    assert labels_of(bare) == before | sure
    again = json.loads(framebank(*call, "--write", "--json").stdout)
    assert again["labelled"] == len(told["videos"]) - len(sure) and again["written"] == 0
    framebank("store", "relabel", bare, "--undo")
    assert labels_of(bare) == before


def test_all_is_right_as_often_as_zeroshot_says(framebank: Any, store: Path, bank: Path, tmp_path: Path) -> None:
    zero = json.loads(framebank("zeroshot", store, "--prompts", bank, "--split", "test", "--json").stdout)
    found = fb.label_store(store, prompts=bank, split="test", everything=True)
    assert found.agreement == zero["top1"] and not found.written and found.csv is None
    assert repr(found).splitlines() == found.lines() and "<table>" in found._repr_html_()


def test_an_index_and_a_run_name_too(framebank: Any, bare: Path, run: Path, index: Path, tmp_path: Path) -> None:
    out = tmp_path / "l.csv"
    by_run = json.loads(framebank("label-store", bare, "--run", run, "--out", out, "--json").stdout)
    assert {one["by"] for one in by_run["videos"]} == {"run"}
    by_index = json.loads(framebank("label-store", bare, "--index", index, "--out", out, "--json").stdout)
    assert {one["by"] for one in by_index["videos"]} == {"neighbours"}
    assert all(0 < one["confidence"] <= 1 for one in by_index["videos"])


def test_predict_joins_texts_and_neighbours_as_label_store_does(
    framebank: Any, bare: Path, bank: Path, index: Path, tmp_path: Path
) -> None:
    asked = ("label-store", bare, "--bank", bank, "--index", index, "--out", tmp_path / "l.csv", "--json")
    named = {one["video_id"]: one for one in json.loads(framebank(*asked).stdout)["videos"]}
    told = json.loads(framebank("predict", bare, "--prompts", bank, "--index", index, "--json").stdout)["videos"]
    found = [one for one in told if one["video_id"] in named]
    assert {one["by"] for one in found} == {"fused"} and len(found) == len(named)
    for one in found:
        other = named[one["video_id"]]
        assert (one["label"], one["labels"][0]["confidence"]) == (other["label"], pytest.approx(other["confidence"]))


def test_what_nothing_names_is_not_counted_as_labelled(framebank: Any, bare: Path, tmp_path: Path) -> None:
    framebank("index", bare, tmp_path / "index")  # of videos without a label
    asked = ("label-store", bare, "--index", tmp_path / "index", "--out", tmp_path / "labels.csv")
    told = json.loads(framebank(*asked, "--json").stdout)
    unknown = sum(one["label"] == "unknown" for one in told["videos"])
    assert unknown and told["labelled"] == len(told["videos"]) - unknown
    line = framebank(*asked).stdout.splitlines()[-1]
    assert line.startswith(f"{told['labelled']} labelled, ") and f", {unknown} unknown -> " in line


def test_wrong_input_is_one_sentence(framebank: Any, store: Path, bank: Path, tmp_path: Path) -> None:
    call = ("label-store", store, "--bank", bank)
    mine = tmp_path / "mine.csv"
    mine.write_text("video_id,label\na,b\n")
    told = sentence(framebank(*call, "--all", "--out", mine, exit_code=1))
    assert "is there already and is not a table of labels" in told and mine.read_text().endswith("a,b\n")
    assert "has a label; expected" in sentence(framebank(*call, "--out", tmp_path / "o.csv", exit_code=1))
    assert "is inside the store" in sentence(framebank(*call, "--all", "--out", store / "o.csv", exit_code=1))
    assert "is a folder" in sentence(framebank(*call, "--all", "--out", tmp_path, exit_code=1))
    with pytest.raises(fb.DataError, match="threshold is"):
        fb.label_store(store, prompts=bank, threshold=1.5)
    with pytest.raises(fb.DataError, match="nothing says how"):
        fb.label_store(store)
    assert not (tmp_path / "o.csv").exists()
