import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads.evaluation.evaluate import evaluate_run, evaluate_zero_shot
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError
from framebank.tests.worlds.heads import CLASSES, SPEC, prompts_of, write_world

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


def trained(world, folder, **changes):
    recipe = replace(Recipe(head="lstm", loss="ce", epochs=15, batch_size=16, lr=0.01), **changes)
    prompts = world.prompts if recipe.classifier == "text" else None
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=prompts, device=CPU)
    return job.save(folder, log=list(job.epochs()))


@pytest.fixture(scope="module")
def folder(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    trained(world, folder)
    return folder


def evaluate(world, folder, *, split="test", store=None):
    manifest = world.manifest.split(split)
    return evaluate_run(Run.read(folder), store or world.store, manifest, split=split, device=CPU, folder=folder)


def test_report(world, folder):
    report = evaluate(world, folder)
    written = json.loads((folder / "metrics.json").read_text())
    assert written == json.loads(json.dumps(report))
    # 4 classes of 5, short, ragged, lost and unknown: the last two cannot be measured
    assert report["videos_listed"] == 24
    assert report["videos_evaluated"] == 22
    assert report["labels"] == list(CLASSES)
    confusion = np.array(report["confusion"])
    assert confusion.sum(1).tolist() == [6, 6, 5, 5]
    assert report["top1"] == pytest.approx(confusion.trace() / 22)
    assert report["top1"] > 0.9
    assert report["top5"] == 1.0
    made_by = report["made_by"]
    assert (made_by["videos_evaluated"], made_by["videos_listed"], made_by["split"]) == (22, 24, "test")
    assert made_by["recipe"]["head"] == "lstm"
    assert made_by["scoring"] == "probabilities"
    assert made_by["model"] == "tiny"


def test_predictions(world, folder):
    report = evaluate(world, folder)
    with np.load(folder / "predictions.npz", allow_pickle=False) as found:
        ids, scores, targets, labels = (found[name] for name in ("video_ids", "scores", "targets", "labels"))
    assert ids.tolist() == [v.video_id for v in world.manifest.split("test").videos if v.video_id != "lost"]
    assert labels.tolist() == list(CLASSES)
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)
    assert targets[ids == "unknown"].tolist() == [-1]
    measured = targets >= 0
    assert (scores.argmax(1) == targets)[measured].mean() == pytest.approx(report["top1"])


def test_repeated_evaluation_is_the_same(world, folder):
    assert evaluate(world, folder) == evaluate(world, folder)


def test_protocol_tells_splits_apart(world, folder):
    hashes = {evaluate(world, folder, split=split)["made_by"]["protocol_hash"] for split in ("test", "val", "all")}
    assert len(hashes) == 3


def test_linear_run(world, tmp_path):
    trained(world, tmp_path, head="mean", classifier="linear", lr=0.05)
    report = evaluate(world, tmp_path)
    assert report["labels"] == sorted(CLASSES)
    assert report["made_by"]["scoring"] is None
    confusion = np.array(report["confusion"])
    easy = [sorted(CLASSES).index(name) for name in ("wave", "clap")]
    assert confusion[easy, easy].tolist() == [6, 6]


def test_zero_shot(world):
    reports = [
        evaluate_zero_shot(
            world.prompts, world.store, world.manifest.split("test"), split="test", scoring=scoring, device=CPU
        )
        for scoring in ("probabilities", "embeddings")
    ]
    for report in reports:
        confusion = np.array(report["confusion"])
        assert confusion[:2, :2].tolist() == [[6, 0], [0, 6]]  # their texts lie where their videos do
        assert report["videos_evaluated"] == 22
        assert report["made_by"]["head"] == "mean"
        assert report["made_by"]["run"] is None
    assert reports[0]["made_by"]["protocol_hash"] != reports[1]["made_by"]["protocol_hash"]


def test_zero_shot_by_the_head_of_a_run(world, folder):
    report = evaluate_zero_shot(
        world.prompts,
        world.store,
        world.manifest.split("test"),
        split="test",
        scoring="probabilities",
        device=CPU,
        run=Run.read(folder),
        folder=folder,
    )
    assert report["top1"] == pytest.approx(evaluate(world, folder)["top1"])
    assert report["made_by"]["head"] == "lstm"
    assert (report["made_by"]["frame_norm"], report["made_by"]["stream"]) == (True, "frame")


def test_what_a_run_sees_of_the_frames_decides_its_zero_shot(world, tmp_path):
    """A run of the mean of frames as they are, and one of unit frames: the same weights, other figures."""
    facts = []
    for frame_norm in (True, False):
        run = trained(world, tmp_path / str(frame_norm), head="mean", frame_norm=frame_norm, epochs=0)
        test = world.manifest.split("test")
        options = {"scoring": "embeddings", "device": CPU, "run": run, "folder": tmp_path / str(frame_norm)}
        facts.append(evaluate_zero_shot(world.prompts, world.store, test, split="test", **options)["made_by"])
    assert facts[0]["run_hash"] == facts[1]["run_hash"]
    assert [told["frame_norm"] for told in facts] == [True, False]
    assert facts[0]["protocol_hash"] != facts[1]["protocol_hash"]


def test_zero_shot_by_a_linear_run(world, tmp_path):
    run = trained(world, tmp_path, head="mean", classifier="linear", epochs=1)
    with pytest.raises(DataError, match="the run's classifier is 'linear'"):
        evaluate_zero_shot(
            world.prompts,
            world.store,
            world.manifest,
            split="all",
            scoring="embeddings",
            device=CPU,
            run=run,
            folder=tmp_path,
        )


MADE_OTHERWISE = {"sampling": "fps:2", "view": "left", "precision": "cuda-bf16", "decoder": "other 2.0"}


def test_store_made_otherwise_by_the_same_encoder(world, folder, tmp_path):
    other = write_world(tmp_path, spec=replace(SPEC, **MADE_OTHERWISE)).store
    here, there = evaluate(world, folder), evaluate(world, folder, store=other)
    assert there["top1"] == here["top1"]  # the same features, which only their spec tells apart
    assert {name: there["made_by"][name] for name in MADE_OTHERWISE} == MADE_OTHERWISE
    assert there["made_by"]["protocol_hash"] != here["made_by"]["protocol_hash"]
    report = evaluate_zero_shot(
        world.prompts,
        other,
        world.manifest.split("test"),
        split="test",
        scoring="probabilities",
        device=CPU,
        run=Run.read(folder),
        folder=folder,
    )
    assert report["made_by"]["view"] == "left"
    assert report["top1"] == pytest.approx(there["top1"])


@pytest.mark.parametrize(("name", "value"), [("weights_hash", "fedcba"), ("model", "large")])
def test_store_of_another_encoder(world, folder, tmp_path, name, value):
    other = write_world(tmp_path, spec=replace(SPEC, **{name: value}))
    with pytest.raises(DataError) as caught:
        evaluate(world, folder, store=other.store)
    expected = f"{folder} was made with {name} {getattr(SPEC, name)!r}, {tmp_path} with {name} {value!r}"
    assert str(caught.value) == f"{expected}; they cannot be mixed"


def test_classes_that_the_run_lacks(world, tmp_path):
    three = CLASSES[:3]
    with pytest.raises(DataError, match="the set of classes has 3 classes without 'fall', a label of"):
        evaluate_zero_shot(
            prompts_of(three), world.store, world.manifest, split="all", scoring="embeddings", device=CPU
        )
