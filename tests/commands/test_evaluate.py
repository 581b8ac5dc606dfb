"""The commands zeroshot, train and evaluate on a real store: what they print, and what they refuse."""

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebank.heads.training.run import Run
from framebank.tests.worlds.cli import LABELS, ROOT, sentence
from framebank.tests.worlds.heads import write_world


def test_zeroshot_scores_names_and_descriptions_both_ways(framebank: Any, store: Path) -> None:
    report = json.loads(framebank("zeroshot", store, "--labels", LABELS, "--json").stdout)
    ways = [(score["texts"], score["scoring"]) for score in report["scores"]]
    assert ways == [(t, s) for t in ("names", "descriptions") for s in ("probabilities", "embeddings")]
    assert report["videos_evaluated"] == report["videos_listed"] == 16
    for name in ("top1", "top5", "mean_class_accuracy"):
        assert 0 <= report[name] <= 1
    facts = report["made_by"]
    assert (facts["model"], facts["split"], len(facts["templates"])) == ("demo", "test", 16)
    assert {"weights_hash", "sampling", "decoder", "protocol_hash", "videos_evaluated"} <= set(facts)
    chosen = framebank(
        "zeroshot", store, "--labels", LABELS, "--texts", "descriptions", "--scoring", "embeddings", "--json"
    )
    first = json.loads(chosen.stdout)
    assert (first["texts"], first["scoring"]) == ("descriptions", "embeddings")
    assert first["top1"] == report["scores"][3]["top1"]


def test_prompts_from_a_file_score_as_those_made_on_the_way(framebank: Any, store: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("someone {}\n{} is shown\n")
    framebank("prompts", LABELS, tmp_path / "p.h5", "--like", store, "--templates", tmp_path / "t.txt")
    by_file = json.loads(framebank("zeroshot", store, "--prompts", tmp_path / "p.h5", "--json").stdout)
    options = ("--labels", LABELS, "--templates", tmp_path / "t.txt", "--texts", "names")
    by_labels = json.loads(framebank("zeroshot", store, *options, "--json").stdout)
    assert by_file["confusion"] == by_labels["confusion"]
    assert by_file["made_by"]["templates"] == ["someone {}", "{} is shown"]


def test_train_leaves_a_run_and_evaluate_measures_it(framebank: Any, run: Path) -> None:
    assert {path.name for path in run.iterdir()} >= {"recipe.toml", "checkpoint.safetensors", "log.csv"}
    assert len((run / "log.csv").read_text().splitlines()) == 4
    report = json.loads(framebank("evaluate", run, "--json").stdout)
    assert report["videos_evaluated"] == report["videos_listed"] == 16
    assert np.array(report["confusion"]).sum() == 16
    assert report["made_by"]["recipe"]["head"] == "conv1d"
    assert json.loads((run / "metrics.json").read_text())["top1"] == report["top1"]
    with np.load(run / "predictions.npz", allow_pickle=False) as saved:
        assert saved["scores"].shape == (16, 16)
        assert (saved["scores"].argmax(1) == saved["targets"]).mean() == pytest.approx(report["top1"])
    assert "protocol" in framebank("evaluate", run, "--split", "train").stdout


@pytest.mark.parametrize("head", ["mean", "conv1d", "lstm", "transformer", "transformer-cls"])
@pytest.mark.parametrize("classifier", ["text", "linear"])
def test_every_head_trains_with_every_classifier(
    framebank: Any, store: Path, tmp_path: Path, head: str, classifier: str
) -> None:
    options = ("--head", head, "--classifier", classifier, "--epochs", 1, "--shots", 2, "--json")
    report = json.loads(framebank("train", store, tmp_path / "r", *options).stdout)
    assert (report["train_videos"], report["classes"], report["val_score"]) == (32, 16, None)
    assert json.loads(framebank("evaluate", tmp_path / "r", "--json").stdout)["videos_evaluated"] == 16


def test_a_trained_head_recognises_other_classes_by_their_texts(
    framebank: Any, store: Path, run: Path, tmp_path: Path
) -> None:
    names = list(json.loads(LABELS.read_text()))
    (tmp_path / "more.txt").write_text("\n".join([*names, "juggling", "swimming"]))
    report = json.loads(framebank("zeroshot", store, "--run", run, "--labels", tmp_path / "more.txt", "--json").stdout)
    assert report["labels"][-2:] == ["juggling", "swimming"]
    assert report["made_by"]["head"] == "conv1d"


@pytest.mark.slow
def test_no_room_for_a_run(store: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import conftest; import resource; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, 2**14)); from framebank.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "train", str(store), str(tmp_path / "r"), "--head", "lstm", "--epochs", "1"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # Python would write a part of its own files
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1, done.stderr
    assert f"{tmp_path / 'r'}: cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_classes_that_do_not_fit(framebank: Any, store: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("sitting down\nwaving\n")
    told = sentence(framebank("zeroshot", store, "--labels", tmp_path / "few.txt", exit_code=1))
    assert "few.txt" in told
    assert "without" in told
    framebank("prompts", tmp_path / "few.txt", tmp_path / "few.h5", "--like", store)
    assert "few.h5" in sentence(framebank("evaluate", run, "--prompts", tmp_path / "few.h5", exit_code=1))
    assert "few.h5" in sentence(
        framebank("train", store, tmp_path / "r", "--prompts", tmp_path / "few.h5", exit_code=1)
    )
    framebank("train", store, tmp_path / "linear", "--classifier", "linear", "--head", "mean", "--epochs", 1)
    framebank("prompts", LABELS, tmp_path / "all.h5", "--like", store)
    told = sentence(framebank("evaluate", tmp_path / "linear", "--prompts", tmp_path / "all.h5", exit_code=1))
    assert "linear" in told
    assert not (tmp_path / "r" / "checkpoint.safetensors").exists()


