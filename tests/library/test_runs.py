"""Runs from Python: training, figures, labels, and recipes that are compared."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.heads.training.recipe import read_recipe
from framebank.store import DataError, FeatureStore
from framebank.store.errors import DataWarning


def test_zeroshot_says_what_the_command_says(framebank: Any, bank: FeatureStore) -> None:
    report = fb.zeroshot(bank, split="test")
    printed = json.loads(framebank("zeroshot", bank.path, "--json").stdout)
    assert json.loads(json.dumps(report.to_dict())) == printed
    assert framebank("zeroshot", bank.path).stdout == f"{report!r}\n"
    assert report.top1 is not None and report.top5 is not None and report.interval is not None
    assert report.interval[0] < report.top1 < report.interval[1]
    assert report.top5 >= report.top1
    assert sum(map(sum, report.confusion)) == report.videos_evaluated and list(report.classes) == list(report.labels)
    occurring = [value for value in report.classes.values() if value is not None]
    assert np.mean(occurring) == pytest.approx(report.mean_class_accuracy)
    assert len(report.others) == 2  # the ways to average the templates
    assert report.protocol["videos_evaluated"] == report.videos_evaluated
    assert "<td>names</td>" in report._repr_html_()


def test_a_run_scores_and_labels(framebank: Any, bank: FeatureStore, run: fb.TrainedRun, videos: Path) -> None:
    report = run.evaluate(split="test")
    assert json.loads(json.dumps(report.to_dict())) == json.loads(framebank("evaluate", run.path, "--json").stdout)
    assert report.top1 == pytest.approx(0.6, abs=0.4)
    opened = fb.open(run.path)
    assert isinstance(opened, fb.TrainedRun)
    assert opened.labels == run.labels
    assert repr(opened).startswith(f"TrainedRun('{run.path}': mean + linear on ")
    video = next(one for one in bank.manifest.split("train").videos)
    found = run.label(video.path)
    top = found.top(3)
    assert found.label == top[0][0] and len(top) == 3
    assert [score for _, score in top] == sorted((score for _, score in top), reverse=True)  # type: ignore[type-var]
    by_row = dict(zip(run.labels, run.score(bank[video.video_id].data).tolist(), strict=True))
    assert top[0][1] == pytest.approx(by_row[top[0][0]], abs=1e-3)
    several = run.label([video.path, videos / "gone.mp4"])
    assert len(several) == 1 and several[0].label == found.label
    assert "gone.mp4" in several.failed[0].reason
    assert str(several).splitlines()[-1].startswith("failed: ")
    with pytest.raises(DataError, match=r"gone\.mp4"):
        run.label(videos / "gone.mp4")
    stored = run.predict(bank, split="test")
    assert len(stored) == report.videos_evaluated
    right = [one.label == one.video.label for one in stored]
    assert np.mean(right) == pytest.approx(report.top1)


@pytest.mark.parametrize(("head", "told"), [("shift", False), ("conv1d", True)])
def test_a_head_that_no_step_trains_is_said_to_be_as_drawn(
    bank: FeatureStore, tmp_path: Path, head: str, told: bool
) -> None:
    run = fb.train(bank, tmp_path / "run", head=head, classifier="lda", loss="ce", epochs=0)
    said = "\n".join(run.lines())
    assert "nothing was trained by steps" in said
    assert (f"the head {head} is as it was drawn" in said) is told  # a head without parameters is not drawn


def test_train_takes_recipes_options_and_refuses_what_is_none(bank: FeatureStore, tmp_path: Path) -> None:
    made = fb.train(bank, tmp_path / "a", recipe="linear-probe", epochs=1, settings={"batch_size": 8})
    assert (made.run.recipe.epochs, made.run.recipe.batch_size) == (1, 8)
    with pytest.raises(DataError, match="already holds a run"):
        fb.train(bank, tmp_path / "a", recipe="linear-probe", epochs=1)
    fb.train(bank, tmp_path / "a", recipe="linear-probe", epochs=1, overwrite=True)
    with pytest.raises(DataError, match="a recipe has no key 'epoch'"):
        fb.train(bank, tmp_path / "b", epoch=1)
    with pytest.raises(DataError, match="head_mix is 'much'"):
        fb.train(bank, tmp_path / "b", head_mix="much")
    with pytest.raises(DataError, match="reads no lexicon"):
        fb.train(bank, tmp_path / "b", lexicon=tmp_path / "phrases.h5")
    mixed = fb.train(bank, tmp_path / "b", recipe="linear-probe", epochs=1, head_mix="auto", val_split="test")
    assert mixed.head_mix_score is not None and "(head_mix), chosen on those videos" in mixed.lines()[-1]
    opened = fb.open(mixed.path)
    assert isinstance(opened, fb.TrainedRun) and opened.to_dict()["recipe"] == mixed.to_dict()["recipe"]
    deep = fb.train(bank, tmp_path / "c", head="transformer", epochs=1, settings={"head.num_layers": 1})
    assert deep.run.recipe.head_options["num_layers"] == 1


def test_recipes_are_compared(framebank: Any, bank: FeatureStore, tmp_path: Path) -> None:
    probe = read_recipe("linear-probe")
    recipes = {"linear-probe": probe, "regions": replace(probe, stream="regions")}
    found = fb.compare_recipes(bank, tmp_path / "table", recipes, seeds=1, settings={"epochs": 1})
    assert [standing.recipe for standing in found.standings] == ["linear-probe"]
    assert "has no stream 'regions'" in found.refused["regions"]
    assert json.loads((tmp_path / "table" / "compare.json").read_text()) == json.loads(json.dumps(found.to_dict()))
    options = ("--recipes", "linear-probe", "--seeds", 1, "--set", "epochs=1", "--json")
    printed = json.loads(framebank("compare", bank.path, tmp_path / "again", *options).stdout)
    assert [one["score"] for one in printed["standings"]] == [one.score for one in found.standings]
    assert "not run: regions: " in repr(found)
    assert "<td>linear-probe</td>" in found._repr_html_()
    with pytest.raises(DataError, match="two have the same name"):
        fb.compare_recipes(bank, tmp_path / "new", ["knn", "knn"])
    assert not (tmp_path / "new").exists()


def test_several_processes_need_a_head(bank: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(DataError, match="torchrun trains a head that is named"):
        fb.train(bank, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_score_is_what_label_says_of_a_run_with_fewer_frames(bank: FeatureStore, tmp_path: Path) -> None:
    made = fb.train(bank, tmp_path / "r", head="mean", classifier="linear", loss="ce", epochs=2, frames=2)
    for one in made.predict(bank, split="test", top=16):
        scores = made.score(bank[one.video.video_id].data)
        assert one.top(1)[0] == (made.labels[int(scores.argmax())], pytest.approx(scores.max(), abs=1e-5))


def test_figures_of_its_own_training_videos_are_called_so(bank: FeatureStore, tmp_path: Path) -> None:
    run = fb.train(bank, tmp_path / "run", head="mean", classifier="linear", loss="ce", epochs=1)
    with pytest.warns(
        DataWarning, match="was trained on the split train, so its own training videos are in the split all"
    ):
        run.evaluate(split="all")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        run.evaluate(split="test")
