"""Training by episodes: what is learned, what is kept, and that the seed alone decides it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads import MATCHERS
from framebank.heads.fewshot.build import build_matcher
from framebank.heads.fewshot.job import FewshotJob
from framebank.heads.fewshot.loop import accuracy_of, losses_of
from framebank.heads.fewshot.recipe import FewshotRecipe, options_of
from framebank.heads.fewshot.run import FewshotRun
from framebank.heads.matchers import READS_TEXT
from framebank.heads.training.folder import WEIGHTS
from framebank.store import DataError, Manifest
from framebank.tests.worlds.heads import CLASSES, DIM, write_groups

CPU = torch.device("cpu")
TRAINED = ("linear", "trx", "hyrsm", "hyrsm++", "clip-fsar", "ma-clip", "gghm", "sloshnet")
QUICK = FewshotRecipe(matcher="hyrsm", way=4, query=2, steps=6, val_every=2, val_episodes=8, episodes=2, lr=3e-3)

pytestmark = pytest.mark.usefixtures("one_thread")


def recipe_of(name, **changes):
    narrow = {"width": 16} if "width" in options_of(name) else {}
    return replace(QUICK, matcher=name, options=narrow, **changes)


def job_of(world, recipe, *, val="val"):
    return FewshotJob(
        world.store,
        world.manifest.split("train"),
        recipe,
        val=world.manifest.split(val) if val else None,
        prompts=world.prompts,
        device=CPU,
    )


def test_the_trained_matchers_are_those_with_weights():
    with_weights = [name for name, build in MATCHERS.items() if list(build(DIM).parameters())]
    assert with_weights == list(TRAINED)


@pytest.mark.parametrize("name", TRAINED)
def test_gradient_of_the_losses_reaches_every_parameter(world, name):
    job = job_of(world, recipe_of(name))
    matcher = job.matcher.train()
    with torch.no_grad():
        for parameter in matcher.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    sum(losses_of(matcher, next(iter(job.train))).values()).backward()
    for label, parameter in matcher.named_parameters():
        assert parameter.grad is not None, label
        assert parameter.grad.abs().sum() > 0, label


@torch.no_grad()
@pytest.mark.parametrize("name", TRAINED)
def test_no_query_sees_another(world, name):
    job = job_of(world, recipe_of(name))
    matcher, task = job.matcher.eval(), next(iter(job.val))
    query, support, text, query_mask, support_mask = task.given
    alone = matcher(query[:, 2:3], support, text, query_mask[:, 2:3], support_mask)
    torch.testing.assert_close(alone, matcher(*task.given)[:, 2:3], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_learns_what_the_mean_of_frames_cannot_tell(world, name):
    job = job_of(world, recipe_of(name, steps=45, val_every=15, episodes=4, val_episodes=24))
    log = list(job.stages())
    assert log[-1].loss < log[0].loss
    mean = accuracy_of(MATCHERS["mean"](DIM), job.val)
    assert mean < 0.8  # "rise" and "fall" have the same mean
    found = accuracy_of(job.matcher, job.val)
    assert found == max(stage.val_accuracy for stage in log)
    assert found > mean + 0.1


def test_training_improves_an_untrained_matcher(world):
    job = job_of(world, recipe_of("sloshnet", steps=90, val_every=15, episodes=4, val_episodes=24))
    before = accuracy_of(job.matcher, job.val)
    for _ in job.stages():
        pass
    assert accuracy_of(job.matcher, job.val) > before + 0.05


def test_seed_decides_every_bit(world):
    states, logs = [], []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        job, log = job_of(world, QUICK), []
        for stage in job.stages():
            log.append((stage.step, stage.loss, stage.val_accuracy))
            torch.rand(disturbance)  # what others draw between the stages changes nothing
        states.append(job.matcher.state_dict())
        logs.append(log)
    assert logs[0] == logs[1]
    assert [step for step, *_ in logs[0]] == [2, 4, 6]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = job_of(world, replace(QUICK, seed=1))
    assert next(other.stages()).loss != logs[0][0][1]
    assert other.train.episodes.hash != job.train.episodes.hash


def test_best_step_is_kept_and_of_equals_the_later(world):
    job = job_of(world, replace(QUICK, steps=12))
    seen = []
    for stage in job.stages():
        state = {name: value.clone() for name, value in job.matcher.state_dict().items()}
        seen.append((stage.val_accuracy, state))
    best = max(accuracy for accuracy, _ in seen)
    expected = [state for accuracy, state in seen if accuracy == best][-1]
    assert any(not torch.equal(seen[0][1][name], expected[name]) for name in expected)  # or this would test nothing
    assert all(torch.equal(job.matcher.state_dict()[name], expected[name]) for name in expected)
    assert not job.matcher.training


def test_without_validation_the_last_step_stays(world):
    job = job_of(world, QUICK, val=None)
    stages = job.stages()
    log = [next(stages) for _ in range(3)]
    last = {name: value.clone() for name, value in job.matcher.state_dict().items()}
    assert not list(stages)
    assert all(math.isnan(stage.val_accuracy) for stage in log)
    assert all(torch.equal(job.matcher.state_dict()[name], last[name]) for name in last)


def test_tasks_are_the_frames_and_texts_of_the_episodes(world):
    job = job_of(world, recipe_of("clip-fsar", episodes=3, shot=2), val=None)
    tasks, bank, episodes = list(job.train), job.train.bank, job.train.episodes
    assert [len(task.query) for task in tasks] == [3] * 6
    assert tasks[0].support.shape == (3, 4, 2, 8, DIM)
    unit = world.prompts.class_embeddings()
    for number in range(3):
        task = tasks[1]
        video = episodes.query[3 + number, 5]
        torch.testing.assert_close(task.query[number, 5], bank.x[video].float())
        label = episodes.labels[task.truth.query_classes[number, 5]]
        assert bank.video_ids[video].startswith(label)
        column = episodes.labels[task.truth.classes[number, 1]]
        assert bank.video_ids[episodes.support[3 + number, 1, 0]].startswith(column)
        expected = unit[world.prompts.labels.index(column)]
        np.testing.assert_allclose(task.text[number, 1], expected, rtol=1e-6)
        np.testing.assert_allclose(task.truth.class_text[task.truth.classes[number, 1]], expected, rtol=1e-6)


def test_views_of_a_video_are_drawn_anew_in_training_and_the_first_in_validation(tmp_path):
    groups = write_groups(tmp_path, num_views=2, num_clips=2)
    job = job_of(groups, QUICK)
    assert job.train.bank.num_groups == 4

    def drawn(tasks):
        bank, found = tasks.bank, set()
        for task, start in zip(tasks, range(0, len(tasks.episodes), tasks.at_once), strict=True):
            for number in range(len(task.query)):
                video = int(tasks.episodes.query[start + number, 0])
                own = bank.x[4 * video : 4 * video + 4].float()
                found.add(int((own == task.query[number, 0]).all(-1).all(-1).nonzero()))
        return found

    assert drawn(job.train) == {0, 1, 2, 3}
    assert drawn(job.val) == {0}


def test_frames_are_chosen_as_the_recipe_says(world):
    assert next(iter(job_of(world, replace(QUICK, frames=3)).train)).query.shape[2] == 3
    assert FewshotRecipe(matcher="trx").frames == 8  # as in the papers


def test_a_run_whose_recipe_names_no_frames_was_trained_on_all():
    assert FewshotRecipe.of_run({"matcher": "trx"}, where="a run").frames == 0
    assert FewshotRecipe.of_run({"matcher": "trx", "frames": 5}, where="a run").frames == 5


def test_fewer_validation_classes_make_narrower_episodes(world):
    two = Manifest(tuple(v for v in world.manifest.split("val").videos if v.label in CLASSES[:2]))
    job = FewshotJob(world.store, world.manifest.split("train"), QUICK, val=two, device=CPU)
    assert job.val.episodes.classes.shape == (8, 2)


@pytest.mark.parametrize("name", TRAINED)
def test_run_round_trip(world, tmp_path, name):
    job = job_of(world, recipe_of(name))
    log = list(job.stages())
    run = job.save(tmp_path / "run", log=log)
    again = FewshotRun.read(tmp_path / "run")
    assert (again.recipe, again.spec, again.labels, again.trained_on) == (
        run.recipe,
        run.spec,
        run.labels,
        run.trained_on,
    )
    assert again.weights_hash == run.weights_hash
    task = next(iter(job.val))
    with torch.no_grad():
        assert torch.equal(again.matcher(*task.given), job.matcher(*task.given))
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["matcher"] == name
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 4


def test_what_it_was_trained_on_is_told(world, tmp_path):
    job = job_of(world, QUICK)
    told = job.save(tmp_path, log=list(job.stages())).trained_on
    assert (told["train_videos"], told["train_classes"]) == (48, 4)
    assert (told["val_classes"], told["val_classes_also_trained"], told["val_way"]) == (4, 4, 4)
    assert told["val_accuracy"] == accuracy_of(job.matcher, job.val)


def test_what_is_no_matcher_is_said(world, tmp_path):
    with pytest.raises(DataError, match=r"holds no matcher.safetensors; .* `framebank fewshot-train`"):
        FewshotRun.read(tmp_path)
    (tmp_path / WEIGHTS["matcher"]).write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"matcher\.safetensors: cannot be read as a matcher of framebank \("):
        FewshotRun.read(tmp_path)


def test_a_failed_write_leaves_the_run_that_was_there(world, tmp_path, monkeypatch):
    job = job_of(world, QUICK)
    log = list(job.stages())
    job.save(tmp_path, log=log)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr("framebank.heads.fewshot.run.save", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        job.save(tmp_path, log=log)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matcher": "trex"}, "matcher 'trex' is not known; expected one of mean, "),
        ({"options": {"heads": 3}}, "has no option 'heads'; it has classification, num_heads, dropout"),
        (
            {"matcher": "trx", "options": {"cardinalities": "abc"}},
            r"^matcher\.cardinalities is 'abc'; expected a list of whole numbers$",
        ),
        ({"options": {"dropout": "much"}}, r"^matcher\.dropout is 'much'; expected a number$"),
        ({"way": 1}, "way is 1; expected 2 or more"),
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"seed": 2**63}, "seed is 9223372036854775808; expected less than"),
        ({"lr": 0.0}, "lr is 0.0; expected more than 0"),
        ({"lr": math.nan}, "lr is nan; expected more than 0"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0; expected 0 or more"),
        ({"warmup": 1.0}, "warmup is 1.0; expected at least 0 and less than 1"),
    ],
)
def test_a_wrong_recipe_is_said(changes, message):
    with pytest.raises(DataError, match=message):
        replace(QUICK, **changes)


@pytest.mark.parametrize(
    ("matcher", "option", "value", "message"),
    [
        ("hyrsm++", "window", "x", "matcher.window is 'x'; expected a whole number"),
        ("hyrsm++", "softness", 0, "window is 1 and softness 0.0; expected"),
        ("hyrsm", "classification", "much", "matcher.classification is 'much'; expected a number"),
        ("trx", "cardinalities", 3, "matcher.cardinalities is 3; expected a list of whole numbers"),
        ("trx", "cardinalities", [], "cardinalities is empty; expected one or more"),
        ("trx", "width", 0, "cardinality is 2 and width 0; expected both to be 1 or more"),
        ("linear", "num_frames", 0, "num_frames is 0; expected 1 or more"),
        ("clip-fsar", "smoothing", 0, "smoothing is 0.0; expected more than 0"),
        *((name, "num_heads", 0, "num_heads is 0; expected 1 or more") for name in ("hyrsm", "gghm", "sloshnet")),
    ],
)
def test_an_option_of_another_kind_or_size_is_said(matcher, option, value, message):
    with pytest.raises(DataError, match=message):
        build_matcher(FewshotRecipe(matcher=matcher, options={option: value}), dim=DIM, num_classes=4)


def test_an_option_that_cannot_be_is_said():
    recipe = FewshotRecipe(matcher="ma-clip", options={"metric": "dtw"})
    with pytest.raises(
        DataError, match=r"'ma-clip' cannot be built with .*: the metric 'dtw' is not known; expected one of otam"
    ):
        build_matcher(recipe, dim=DIM, num_classes=4)


def test_what_cannot_be_trained_is_said(world):
    with pytest.raises(DataError, match="'otam' has nothing to train"):
        next(job_of(world, replace(QUICK, matcher="otam")).stages())
    with pytest.raises(DataError, match="the training videos: an episode needs 5 classes, but"):
        job_of(world, replace(QUICK, way=5))
    with pytest.raises(DataError, match="the validation videos: each class needs 1 support video and 3 queries"):
        job_of(world, replace(QUICK, query=3))
    with pytest.raises(DataError, match="the loss became nan by step 2; a lower lr"):
        list(job_of(world, replace(QUICK, lr=1e30)).stages())
    for name in READS_TEXT:
        with pytest.raises(DataError, match=f"'{name}' needs the texts of the classes, and there are none"):
            FewshotJob(world.store, world.manifest.split("train"), replace(QUICK, matcher=name), device=CPU)
