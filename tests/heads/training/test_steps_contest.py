"""Whitened steps take the place of AdamW's where the validation videos are clearly for them, and nowhere else."""

import csv
from dataclasses import replace

import pytest
import torch

import framebank as fb
from framebank.heads.bank import load_bank
from framebank.heads.evaluation.compare import Comparison, run_trials
from framebank.heads.predictions import predict_logits
from framebank.heads.training.auto import find_recipe
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.judging import CandidateGround
from framebank.heads.training.recipe import Recipe, read_recipe
from framebank.heads.training.resume import STATE, Keeping
from framebank.heads.training.run import Run
from framebank.store import DataError, LabelSet
from framebank.store.videos.groups import groups_of
from framebank.tests.worlds.basis import CLASSES, write_basis

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
PROBE = replace(read_recipe("linear-probe"), epochs=60, min_steps=0)


@pytest.fixture(scope="module", params=[True, False], ids=["pca", "plain"])
def basis(request, tmp_path_factory):
    return write_basis(tmp_path_factory.mktemp("basis"), turned=request.param), request.param


@pytest.fixture(scope="module")
def pca(tmp_path_factory):
    return write_basis(tmp_path_factory.mktemp("pca"), turned=True)


def trained(store, recipe=PROBE, **more):
    job = TrainingJob(store, store.split("train"), recipe, device=CPU, **more)
    return job, list(job.epochs())


