"""Together: what differs in rate, decay and seed alone learns what it would learn alone."""

import csv
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import framebank.heads.evaluation.compare as compare_module
from framebank.heads.evaluation.compare import Comparison
from framebank.heads.training import row_sets, together
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import Manifest
from framebank.tests.worlds.compared import compare
from framebank.tests.worlds.heads import write_groups, write_world

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = Recipe(head="mean", classifier="linear", loss="ce", epochs=3, lr=0.05, val_fraction=0.0)
RESIDUAL = {"classifier": "text", "text": "residual", "scoring": "embeddings"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("together"))


def of_sources(folder):
    """A world without validation videos, whose sources have other numbers of videos, as what a seed holds out has."""
    world = write_world(folder, splits={"train": 12, "test": 5})
    train = world.manifest.split("train").videos
    sources = np.repeat([0, 1, 2, 3], [5, 3, 2, 2])  # of the 12 videos of a class
    videos = [replace(video, group=f"{video.label}{sources[place % 12]}") for place, video in enumerate(train)]
    world.store.manifest = Manifest((*videos, *world.manifest.split("test").videos))
    return world


@pytest.mark.parametrize("few", [0.0, 2.5])  # the rows of a batch are copied, or all are read where they are
@pytest.mark.parametrize(
    ("written", "more"),
    [
        (of_sources, {"val_fraction": 0.3, "batch_size": 9}),
        (partial(write_groups, num_views=2, num_clips=3), {"views": "all"}),
        (partial(write_groups, num_views=2, num_clips=3), {"views": "random", "sampler": "balanced", "frames": 4}),
        (write_world, {"shots": 3, "label_smoothing": 0.1}),
        (write_world, {"frame_norm": False}),
        (of_sources, RESIDUAL | {"val_fraction": 0.3, "label_smoothing": 0.1}),
    ],
    ids=["sources", "all-views", "random-views", "shots", "plain-frames", "texts"],
)
def test_recipes_that_differ_in_rate_decay_and_seed_alone_train_together_as_they_would_alone(
    few, written, more, tmp_path, monkeypatch
):
    world = written(tmp_path)
    recipes = {
        "slow": replace(QUICK, lr=1e-3, weight_decay=0.5),
        "other": replace(QUICK, warmup=0.5),
        "fast": replace(QUICK, lr=5e-3),
    }
    recipes = {name: replace(recipe, **{"batch_size": 5, **more}) for name, recipe in recipes.items()}
    asked = []
    whole = compare_module.train_together
    monkeypatch.setattr(
        compare_module,
        "train_together",
        lambda jobs, own, **how: (
            asked.append((len(jobs), len(own), jobs[-1].train.x.shape[1])) or whole(jobs, own, **how)
        ),
    )
    monkeypatch.setattr(row_sets, "FEW", few)
    joined = compare(world, recipes, tmp_path / "together", seeds=(0, 1, 2), prompts=world.prompts)
    assert asked == [(3, 2, 1), (3, 1, 1)]  # the two that are alike with all seeds, then the other one; a row a video
    assert [trial.recipe for trial in joined] == ["slow"] * 3 + ["other"] * 3 + ["fast"] * 3
    runs = [Run.read(tmp_path / "together" / "slow" / f"seed-{seed}") for seed in (0, 1, 2)]
    assert (len({run.trained_on["train_videos"] for run in runs}) > 1) is (written is of_sources)
    for one in joined:
        only, folder = {one.recipe: recipes[one.recipe]}, tmp_path / f"{one.seed}"
        (alone,) = compare(world, only, folder, seeds=[one.seed], prompts=world.prompts)
        assert alone.notes == one.notes
        for name in ("top1", "top5", "mean_class_accuracy", "videos_evaluated"):
            assert one.report[name] == alone.report[name]
        folders = [tmp_path / way / one.recipe / f"seed-{one.seed}" for way in ("together", str(one.seed))]
        mine, theirs = (Run.read(folder) for folder in folders)
        assert (mine.recipe, mine.spec, mine.seen) == (theirs.recipe, theirs.spec, theirs.seen)
        for name in ("epoch", "val_score"):
            assert mine.trained_on[name] == theirs.trained_on[name]
        for name, weights in theirs.model.state_dict().items():
            torch.testing.assert_close(mine.model.state_dict()[name], weights, rtol=0, atol=1e-4)
        logs = [list(csv.DictReader((folder / "log.csv").open())) for folder in folders]
        for row, other in zip(*logs, strict=True):
            for name in row.keys() - {"seconds"}:
                assert float(row[name] or 0) == pytest.approx(float(other[name] or 0), abs=1e-4, nan_ok=True)


def test_no_more_seeds_train_at_once_than_fit(world, tmp_path, monkeypatch):
    recipes = {"probe": replace(QUICK, batch_size=5)}
    compare(world, recipes, tmp_path / "at-once", seeds=(0, 1, 2))
    sets = []
    whole = together._train_sets
    monkeypatch.setattr(
        together, "_train_sets", lambda jobs, *how, **more: sets.append(len(jobs)) or whole(jobs, *how, **more)
    )
    monkeypatch.setattr(compare_module, "MOST_SEEDS", 2)
    monkeypatch.setattr(together, "MOST_SCORES", 1)
    told = []
    compare(world, recipes, tmp_path / "few", seeds=(0, 1, 2), tell=lambda done, total: told.append(done))
    assert told == sorted(told)
    assert sets == [1, 1]  # of the two seeds that are asked for at once; the third trains alone
    for seed in range(3):
        mine, theirs = (Run.read(tmp_path / way / "probe" / f"seed-{seed}") for way in ("at-once", "few"))
        for name, weights in theirs.model.state_dict().items():
            torch.testing.assert_close(mine.model.state_dict()[name], weights, rtol=0, atol=1e-4)


def test_trainings_whose_loss_is_no_number_are_tried_alone_and_the_others_are_not(world, tmp_path, monkeypatch):
    tried = []
    whole = Comparison.try_recipe
    monkeypatch.setattr(
        Comparison, "try_recipe", lambda self, name, *job, **how: tried.append(name) or whole(self, name, *job, **how)
    )
    recipes = {"wild": replace(QUICK, lr=1e38), "fine": QUICK, "slow": replace(QUICK, lr=1e-3)}
    trials = compare(world, recipes, tmp_path, seeds=(0, 1))
    assert [(trial.recipe, bool(trial.refused)) for trial in trials if trial.seed == 0] == [
        ("wild", True),
        ("fine", False),
        ("slow", False),
    ]
    assert tried == ["wild"]
