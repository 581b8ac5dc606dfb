"""`framebank fewshot-train`, and `framebank fewshot --run`, through the door."""

import json

import pytest

from framebank.store import FeatureStore, Manifest
from framebank.tests.worlds.heads import CLASSES, write_world

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = ("--steps", 6, "--val-every", 3, "--val-episodes", 8, "--query", 2, "--episodes", 2, "--device", "cpu")
NARROW = ("--option", "width=16", "--way", 4, *QUICK)


@pytest.fixture
def own(tmp_path):
    """A store to change; its encoder is known to no model, so texts come from a file of prompts."""
    world = write_world(tmp_path / "store")
    world.prompts.write(tmp_path / "prompts.h5")
    return tmp_path / "store"


def test_a_matcher_is_trained_and_scores(own, framebank, tmp_path):
    run = tmp_path / "run"
    result = framebank("fewshot-train", own, run, *NARROW)
    assert result.stdout.splitlines()[0].startswith("trx, 4-way 1-shot, on 48 videos of 4 classes in ")
    assert "on 4 validation classes (4 of them trained on)" in result.stdout
    assert result.stdout.splitlines()[-1] == f"next: framebank fewshot {own} --run {run}"
    assert {path.name for path in run.iterdir()} == {"matcher.safetensors", "recipe.json", "log.csv"}
    scored = framebank("fewshot", own, "--run", run, "--way", 4, "--episodes", 20, "--device", "cpu", "--json")
    report = json.loads(scored.stdout)
    assert report["matcher"] == "trained:trx"
    assert [row["matcher"] for row in report["scores"]] == ["trained:trx", "mean"]
    facts = report["made_by"]
    assert facts["classes_trained_on"] == 4
    assert facts["fewshot_recipe"]["options"] == {"width": 16}
    assert facts["frames"] == 8  # as in its training
    assert not facts["frame_norm"]
    again = json.loads(
        framebank("fewshot", own, "--run", run, "--matcher", "otam", "--way", 4, "--episodes", 20, "--json").stdout
    )
    assert [row["matcher"] for row in again["scores"]] == ["trained:trx", "otam", "mean"]
    assert again["accuracy"] == report["accuracy"]
    assert again["made_by"]["protocol_hash"] == facts["protocol_hash"]
    for count in (0, 2):  # 0 is all, also of a run that was trained on 8
        other = framebank("fewshot", own, "--run", run, "--way", 4, "--episodes", 2, "--frames", count, "--json").stdout
        assert json.loads(other)["made_by"]["frames"] == count
    told = framebank("fewshot", own, "--run", run, "--way", 4, "--episodes", 20).stdout
    assert "run        trained on 4 of these classes" in told


def test_a_matcher_that_reads_texts(own, framebank, tmp_path):
    run, prompts = tmp_path / "run", tmp_path / "prompts.h5"
    options = ("--matcher", "ma-clip", "--option", "metric=bi-mhm", "--way", 4, *QUICK, "--prompts", prompts, "--json")
    report = json.loads(framebank("fewshot-train", own, run, *options).stdout)
    assert report["recipe"]["options"] == {"metric": "bi-mhm"}
    assert (report["texts"], report["val_classes"]) == ("names", 4)
    scored = framebank(
        "fewshot", own, "--run", run, "--prompts", prompts, "--way", 4, "--episodes", 20, "--device", "cpu", "--json"
    )
    facts = json.loads(scored.stdout)["made_by"]
    assert (facts["matcher"], facts["texts"]) == ("trained:ma-clip", "names")
    without = framebank("fewshot", own, "--run", run, "--way", 4, exit_code=1)
    assert "the matcher 'ma-clip' needs the texts of the classes" in without.stderr


def test_classes_are_split_by_a_file(own, framebank, tmp_path):
    splits = tmp_path / "classes.json"
    splits.write_text(json.dumps(dict(zip(CLASSES, ("train", "train", "val", "test"), strict=True))))
    options = ("--option", "width=16", "--way", 2, *QUICK, "--class-split", splits, "--json")
    refused = framebank("fewshot-train", own, tmp_path / "run", *options, exit_code=1)
    assert "the validation videos: all are of one class, 'rise'; expected two or more" in refused.stderr
    splits.write_text(json.dumps(dict(zip(CLASSES, ("train", "train", "val", "val"), strict=True))))
    report = json.loads(framebank("fewshot-train", own, tmp_path / "run", *options).stdout)
    assert (report["train_classes"], report["val_classes"], report["val_classes_also_trained"]) == (2, 2, 0)
    lines = framebank("fewshot-train", own, tmp_path / "run", *options[:-1], "--overwrite").stdout.splitlines()
    assert lines[-1] == f"next: framebank fewshot {own} --run {tmp_path / 'run'} --class-split {splits}"


def test_without_a_validation_split_the_last_step_is_kept(own, framebank, tmp_path):
    videos = FeatureStore(own).manifest.videos
    Manifest(tuple(video for video in videos if video.split != "val")).write(own / "manifest.csv")
    told = framebank("fewshot-train", own, tmp_path / "run", *NARROW).stdout
    assert "no validation videos: the last step is kept" in told
    missing = framebank("fewshot-train", own, tmp_path / "other", *NARROW, "--val-split", "val", exit_code=1)
    assert "val" in missing.stderr
    assert not (tmp_path / "other").exists()


def test_what_is_wrong_is_said(own, framebank, tmp_path):
    run = tmp_path / "run"
    framebank("fewshot-train", own, run, *NARROW)
    taken = framebank("fewshot-train", own, run, *NARROW, exit_code=1)
    assert "already holds a matcher; choose another folder, or overwrite it (--overwrite)" in taken.stderr
    framebank("fewshot-train", own, run, *NARROW, "--overwrite", "--seed", 1)
    wrong = framebank("fewshot-train", own, run, "--option", "width", exit_code=2)
    assert "the option is 'width'; expected NAME=VALUE, such as smoothing=0.5" in wrong.stderr
    unknown = framebank("fewshot-train", own, tmp_path / "new", "--option", "depth=3", exit_code=1)
    assert "has no option 'depth'; it has cardinalities, width, dropout" in unknown.stderr
    texts = framebank("fewshot-train", own, tmp_path / "new", *NARROW, "--texts", "names", exit_code=2)
    assert "the matcher 'trx' reads no texts" in texts.stderr
    shared = framebank("fewshot-train", own, tmp_path / "new", *NARROW, "--val-split", "train", exit_code=1)
    assert "is in the split train and in train; name two splits that share no video" in shared.stderr
    nothing = framebank("fewshot-train", own, tmp_path / "new", "--matcher", "otam", *QUICK, "--way", 4, exit_code=1)
    assert "the matcher 'otam' has nothing to train" in nothing.stderr
    no_run = framebank("fewshot", own, "--run", tmp_path / "new", exit_code=1)
    assert "no such run; expected a folder made by `framebank fewshot-train`" in no_run.stderr
    assert not (tmp_path / "new").exists()