def test_a_run_on_a_store_sampled_otherwise(framebank: Any, clips: Path, run: Path, tmp_path: Path) -> None:
    framebank("extract", clips / "manifest.csv", tmp_path / "s", "--model", "demo", "--frames", 3)
    told = framebank("evaluate", run, "--store", tmp_path / "s", "--split", "test", "--json").stdout
    assert json.loads(told)["made_by"]["sampling"] == "segments:3"


def test_a_store_without_labels(framebank: Any, clips: Path, tmp_path: Path) -> None:
    framebank("extract", *sorted((clips / "falling_down").glob("*")), tmp_path / "s", "--model", "demo", "--frames", 3)
    told = sentence(framebank("zeroshot", tmp_path / "s", "--split", "all", exit_code=1))
    assert "label" in told  # single files have none


def test_a_class_without_videos_cannot_be_trained(framebank: Any, store: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("\n".join([*json.loads(LABELS.read_text()), "flying"]))
    told = sentence(framebank("train", store, tmp_path / "r", "--labels", tmp_path / "more.txt", exit_code=1))
    assert "'flying' has no training video" in told


def test_zeroshot_scores_among_all_classes_of_the_store(framebank: Any, clips: Path, tmp_path: Path) -> None:
    with (clips / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train" or row["label"] == "waving"]
    with (tmp_path / "m.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["video_id", "path", "label", "split"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "path": clips / row["path"]} for row in rows)
    framebank("extract", tmp_path / "m.csv", tmp_path / "s", "--model", "demo", "--frames", 2)
    assert len(json.loads(framebank("zeroshot", tmp_path / "s", "--json").stdout)["labels"]) == 16


def test_training_again_leaves_nothing_of_the_run_before(framebank: Any, store: Path, tmp_path: Path) -> None:
    framebank("train", store, tmp_path / "r", "--head", "mean", "--epochs", 1)
    framebank("evaluate", tmp_path / "r")
    assert (tmp_path / "r" / "metrics.json").exists()
    framebank("train", store, tmp_path / "r", "--head", "lstm", "--epochs", 1, "--overwrite")
    assert not (tmp_path / "r" / "metrics.json").exists()
    assert 'texts = "names"' in (tmp_path / "r" / "recipe.toml").read_text()


def test_the_protocol_does_not_depend_on_where_things_lie(
    framebank: Any, store: Path, run: Path, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "moved")
    shutil.copytree(store, tmp_path / "store")
    here = json.loads(framebank("evaluate", run, "--json").stdout)["made_by"]
    there = framebank("evaluate", tmp_path / "moved", "--store", tmp_path / "store", "--json")
    assert json.loads(there.stdout)["made_by"]["protocol_hash"] == here["protocol_hash"]


def test_the_recipe_of_a_run_trains_it_again(framebank: Any, store: Path, tmp_path: Path) -> None:
    """Its texts and templates too, which no option repeats."""
    (tmp_path / "t.txt").write_text("someone: {}\n")
    options = ("--labels", LABELS, "--texts", "descriptions", "--templates", tmp_path / "t.txt", "--epochs", 1)
    framebank("train", store, tmp_path / "first", "--head", "mean", *options)
    again = ("--recipe", tmp_path / "first" / "recipe.toml", "--labels", LABELS)
    told = json.loads(framebank("train", store, tmp_path / "second", *again, "--json").stdout)
    assert (told["texts"], told["templates"]) == ("descriptions", ["someone: {}"])
    assert Run.read(tmp_path / "first").weights_hash == Run.read(tmp_path / "second").weights_hash
    named = json.loads(framebank("train", store, tmp_path / "third", *again, "--texts", "names", "--json").stdout)
    assert named["texts"] == "names"
    refused = framebank("train", store, tmp_path / "o", *again, "--set", 'templates=["no place"]', exit_code=1)
    assert "the template 'no place' does not hold {} once" in refused.stderr
    refused = framebank("train", store, tmp_path / "o", *again, "--set", "texts=poems", exit_code=1)
    assert "texts 'poems' is not known; expected one of names, descriptions" in refused.stderr
    assert not (tmp_path / "o").exists()


def test_a_store_without_splits_is_told_how_to_hold_videos_out(
    framebank: Any, one_thread: None, tmp_path: Path
) -> None:
    bank, run, ridge = tmp_path / "bank", tmp_path / "run", ("--head", "mean", "--classifier", "ridge")
    write_world(bank, splits={"": 12})
    framebank("store", "relabel", bank, "--set", "*=", "--column", "split")
    framebank("train", bank, run, "--split", "all", *ridge)
    told = sentence(framebank("evaluate", run, exit_code=1))
    words = shlex.split(told.partition("`framebank ")[2].partition("`")[0])
    assert words == ["store", "hold-out", str(bank)] and "no video is in the split 'test'" in told
    framebank(*words)
    framebank("train", bank, run, "--overwrite", *ridge)
    measured = framebank("evaluate", run)
    assert "was trained on" not in measured.stderr and "10 of 10 listed in split test" in measured.stdout