def same(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def right(job):
    return float((predict_logits(job.model, job.val, device=CPU).argmax(1) == job.val.target).float().mean())


def test_the_kind_that_the_validation_videos_choose_is_kept(basis):
    store, turned = basis
    (either, log), (adamw, its_log), (whitened, other_log) = (
        trained(store, replace(PROBE, steps=steps)) for steps in ("either", "adamw", "whitened")
    )
    assert [(epoch.loss, epoch.val_loss) for epoch in log] == [(epoch.loss, epoch.val_loss) for epoch in its_log]
    assert adamw.steps is None
    assert whitened.steps is None
    assert either.steps.chosen == ("whitened" if turned else "adamw")
    assert same(either.model, (whitened if turned else adamw).model)  # to the last bit
    assert not same(adamw.model, whitened.model)
    assert (right(adamw) < 0.6 < 0.9 < right(whitened)) is turned
    kept, expected = either.kept_log(log), other_log if turned else its_log
    assert [(epoch.loss, epoch.val_score) for epoch in kept] == [(epoch.loss, epoch.val_score) for epoch in expected]


def test_the_run_tells_which_steps_were_kept_and_why(basis, tmp_path):
    store, turned = basis
    run = fb.train(store, tmp_path / "run", recipe=PROBE)
    why = "validation videos of 6 sources (p 0.016)" if turned else "after 8 of 60 epochs (p "
    told = [line for line in run.lines() if "steps were kept" in line]
    assert len(told) == 1
    assert told[0].startswith("whitened steps" if turned else "AdamW's steps")
    assert why in told[0]
    kept = Run.read(tmp_path / "run")
    assert kept.recipe.steps == "either"
    assert kept.trained_on["steps"]["chosen"] == ("whitened" if turned else "adamw")
    assert (kept.trained_on["steps"]["p_value"] < 0.05) is turned
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = {int(row["number"]): row for row in csv.DictReader(file)}
    assert float(rows[kept.trained_on["epoch"]]["val_score"]) == pytest.approx(kept.trained_on["val_score"])
    assert kept.trained_on["val_score"] == pytest.approx(right(replaced(run, store)))


def replaced(run, store):
    job = TrainingJob(store, store.split("train"), PROBE, device=CPU)
    job.model.load_state_dict(run.run.model.state_dict())
    return job


@pytest.mark.parametrize("stop", [1, 8, 59, 60])
@pytest.mark.parametrize("steps", ["either", "whitened"])
def test_a_training_that_was_killed_ends_at_the_same_weights(basis, steps, stop, tmp_path):
    store, recipe = basis[0], replace(PROBE, steps=steps, batch_size=50)
    whole, log = trained(store, recipe)
    keeping = Keeping(tmp_path, seconds=0.0)
    for epoch in TrainingJob(store, store.split("train"), recipe, device=CPU).epochs(keeping=keeping):
        if epoch.number == stop:
            break
    assert (tmp_path / STATE).is_file()
    again = TrainingJob(store, store.split("train"), recipe, device=CPU)
    going = list(again.epochs(keeping=replace(keeping, resumes=True)))
    assert [(epoch.loss, epoch.val_loss) for epoch in going] == [(epoch.loss, epoch.val_loss) for epoch in log]
    assert same(again.model, whole.model)
    assert again.steps == whole.steps


def test_trained_together_they_choose_as_they_do_alone(basis, tmp_path):
    store, _ = basis
    # In batches of all videos, of which each class has a third, the first gradient of a bias is rounding alone.
    recipes = {"fast": replace(PROBE, batch_size=50), "slow": replace(PROBE, batch_size=50, lr=2e-4)}
    split = store.split("train"), store.split("val"), "val", LabelSet(CLASSES), CPU
    list(run_trials(Comparison(store, *split, tmp_path / "both"), recipes, seeds=(0, 1)))
    for name, recipe in recipes.items():
        for seed in (0, 1):
            list(run_trials(Comparison(store, *split, tmp_path / "alone"), {name: recipe}, seeds=(seed,)))
            mine, theirs = (Run.read(tmp_path / way / name / f"seed-{seed}") for way in ("both", "alone"))
            assert mine.trained_on["steps"]["chosen"] == theirs.trained_on["steps"]["chosen"]
            assert mine.trained_on["steps"]["p_value"] == theirs.trained_on["steps"]["p_value"]
            for key in ("epoch", "val_score"):
                assert mine.trained_on[key] == pytest.approx(theirs.trained_on[key])
            for key, value in theirs.model.state_dict().items():
                torch.testing.assert_close(mine.model.state_dict()[key], value, rtol=0, atol=1e-4)


def test_auto_compares_the_steps_of_its_linear_classifier_by_folds(basis):
    store, turned = basis
    videos = store.split("train").videos
    bank = load_bank(store, store.split("train"), LabelSet(CLASSES), device=CPU)
    groups = torch.from_numpy(groups_of(videos))
    ground = CandidateGround.of(bank, val=None, groups=groups, prompts_of={}, frame_norm=True, device=CPU)
    tried = {one.name: one for one in find_recipe(ground, Recipe(head="mean", classifier="linear", loss="ce")).tried}
    assert ("its steps are whitened; they are clearly better: loss" in tried["linear"].reason) is turned
    assert ("on 72 held-out videos of 24 sources (p " in tried["linear"].reason) is turned


def test_without_validation_videos_adamw_stays(pca):
    job, _ = trained(pca, replace(PROBE, shots=6))
    assert (job.val, job.steps.chosen, job.steps.p_value) == (None, "adamw", None)
    assert "no validation videos" in job.steps.why
    assert same(job.model, trained(pca, replace(PROBE, shots=6, steps="adamw"))[0].model)


OTHERS = {"the classifier linear": [{"head": "conv1d"}, {"average": 0.5}, {"loss": "bce"}], "probes": [{"probes": 3}]}


@pytest.mark.parametrize(("why", "more"), [(why, more) for why, each in OTHERS.items() for more in each], ids=str)
def test_other_trainings_are_by_adamw_or_refused(pca, why, more):
    either = trained(pca, replace(PROBE, epochs=2, **more))[0]
    assert either.steps.chosen == "adamw"
    assert why in either.steps.why
    with pytest.raises(DataError, match="steps = 'whitened'"):
        trained(pca, replace(PROBE, epochs=2, steps="whitened", **more))


def test_a_recipe_of_before_has_adamw_and_the_same_values():
    plain = Recipe(head="mean", classifier="linear", loss="ce")
    assert plain.steps == "adamw"
    assert "steps" not in plain.to_dict()
    assert Recipe.of_run({**plain.to_dict(), "form": 2}, where="run") == plain
    with pytest.raises(DataError, match="steps 'sgd' is not known"):
        replace(plain, steps="sgd")
