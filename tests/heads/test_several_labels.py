"""Videos of several labels, from the manifest to the file of predictions."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads.bank import Bank, load_bank
from framebank.heads.evaluation.evaluate import evaluate_run
from framebank.heads.model import Model
from framebank.heads.predictions import predict, predict_logits
from framebank.heads.temporal.mean import Mean
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError, LabelSet
from framebank.store.shard import Embeddings
from framebank.tests.heads.one_at_a_time import label_by_model
from framebank.tests.worlds.heads import CLASSES
from framebank.tests.worlds.several import write_several

CPU = torch.device("cpu")
LINEAR = Recipe(head="mean", classifier="linear", loss="bce", epochs=15, batch_size=16, lr=0.03)
TEXT = Recipe(head="conv1d", loss="bce", scoring="embeddings", epochs=15, batch_size=16, lr=0.01)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return write_several(tmp_path_factory.mktemp("several"))


def train(world, recipe, folder, **options):
    options = {"prompts": world.prompts if recipe.reads_texts else None, **options}
    job = TrainingJob(world.store, world.manifest.split("train"), recipe, device=CPU, **options)
    log = list(job.epochs())
    job.save(folder, log=log)
    return Run.read(folder), log


def evaluate(run, world, folder, *, split="test"):
    return evaluate_run(run, world.store, world.manifest.split(split), split=split, device=CPU, folder=folder)


def average_precision(scores, hits):
    """The mean of the precision at each video that has the label, best score first; no two scores are equal."""
    found, precisions = 0, []
    for place, video in enumerate(sorted(range(len(scores)), key=lambda video: -scores[video]), 1):
        if hits[video]:
            found += 1
            precisions.append(found / place)
    return sum(precisions) / len(precisions)


@pytest.mark.parametrize(
    "recipe",
    [LINEAR, TEXT, replace(LINEAR, loss="soft-kl"), replace(TEXT, loss="bce + 0.5 froster + 0.1 soft-kl")],
    ids=lambda recipe: f"{recipe.classifier}-{recipe.loss}",
)
def test_from_the_store_to_predictions(several, tmp_path, recipe):
    run, log = train(several, recipe, tmp_path)
    report = evaluate(run, several, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text()) == json.loads(json.dumps(report))
    assert "top1" not in report
    with np.load(tmp_path / "predictions.npz") as written:
        scores, targets, ids = written["scores"], written["targets"], written["video_ids"].tolist()
        assert written["labels"].tolist() == list(run.labels)
    assert scores.shape == targets.shape == (40, 4)
    for video in several.manifest.split("test").videos:
        marked = {run.labels[place] for place in np.flatnonzero(targets[ids.index(video.video_id)])}
        assert marked == set(video.labels)
    assert ((scores > 0) & (scores < 1)).all()
    assert not np.allclose(scores.sum(1), 1)
    by_hand = [average_precision(scores[:, place], targets[:, place]) for place in range(4)]
    assert report["average_precision"] == pytest.approx(by_hand, abs=1e-5)
    assert report["map"] == pytest.approx(sum(by_hand) / 4, abs=1e-5)
    assert report["videos_evaluated"] == report["videos_listed"] == 40
    chance = targets.mean()
    assert report["map"] > (1 + chance) / 2
    assert max(epoch.val_score for epoch in log) > log[0].val_score or log[0].val_score > 0.9


def test_a_read_run_scores_as_the_trained_one(several, tmp_path):
    job = TrainingJob(several.store, several.manifest.split("train"), LINEAR, device=CPU)
    trained = job.save(tmp_path, log=list(job.epochs()))
    read = Run.read(tmp_path)
    assert read.recipe.is_multi_label
    assert read.weights_hash == trained.weights_hash
    evaluate(trained, several, tmp_path)
    first = (tmp_path / "predictions.npz").read_bytes()
    evaluate(read, several, tmp_path)
    assert (tmp_path / "predictions.npz").read_bytes() == first


@pytest.mark.parametrize("num_groups", [1, 2])
def test_videos_of_which_the_model_is_certain_keep_their_order(num_groups):
    """The model's logits are the frames themselves."""
    sure = torch.tensor([[30.0, -30], [20, -25], [25, -22], [18, -40]])
    bank = Bank(
        video_ids=("a", "b", "c", "d"),
        x=sure.repeat_interleave(num_groups, dim=0)[:, None],  # (V*G, 1, 2)
        mask=torch.ones(4 * num_groups, 1, dtype=torch.bool),
        target=torch.eye(2).repeat(2, 1),
        num_listed=4,
        num_groups=num_groups,
        num_classes=2,
    )
    model = Model(Mean(2), torch.nn.Identity(), frame_norm=False)
    logits = predict_logits(model, bank, device=CPU)
    torch.testing.assert_close(logits, sure)
    found = predict(model, bank, labels=("one", "two"), device=CPU)
    assert found.scores[:, 0].argsort().tolist() == [3, 1, 2, 0]
    assert found.scores[:, 1].argsort().tolist() == [3, 0, 1, 2]
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-sure.double().numpy())), rtol=1e-6)


