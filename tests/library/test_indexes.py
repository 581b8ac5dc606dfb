"""Indexes, labels and episodes from Python."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.store import DataError, FeatureStore

NUM_TRAIN = 3  # clips of each class in the bank


def test_an_index_finds_learns_and_labels(framebank: Any, bank: FeatureStore, tmp_path: Path) -> None:
    index = fb.index(bank, tmp_path / "index", split="train")
    first = bank.manifest.split("train").videos[0]
    by_id = index.search(first.video_id, k=3)
    assert first.video_id not in [hit.video_id for hit in by_id]
    by_file = index.search(first.path, k=1)
    assert (by_file[0].video_id, by_file[0].label) == (first.video_id, first.label)
    assert by_file[0].score == pytest.approx(1, abs=1e-3)
    by_vector = index.search(bank[first.video_id].data.astype(np.float32).mean(0), k=2)
    assert len(by_vector) == 2
    by_text = index.search("a person lying on the floor", k=4, keep_all=True)
    command = framebank("search", index.path, "--text", "a person lying on the floor", "-k", 4, "--all")
    assert command.stdout == f"{by_text!r}\n"
    assert by_text[1:].hits == by_text.hits[1:]
    assert by_text._repr_html_().count("data:image/jpeg;base64,") == 4
    with pytest.raises(DataError, match="is empty"):
        index.search_text(" ")
    tests = bank.manifest.split("test").videos
    made = index.enroll("my handshake", [tests[0].path, tests[1].path])
    assert made.num_enrolled == 2
    assert "my handshake" in [hit.label for hit in index.search(tests[0].path, k=3)]
    assert index.label(tests[0].path).label
    reopened = fb.open(index.path)
    assert isinstance(reopened, fb.SearchIndex)
    assert len(reopened) == len(index) == NUM_TRAIN * len(bank.manifest.labels) + 2
    assert index.thresholds.classes[0].label == "my handshake"
    told = index.calibrate(share=0.5)
    assert told.to_dict() == json.loads(framebank("calibrate", index.path, "--share", 0.5, "--json").stdout)
    assert framebank("calibrate", index.path, "--share", 0.5).stdout == f"{told!r}\n"
    assert "<td>my handshake</td>" in told._repr_html_()
    assert not index.update(bank).difference
    assert index.enrolled == ("my handshake",)
    assert index.unenroll("my handshake") == 2
    assert len(index) == NUM_TRAIN * len(bank.manifest.labels)


def test_several_sources_are_asked_together(
    framebank: Any, bank: FeatureStore, run: fb.TrainedRun, tmp_path: Path
) -> None:
    index, names = fb.index(bank, tmp_path / "index"), tmp_path / "names.txt"
    names.write_text("\n".join(bank.manifest.labels))
    clip = bank.manifest.videos[0].path
    found = fb.label([clip, tmp_path / "gone.mp4"], run=run, index=index, labels=names)
    assert [answer.by for answer in found[0].answers] == ["run", "texts", "neighbours"]
    assert found[0].label == run.label(clip).label
    asked = ("--run", run.path, "--index", index.path, "--labels", names)
    printed = framebank("label", clip, tmp_path / "gone.mp4", *asked, "--json", exit_code=1)
    assert json.loads(printed.stdout) == json.loads(json.dumps(found.to_dict()))
    told = fb.predict(bank, "test", run=run, csv=tmp_path / "labels.csv")
    assert [one.label for one in told.labels] == [one.label for one in run.predict(bank, "test")]
    shown = framebank("predict", bank.path, "--run", run.path, "--split", "test", "--csv", tmp_path / "labels.csv")
    assert shown.stdout == f"{told!r}\n"
    assert fb.predict(bank, "test", run=run).to_dict()["labelled"] == len(told.labels)
    wrong: dict[str, dict[str, Any]] = {
        "give at least one of run, index, labels and prompts": {},
        "like brings its own model": {"labels": ["a"], "like": bank, "model": "demo"},
        "holds its own classes, templates and texts; give it without labels": {"prompts": names, "labels": names},
        "expected a store that has it": {"labels": ["a", "b"]},
    }
    for sentence, options in wrong.items():
        with pytest.raises(DataError, match=sentence):
            fb.label(clip, **options)


def test_episodes_are_scored_compared_and_trained_on(framebank: Any, bank: FeatureStore, tmp_path: Path) -> None:
    drawn: dict[str, Any] = {"split": "train", "episodes": 40}
    report = fb.fewshot(bank, "otam", options={"smoothing": 0.5}, **drawn)
    options = ("--split", "train", "--episodes", 40, "--option", "smoothing=0.5", "--json")
    printed = json.loads(framebank("fewshot", bank.path, *options).stdout)
    assert [row["accuracy"] for row in printed["scores"]] == [score.accuracy for score in report.scores]
    assert report.interval and report.interval[0] < report.accuracy < report.interval[1]
    assert repr(report).startswith("matcher") and "<td>otam(smoothing=0.5)</td>" in report._repr_html_()
    both = fb.fewshot_compare(bank, tmp_path / "table", matchers=["mean", "max"], shots=[1, 2], **drawn)
    assert [score.accuracy for score in both.reports[0].scores if score.matcher == "mean"] == [
        score.accuracy for score in report.scores if score.matcher == "mean"
    ]
    assert (tmp_path / "table" / "results.md").read_text().splitlines() == both.markdown()
    quick: dict[str, Any] = {"steps": 4, "val_every": 2, "val_episodes": 4, "query": 1, "episodes": 1}
    with pytest.warns(fb.DataWarning, match="what is kept is chosen on the split 'test'"):
        made = fb.fewshot_train(bank, tmp_path / "trx", "trx", options={"width": 16}, way=4, val_split="test", **quick)
    opened = fb.open(tmp_path / "trx")
    assert isinstance(opened, fb.TrainedMatcher) and opened.labels == made.labels
    assert fb.fewshot(bank, run=opened, **drawn).accuracy == fb.fewshot(bank, run=made, **drawn).accuracy
    with pytest.raises(DataError, match="way is 1, so there is no other class"):
        fb.fewshot(bank, way=1)
    with pytest.raises(DataError, match="reads no texts; labels, prompts"):
        fb.fewshot_train(bank, tmp_path / "new", "trx", labels=["a"])
    assert not (tmp_path / "new").exists()


def test_names_that_are_given_are_no_place(bank: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of names lies nowhere, so a folder that is called labels is free for the table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels").mkdir()
    fb.predict(bank, "test", labels=list(bank.manifest.labels), csv="labels/out.csv")
    assert (tmp_path / "labels" / "out.csv").read_text(encoding="utf-8").startswith("video_id,path")


def test_an_index_searches_on_the_device_that_is_named(bank: FeatureStore, tmp_path: Path) -> None:
    index = fb.index(bank, tmp_path / "index", device="auto")
    assert index.whole.device == "auto"
    index.update(bank)
    assert index.whole.device == "auto"


def test_a_text_is_no_file_however_long_it_is(bank: FeatureStore, tmp_path: Path) -> None:
    index = fb.index(bank, tmp_path / "index")
    assert len(index.search("a person " * 60, k=2, keep_all=True)) == 2
    assert bank.ids[0] in index and "none" not in index


def test_what_is_not_reached_of_what_was_asked_for_is_told(bank: FeatureStore, tmp_path: Path) -> None:
    told = "slower than 1e-06 ms (--budget)"
    assert fb.index(bank, tmp_path / "videos", budget=1e-9).lines()[-1] == told
    made = fb.index(bank, tmp_path / "slow", level="frame", budget=1e-9)
    assert made.lines()[-1] == told
    found = made.whole.searched
    assert found.measured and made.measured
    made.whole.searched = replace(found, measured=replace(found.measured, recall=0.5, p95=0.0))
    assert made.lines()[-1] == f"less than 95 % (--recall): no setting of the type {made.measured.type} finds more"
    made.whole.searched = replace(found, measured=replace(found.measured, recall=0.95, p95=0.0))
    assert made.lines()[-1].endswith("ms")
