"""report to a file .md: a model card of one run, as Hugging Face reads it."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.library.reporting.runs import read_runs
from framebank.library.reporting.trained import trained_notes
from framebank.store import DataError
from framebank.tests.commands.test_compare_runs import write
from framebank.tests.worlds.heads import write_world
from framebank.tests.worlds.several import write_several


def test_a_model_card_is_read_by_hugging_face(tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    right = np.random.default_rng(0).random(100) < 0.6
    for name in ("first", "second"):
        write(tmp_path / name, right)
    fb.report(tmp_path / "first", out=tmp_path / "README.md")
    card = hub.ModelCard.load(tmp_path / "README.md")
    found = {one.metric_name: one for one in card.data.eval_results}
    assert found["top-1 accuracy"].metric_value == pytest.approx(right.mean(), abs=1e-4)
    assert (found["top-1 accuracy"].dataset_split, card.data.model_name) == ("test", "first")
    assert "| Classes | 2 |" in card.text
    with pytest.raises(DataError, match="which is of one run"):
        fb.report(tmp_path / "first", tmp_path / "second", out=tmp_path / "README.md")


def test_a_run_of_several_labels_has_a_model_card(framebank: Any, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    (tmp_path / "store").mkdir()
    store = write_several(tmp_path / "store").store.path
    options = ("--head", "mean", "--classifier", "linear", "--loss", "bce", "--lr", 0.03, "--epochs", 4)
    framebank("train", store, tmp_path / "run", *options)
    card = tmp_path / "README.md"
    for thresholds in (False, True):
        if thresholds:
            framebank("thresholds", tmp_path / "run")
        framebank("evaluate", tmp_path / "run")
        found = fb.report(tmp_path / "run", out=card)
        metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
        low, high = metrics["map_interval"]
        assert found.headline == f"run: mAP {100 * metrics['map']:.1f} % (95 % {100 * low:.1f} to {100 * high:.1f})."
        read = hub.ModelCard.load(card)
        figures = {one.metric_type: one.metric_value for one in read.data.eval_results}
        expected = {"map": metrics["map"]}
        if thresholds:
            expected |= {name: metrics["thresholds"][name] for name in ("f1", "precision", "recall")}
        assert figures == pytest.approx(expected, abs=1e-4)
        assert ("Of the labels above their thresholds" in read.text) is thresholds
    assert read.data.eval_results[0].dataset_split == "test" and "over 4 labels of 40 videos" in read.text
    framebank("evaluate", tmp_path / "run", "--split", "all")
    fb.report(tmp_path / "run", out=card)
    read = hub.ModelCard.load(card)
    assert read.data.eval_results is None and "so these figures are too good" in read.text


def test_a_run_that_is_measured_on_its_training_videos_says_so(
    framebank: Any, one_thread: None, tmp_path: Path
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    store = write_world(tmp_path / "store").store
    options = ("--head", "mean", "--classifier", "ridge")
    framebank("train", store.path, tmp_path / "run", *options)
    framebank("evaluate", tmp_path / "run", "--split", "all")
    learned = sum(v.split == "train" and bool(v.label) and v.video_id in store for v in store.manifest.videos)
    told = f"run was trained on {learned} of the 82 videos that it was measured on, so its figures are too good."
    store.path.rename(tmp_path / "away")  # most sections are left out, and the run still knows its videos
    fb.report(tmp_path / "run", out=tmp_path / "all.html")
    page = (tmp_path / "all.html").read_text()
    assert re.search(rf'</h1>\s*<p class="warning">{told}</p>', page)
    fb.report(tmp_path / "run", out=tmp_path / "all.md")
    card = hub.ModelCard.load(tmp_path / "all.md")
    assert card.data.eval_results is None and f"It was trained on {learned} of these 82 videos" in card.text
    (tmp_path / "away").rename(store.path)
    framebank("evaluate", tmp_path / "run")
    fb.report(tmp_path / "run", out=tmp_path / "test.md")
    assert trained_notes(read_runs([tmp_path / "run"])) == ()
    assert hub.ModelCard.load(tmp_path / "test.md").data.eval_results