def test_the_epoch_is_chosen_by_map(several, tmp_path):
    run, log = train(several, LINEAR, tmp_path)
    report = evaluate(run, several, tmp_path, split="val")
    assert report["map"] == pytest.approx(max(epoch.val_score for epoch in log), abs=1e-6)
    assert run.trained_on["val_score"] == pytest.approx(report["map"], abs=1e-6)


def test_a_class_that_no_test_video_has_counts_for_nothing(tmp_path):
    world = write_several(tmp_path, only={"test": CLASSES[:3]})
    run, _ = train(world, LINEAR, tmp_path / "run")
    report = evaluate(run, world, tmp_path / "run")
    absent = run.labels.index(CLASSES[3])
    assert report["average_precision"][absent] is None
    rest = [value for value in report["average_precision"] if value is not None]
    assert len(rest) == 3
    assert report["map"] == pytest.approx(sum(rest) / 3)


def test_each_label_has_a_probability_of_its_own(several, tmp_path):
    run, _ = train(several, LINEAR, tmp_path)
    evaluate(run, several, tmp_path)
    with np.load(tmp_path / "predictions.npz") as written:
        stored = dict(zip(written["video_ids"].tolist(), written["scores"], strict=True))
    for video_id in ("test-0", "test-7"):
        ranked = label_by_model(run.model, run.labels, several.store[video_id], multi_label=True)
        assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)
        expected = dict(zip(run.labels, stored[video_id].tolist(), strict=True))
        assert dict(ranked) == pytest.approx(expected, abs=1e-5)


def test_views_of_a_video_share_its_probabilities(several, tmp_path):
    run, _ = train(several, LINEAR, tmp_path)
    run.model.scaling = None  # a temperature comes after the mean over the views
    one, other = several.store["test-0"], several.store["test-1"]
    count = len(one.data)
    both = Embeddings(
        np.concatenate([one.data, other.data]),
        np.concatenate([one.timestamps, other.timestamps]),
        np.concatenate([one.indices, other.indices]),
        np.repeat([0, 1], count),
        np.zeros(2 * count, dtype=int),
    )
    each = [dict(label_by_model(run.model, run.labels, row, multi_label=True)) for row in (one, other)]
    expected = {name: (each[0][name] + each[1][name]) / 2 for name in run.labels}
    assert dict(label_by_model(run.model, run.labels, both, multi_label=True)) == pytest.approx(expected, abs=1e-4)


def test_a_loss_of_one_label_is_refused(several):
    with pytest.raises(DataError, match=r"labels, '[a-z;]+'; expected one for each video"):
        TrainingJob(several.store, several.manifest.split("train"), replace(LINEAR, loss="ce"), device=CPU)


def test_classes_that_lack_a_label_are_refused(several, tmp_path):
    message = "the set of classes has 3 classes without 'fall', a label of"
    with pytest.raises(DataError, match=message):
        train(several, LINEAR, tmp_path, labels=LabelSet(CLASSES[:3]))


def test_a_learned_threshold_makes_probabilities_of_cosines(several, tmp_path):
    train(several, replace(TEXT, scoring="probabilities"), tmp_path / "run")
    run = Run.read(tmp_path / "run")
    assert run.model.classifier.threshold is not None
    bank = load_bank(several.store, several.manifest.split("test"), LabelSet(run.labels), device=CPU, multi_label=True)
    scores = predict_logits(run.model, bank, device=CPU).sigmoid()
    right, wrong = scores[bank.target > 0], scores[bank.target == 0]
    assert wrong.median() < 0.5 < right.median()
