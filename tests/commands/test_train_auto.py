"""`framebank train` and `fb.train` without a head: what is printed, kept, and refused."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import framebank as fb
from framebank.heads.training import auto
from framebank.heads.training.averaging import JudgedAverage
from framebank.heads.training.candidates import candidates_of
from framebank.heads.training.member_choice import AverageGain
from framebank.heads.training.resume import STATE
from framebank.library.auto import read_budget
from framebank.library.comparing.recipe_list import WHEN
from framebank.store import DataError, Manifest
from framebank.tests.places import ROOT
from framebank.tests.worlds.heads import frames_of

FRAMES = frames_of("clap", np.random.default_rng(3))

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def report(framebank: Any, world: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("auto") / "run"
    told = framebank("train", world.store.path, folder, "--budget", "0.5s", "--json")
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def test_json_tells_what_was_tried_and_chosen(report: dict[str, Any]) -> None:
    assert report["judged_by"] == "12 validation videos"
    for one in report["tried"]:
        assert {"name", "score", "interval", "seconds"} <= set(one)
        assert (one["score"] is None) == bool(one["reason"])
    assert report["chosen"] in {one["name"] for one in report["tried"]}
    assert report["why"]
    assert "no text tower" in report["texts_help"]


def test_the_run_serves_as_any_other_and_keeps_why(framebank: Any, report: dict[str, Any]) -> None:
    run = fb.open(report["run"])
    assert isinstance(run, fb.TrainedRun)
    assert run.choice is not None
    assert run.choice.to_dict() == {
        name: report[name] for name in ("tried", "chosen", "members", "why", "texts_help", "judged_by")
    }
    assert f"chosen: {report['chosen']}" in repr(run.choice)
    assert "<table>" in run.choice._repr_html_()
    assert json.loads(framebank("evaluate", report["run"], "--json").stdout)["top1"] > 0.6


def test_an_average_is_one_run_of_its_members(
    framebank: Any, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The world is too small for an average to be clearly better: that of lda and linear is said to be."""
    monkeypatch.setattr(auto, "choose_average", clearly_better)
    monkeypatch.setattr(auto, "candidates_of", lambda *given, **options: candidates_of(*given, **options)[:2])
    told = framebank("train", world.store.path, tmp_path / "run", "--budget", "600s", "--json")
    report = json.loads(told.stdout)
    assert report["chosen"] == "average"
    assert report["members"] == [
        {"name": "lda", "weight": 0.5, "temperature": 2.0},
        {"name": "linear", "weight": 0.5, "temperature": 0.5},
    ]
    assert report["tried"][-1]["name"] == "average"
    assert "the mean of the probabilities of lda, linear has a cross-entropy that is 0.250 below" in report["why"]
    run = fb.open(tmp_path / "run")
    assert isinstance(run, fb.TrainedRun)
    assert [member.name for member in run.run.members] == ["lda", "linear"]
    assert "average of lda, linear on 48 videos" in repr(run)
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open(encoding="utf-8")))
    assert [row["number"] for row in rows] == [str(place) for place in range(1, len(rows) + 1)]
    lines = "\n".join(run.lines())
    assert "averaged: lda (weight 0.50, temperature 2), linear (weight 0.50, temperature 0.5)" in lines
    alone = []
    for name, member in zip(("lda", "linear"), run.run.members, strict=True):
        made = fb.train(world.store, tmp_path / name, recipe=member.recipe)
        alone.append(made.score(FRAMES))
    calibrated = [softmax(np.log(alone[0] + 1e-30) / 2.0), softmax(np.log(alone[1] + 1e-30) / 0.5)]
    assert run.score(FRAMES) == pytest.approx(np.mean(calibrated, axis=0), abs=1e-3)
    assert run.evaluate(split="test").top1 > 0.6


