"""Thresholds of several labels through the commands: fitted, used by all that give labels, measured, taken out."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.heads.confidence.thresholds import KEPT, LabelThresholds
from framebank.heads.evaluation.fitting import write_fitted
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import write_world
from framebank.tests.worlds.several import write_several

QUICK = ("--head", "mean", "--classifier", "linear", "--epochs", 4)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, framebank: Any) -> tuple[Path, Path]:
    """A store of several labels, and a run of it with thresholds."""
    folder = tmp_path_factory.mktemp("thresholds")
    (folder / "store").mkdir()
    store = write_several(folder / "store").store.path
    framebank("train", store, folder / "run", *QUICK, "--loss", "bce")
    framebank("thresholds", folder / "run")
    return store, folder / "run"


def test_labels_above_their_thresholds_are_given_and_measured(
    framebank: Any, fitted: tuple[Path, Path], tmp_path: Path
) -> None:
    store, run = fitted
    report = json.loads(framebank("evaluate", run, "--json").stdout)
    found = report["thresholds"]
    predictions = np.load(run / "predictions.npz")
    given, hits = predictions["scores"] > np.array(found["values"]), predictions["targets"] > 0
    right = (given & hits).sum(0)
    assert found["f1"] == pytest.approx((2 * right / (given.sum(0) + hits.sum(0))).mean())
    assert found["recall"] == pytest.approx(right.sum() / hits.sum())
    assert found["by_class"][1]["precision"] == pytest.approx(right[1] / given.sum(0)[1])
    assert "class mean F1" in framebank("evaluate", run).stdout
    framebank("predict", store, "--run", run, "--split", "test", "--csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        rows = {row["video_id"]: row for row in csv.DictReader(file)}
    names = predictions["labels"]
    for video_id, above, scores in zip(predictions["video_ids"], given, predictions["scores"], strict=True):
        row = rows[str(video_id)]
        assert set(row["label"].split(";")) == (set(names[above]) or {"unknown"})
        if above.any():
            assert float(row["confidence"]) == pytest.approx(scores[above].max(), rel=1e-5)
    assert sum(";" in row["label"] for row in rows.values()) > 5


def test_label_store_writes_all_labels(framebank: Any, fitted: tuple[Path, Path], tmp_path: Path) -> None:
    store, run = fitted
    shutil.copytree(store, tmp_path / "store")
    framebank("store", "relabel", tmp_path / "store", "--set", "test-*=")
    done = fb.label_store(tmp_path / "store", run=run, split="test", threshold=0.0, write=True)
    written = {video.video_id: video.label for video in fb.open(tmp_path / "store").manifest.videos}
    assert done.written and all(written[one.video.video_id] == one.label for one in done.labels if one.by)
    assert any(";" in written[video_id] for video_id in done.written)


def test_an_export_for_fiftyone_has_one_type_of_labels_if_some_videos_are_unknown(
    fitted: tuple[Path, Path], tmp_path: Path
) -> None:
    """The videos have one label each, and the run gives some of them several labels and others none."""
    store = write_world(tmp_path / "store").store
    folder = Path(shutil.copytree(fitted[1], tmp_path / "run"))
    fb.fit_temperature(folder, off=True)
    opened = fb.TrainedRun.open(folder)
    median = float(np.median([one.top(1)[0][1] or 0.0 for one in opened.predict(store)]))
    values = LabelThresholds((median,) * len(opened.run.labels), 20).to_dict()
    write_fitted(replace(opened.run, trained_on={**opened.run.trained_on, KEPT: values}), folder)
    said = {one.label for one in fb.TrainedRun.open(folder).predict(store)}
    assert "unknown" in said and len(said) > 1
    fb.export_fiftyone(store, tmp_path / "out", run=folder)
    samples = json.loads((tmp_path / "out" / "samples.json").read_text())["samples"]
    types = {name: {one[name]["_cls"] for one in samples if name in one} for name in ("ground_truth", "predictions")}
    assert types == {"ground_truth": {"Classifications"}, "predictions": {"Classifications"}}


def test_a_temperature_keeps_them_and_off_takes_them_out(
    framebank: Any, fitted: tuple[Path, Path], tmp_path: Path
) -> None:
    store, run = fitted
    shutil.copytree(run, tmp_path / "run")
    before = [one.label for one in fb.TrainedRun.open(run).predict(store, split="test")]
    framebank("temperature", tmp_path / "run", "--off")
    changed = fb.TrainedRun.open(tmp_path / "run")
    assert [one.label for one in changed.predict(store, split="test")] == before
    framebank("thresholds", tmp_path / "run", "--off")
    without = fb.TrainedRun.open(tmp_path / "run")
    assert without.run.thresholds is None
    assert all(";" not in one.label for one in without.predict(store, split="test"))
    framebank("evaluate", tmp_path / "run")
    told = sentence(framebank("thresholds", tmp_path / "run", "--off", exit_code=1))
    assert "has no thresholds to take out" in told and (tmp_path / "run" / "metrics.json").exists()
    fb.fit_thresholds(tmp_path / "run")
    fb.fit_temperature(tmp_path / "run", by_class=True)
    assert fb.TrainedRun.open(tmp_path / "run").run.thresholds is None


def test_what_cannot_be_fitted(framebank: Any, fitted: tuple[Path, Path], tmp_path: Path) -> None:
    _, run = fitted
    told = sentence(framebank("thresholds", run, "--split", "test", exit_code=1))
    assert "a threshold is not fitted on the split 'test'" in told
    with pytest.raises(fb.DataError, match=r"precision is 1.5; expected a share between 0 and 1"):
        fb.fit_thresholds(run, precision=1.5)
    world = write_world(tmp_path / "store").store.path
    framebank("train", world, tmp_path / "run", *QUICK)
    told = sentence(framebank("thresholds", tmp_path / "run", exit_code=1))
    assert "each of its videos has one label; expected a run of several labels" in told


def test_a_precision_that_no_label_reaches_is_warned_of(
    framebank: Any, fitted: tuple[Path, Path], tmp_path: Path
) -> None:
    """The videos are labelled at random, so that no probability tells which label is right."""
    shutil.copytree(fitted[0], tmp_path / "store")
    rows = fb.open(fitted[0]).manifest.videos
    drawn = np.random.default_rng(0).permutation(len(rows)).tolist()
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        pairs = [(row.video_id, rows[place].label) for row, place in zip(rows, drawn, strict=True)]
        csv.writer(file).writerows([("video_id", "label"), *pairs])
    framebank("store", "relabel", tmp_path / "store", tmp_path / "labels.csv")
    shutil.copytree(fitted[1], tmp_path / "run")
    told = framebank("thresholds", tmp_path / "run", "--store", tmp_path / "store", "--precision", 0.99)
    said = "no label reaches 99.0 % right labels on the split 'val', so the run gives none and answers \"unknown\""
    assert said in " ".join(told.stderr.split())
    assert set(fb.TrainedRun.open(tmp_path / "run").run.thresholds.tolist()) == {1.0}
    assert "unknown" not in framebank("thresholds", tmp_path / "run", "--precision", 0.5).stderr
