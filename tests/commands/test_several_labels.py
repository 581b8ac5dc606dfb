"""Videos of several labels through the front door."""

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

import framebank as fb
from framebank.heads.predictions import Predictions
from framebank.tests.worlds.several import add_labels

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def several(store, tmp_path_factory):
    """The rendered world, whose videos have a second label, by the first letter of the first; one file of weights."""
    return add_labels(store, tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="module")
def run(several, framebank, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = ("--head", "mean", "--classifier", "linear", "--loss", "bce", "--epochs", 8, "--lr", 0.05)
    result = framebank("train", several, folder, *options)
    assert re.search(r"mAP on \d+ validation videos \d+\.\d % in epoch \d+ of \d+, which is kept", result.stdout)
    return folder


def test_evaluate_prints_map_and_how_many_classes_occur(framebank, several, run):
    printed = framebank("evaluate", run).stdout.splitlines()
    report = json.loads(framebank("evaluate", run, "--json").stdout)
    assert printed[0].split() == ["head", "classifier", "mAP", "95", "%", "classes"]
    occurring = sum(value is not None for value in report["average_precision"])
    assert printed[1].split(maxsplit=3)[:3] == ["mean", "linear", f"{100 * report['map']:.1f}"]
    low, high = report["map_interval"]
    assert 0 <= low < report["map"] < high <= 1 and f" {100 * low:.1f}-{100 * high:.1f} " in printed[1]
    assert printed[1].endswith(f"{occurring} of {len(report['labels'])} occur")
    assert "top-1" not in "".join(printed)


def test_runs_of_several_labels_are_compared_by_their_map(framebank, several, run, tmp_path):
    """The other run has the same videos in another order, its labels too, and knows nothing."""
    framebank("evaluate", run)
    shutil.copytree(run, tmp_path / "other")
    made = Predictions.read(run / "predictions.npz")
    rows, places = np.arange(len(made.video_ids))[::-1], np.arange(len(made.labels))[::-1]
    Predictions(
        tuple(made.video_ids[row] for row in rows),
        np.random.default_rng(0).random(made.scores.shape),
        made.targets[np.ix_(rows, places)],
        tuple(made.labels[place] for place in places),
    ).write(tmp_path / "other" / "predictions.npz")
    told = json.loads(framebank("compare-runs", tmp_path / "other", run, "--json").stdout)
    metrics = json.loads((run / "metrics.json").read_text())
    assert told["map_b"] == pytest.approx(metrics["map"], abs=1e-6) and told["map_a"] < told["map_b"]
    assert told["difference"] == pytest.approx(told["map_b"] - told["map_a"])
    assert (told["verdict"], told["videos"], told["split"]) == ("better", 16, "test")
    assert not {"flips", "mcnemar_p", "accuracy_a"} & set(told)
    shown = framebank("compare-runs", tmp_path / "other", run, "--equivalent-within", 90).stdout.splitlines()
    assert shown[1].startswith("mAP  ") and shown[3].startswith("flips      none, and no McNemar's test")
    assert shown[-1] == "verdict    B is better than A" and shown[-2].startswith("margin     ")
    made = fb.compare_runs(tmp_path / "other", run)
    assert made.pairs[0].paired.difference == told["difference"] and made.pairs[0].gained == ()


def test_runs_of_one_and_of_several_labels_are_not_compared(framebank, run, tmp_path):
    framebank("evaluate", run)
    shutil.copytree(run, tmp_path / "other")
    made = Predictions.read(run / "predictions.npz")
    one = replace(made, targets=made.targets.argmax(1))
    one.write(tmp_path / "other" / "predictions.npz")
    for pair in ((run, tmp_path / "other"), (tmp_path / "other", run)):
        assert "one label a video, the other several" in framebank("compare-runs", *pair, exit_code=1).stderr
    changed = made.targets.copy()
    changed[3] = 1 - changed[3]
    replace(made, targets=changed).write(tmp_path / "other" / "predictions.npz")
    told = framebank("compare-runs", run, tmp_path / "other", exit_code=1).stderr
    assert f"were measured with different labels of {made.video_ids[3]!r}" in told


def test_a_class_without_videos_is_counted_as_such(framebank, several, run, tmp_path):
    for path in several.iterdir():
        if path.name != "manifest.csv":
            (tmp_path / path.name).symlink_to(path.resolve())
    lines = (several / "manifest.csv").read_text().splitlines(keepends=True)
    (tmp_path / "manifest.csv").write_text("".join(line for line in lines if ";early,test" not in line))
    full = json.loads(framebank("evaluate", run, "--json").stdout)
    printed = framebank("evaluate", run, "--store", tmp_path).stdout.splitlines()[1]
    report = json.loads((run / "metrics.json").read_text())
    gone = [name for name, value in zip(report["labels"], report["average_precision"], strict=True) if value is None]
    assert "early" in gone
    assert printed.endswith(f"{len(full['labels']) - len(gone)} of {len(full['labels'])} occur")


def test_label_gives_each_label_a_probability_of_its_own(framebank, several, run, clips):
    framebank("evaluate", run)
    with (several / "manifest.csv").open(newline="") as file:
        video = next(row for row in csv.DictReader(file) if row["split"] == "test")
    answer = json.loads(framebank("label", video["path"], "--run", run, "--top", 99, "--json").stdout)
    ranked = {each["label"]: each["score"] for each in answer["videos"][0]["labels"]}
    report = json.loads((run / "metrics.json").read_text())
    assert set(ranked) == set(report["labels"])
    assert abs(sum(ranked.values()) - 1) > 0.01
    with np.load(run / "predictions.npz") as written:
        place = written["video_ids"].tolist().index(video["video_id"])
        expected = dict(zip(written["labels"].tolist(), written["scores"][place].tolist(), strict=True))
    assert ranked == pytest.approx(expected, abs=0.02)


def test_texts_score_several_labels(framebank, several, tmp_path):
    options = ("--head", "conv1d", "--loss", "bce", "--epochs", 2)
    framebank("train", several, tmp_path / "run", *options)
    first = framebank("evaluate", tmp_path / "run").stdout.splitlines()[0]
    assert first.split() == ["head", "classifier", "mAP", "95", "%", "classes"]
    scored = framebank("zeroshot", several, "--run", tmp_path / "run").stdout.splitlines()
    assert scored[0].split() == ["texts", "scoring", "mAP", "95", "%", "classes"]


def test_a_label_file_that_lacks_a_class_is_one_sentence(framebank, several, tmp_path):
    (tmp_path / "labels.txt").write_text("early\nlate\n")
    options = ("--classifier", "linear", "--loss", "bce", "--labels", tmp_path / "labels.txt")
    result = framebank("train", several, tmp_path / "run", *options, exit_code=1)
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "has 2 classes without" in errors[0]


def test_a_loss_of_one_label_is_one_sentence(framebank, several, tmp_path):
    options = ("--classifier", "linear", "--loss", "ce")
    result = framebank("train", several, tmp_path / "run", *options, exit_code=1)
    assert re.search(r"Error: .* has 2 labels, '.*;.*'; expected one for each video", result.stderr)


def test_neighbours_vote_for_each_of_their_labels(framebank, clips, several, tmp_path):
    framebank("index", several, tmp_path / "i")
    clip = clips / "waving" / "waving_train_00.mp4"
    report = json.loads(framebank("label", clip, "--index", tmp_path / "i", "-k", 4, "--json").stdout)
    shares = {row["label"]: row["score"] for row in report["videos"][0]["labels"]}
    assert shares["late"] >= shares["waving"] > 0.5
    assert not any(";" in name for name in shares)