def test_a_training_that_was_killed_goes_on_with_what_was_found(
    framebank: Any, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second member of an average is killed after some epochs. Nothing is tried again."""
    monkeypatch.setattr(auto, "choose_average", clearly_better)
    monkeypatch.setattr(auto, "candidates_of", lambda *given, **options: candidates_of(*given, **options)[:2])
    whole = fb.train(world.store, tmp_path / "whole", budget=600)
    steps: list[int] = []

    def killed(done: int, total: int) -> None:
        steps.append(done)
        if done == total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fb.train(world.store, tmp_path / "run", budget=600, save_every=0, tell=killed)
    assert (tmp_path / "run" / STATE).is_file()
    assert steps == list(range(1, len(steps) + 1))
    with pytest.raises(DataError, match="is the state of a training with seed 0; expected 1, or no resume"):
        fb.train(world.store, tmp_path / "run", seed=1, resume=True)
    with pytest.raises(DataError, match="with another choice of auto; expected the same recipe"):
        fb.train(world.store, tmp_path / "run", recipe=whole.run.members[1].recipe, resume=True)
    monkeypatch.setattr(auto, "candidates_of", None)
    before = len(steps)
    again = fb.train(world.store, tmp_path / "run", resume=True, tell=lambda done, total: steps.append(done))
    assert steps[before] in (before, before + 1)  # the last step may have begun an epoch
    assert again.run.weights_hash == whole.run.weights_hash
    assert again.choice is not None and again.choice.chosen == "average"
    assert [member.name for member in again.run.members] == ["lda", "linear"]
    assert not (tmp_path / "run" / STATE).exists()


def test_a_member_that_was_trained_is_not_trained_again(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two members are trained in epochs, and the second one is killed: the first is taken from the state."""
    monkeypatch.setattr(auto, "choose_average", clearly_better)

    def two_that_learn(*given: Any, **options: Any) -> list[Any]:
        lda, linear, *_ = candidates_of(*given, **options)
        again = replace(linear, name="again", recipes=(replace(linear.recipes[0], weight_decay=0.5),))
        return [linear, again, lda]

    monkeypatch.setattr(auto, "candidates_of", two_that_learn)
    whole = fb.train(world.store, tmp_path / "whole", budget=600)
    steps: list[int] = []

    def killed(done: int, total: int) -> None:
        steps.append(done)
        if steps.count(1) == 2 and done == total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fb.train(world.store, tmp_path / "run", budget=600, save_every=0, tell=killed)
    monkeypatch.setattr(auto, "candidates_of", None)
    before, last = len(steps), steps[-1]
    again = fb.train(world.store, tmp_path / "run", resume=True, tell=lambda done, total: steps.append(done))
    assert steps[before] in (last, last + 1)  # no step of the first member
    assert again.run.weights_hash == whole.run.weights_hash
    made = [list(csv.DictReader((folder / "log.csv").open())) for folder in (tmp_path / "whole", tmp_path / "run")]
    assert [row["loss"] for row in made[0]] == [row["loss"] for row in made[1]]


def test_the_state_of_a_recipe_is_not_taken_for_that_of_a_search(world: Any, tmp_path: Path) -> None:
    def killed(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fb.train(world.store, tmp_path / "run", head="mean", classifier="linear", save_every=0, tell=killed)
    with pytest.raises(DataError, match="is the state of a training of a recipe; expected that recipe"):
        fb.train(world.store, tmp_path / "run", resume=True)
    made = fb.train(world.store, tmp_path / "run", budget=0.001)  # from the start
    assert made.choice is not None and not (tmp_path / "run" / STATE).exists()


def clearly_better(held: Any, best: Any, **others: Any) -> JudgedAverage:
    pairs = zip(held[:2], (2.0, 0.5), strict=True)
    members = tuple(one.member(weight=0.5, temperature=temperature) for one, temperature in pairs)
    return JudgedAverage(members, AverageGain(0.25, 0.05, 0.125, torch.ones(12, dtype=torch.bool)))


def softmax(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(values) / np.exp(values).sum())


def test_its_recipe_trains_the_same_again(framebank: Any, world: Any, report: dict[str, Any], tmp_path: Path) -> None:
    recipe = Path(report["run"]) / "recipe.toml"
    framebank("train", world.store.path, tmp_path / "again", "--recipe", recipe)
    again = fb.open(tmp_path / "again")
    assert isinstance(again, fb.TrainedRun)
    assert again.choice is None
    assert again.run.weights_hash == fb.open(report["run"]).run.weights_hash  # type: ignore[union-attr]


def test_the_table_says_each_way_and_why(framebank: Any, world: Any, tmp_path: Path) -> None:
    told = framebank("train", world.store.path, tmp_path / "run", "--budget", "0.000001s", "--shots", 4)
    lines = told.stdout.splitlines()
    assert lines[0].split() == ["tried", "top-1", "95", "%", "videos", "took"]
    assert lines[1].startswith("lda") and "chosen" in lines[1]
    assert "no time was left; --budget gives more" in lines[2]
    assert any(line.startswith("judged by 4-fold cross-validation over 16 videos") for line in lines)
    assert any(line.startswith("chosen: lda; ") for line in lines)


def test_what_says_how_to_train_trains_that(framebank: Any, world: Any, tmp_path: Path) -> None:
    made = fb.train(world.store, tmp_path / "a", head="mean", classifier="linear", epochs=1)
    assert made.choice is None
    told = framebank("train", world.store.path, tmp_path / "b", "--head", "mean", "--budget", "5m", exit_code=2)
    assert "--budget is for a training that finds its head" in told.stderr
    with pytest.raises(DataError, match="budget is for a training that finds its head"):
        fb.train(world.store, tmp_path / "b", epochs=1, budget=5)


def test_budgets_are_times() -> None:
    assert [read_budget(text) for text in ("90s", "5m", "1h", 30)] == [90, 300, 3600, 30]
    for text in ("soon", "5 parsecs", "0", "-1s", "nan", "5mm"):
        with pytest.raises(DataError, match="expected a time above 0, such as 90s, 5m or 1h"):
            read_budget(text)


def test_what_cannot_be_learned_is_one_sentence(framebank: Any, world: Any, tmp_path: Path) -> None:
    source = world.store.path
    for name, chosen in (("one", ("wave",)), ("none", ())):
        folder = tmp_path / name
        folder.mkdir()
        for path in source.iterdir():
            if path.name != "manifest.csv":
                (folder / path.name).write_bytes(path.read_bytes())
        videos = tuple(
            video if video.label in chosen else type(video)(video.video_id, video.path, "", video.split)
            for video in world.manifest.videos
        )
        Manifest(videos).write(folder / "manifest.csv")
    told = framebank("train", tmp_path / "one", tmp_path / "r", exit_code=1).stderr
    assert "there is one class only, of 12 training videos; expected two classes or more" in told
    told = framebank("train", tmp_path / "none", tmp_path / "r", exit_code=1).stderr
    assert "no video has a label; expected a folder of class folders or a manifest with a label column" in told
    assert not (tmp_path / "r" / "checkpoint.safetensors").exists()


def test_validation_videos_that_leave_out_a_class_are_named(world: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bank"
    folder.mkdir()
    for path in world.store.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    left = tuple(video for video in world.manifest.videos if (video.label, video.split) != ("clap", "val"))
    Manifest(left).write(folder / "manifest.csv")
    with pytest.warns(fb.DataWarning, match="no validation video is of the class 'clap'"):
        made = fb.train(folder, tmp_path / "run", budget=0.01)
    assert made.choice is not None
    assert made.choice.judged_by == "9 validation videos"


def test_the_list_has_each_recipe_with_its_paper_and_its_use(framebank: Any) -> None:
    names = sorted(path.stem for path in (ROOT / "heads" / "recipes").glob("*.toml"))
    assert sorted(WHEN) == names
    found = fb.recipes()
    assert [one.name for one in found.recipes] == names
    assert all("arXiv" in one.paper or "JMLR" in one.paper for one in found.recipes)
    lines = framebank("train", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == names
    assert "Wang et al. 2021, arXiv 2109.08472" in lines[1 + names.index("actionclip")]
    assert "<table>" in found._repr_html_()
    assert found.to_dict()["recipes"][0]["name"] == names[0]
