"""Long work says how much of it is done: every step, from the first to the last, and never backwards."""

from dataclasses import replace

import pytest
import torch

from framebank.heads.fewshot.drawn_episodes import DrawnEpisodes
from framebank.heads.fewshot.episodes import AllWaySampler, EpisodeSampler
from framebank.heads.fewshot.evaluate import evaluate_few_shot
from framebank.heads.fewshot.job import FewshotJob
from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.tests.worlds.compared import compare

CPU = torch.device("cpu")
PROBE = Recipe(head="mean", classifier="linear", loss="ce", epochs=3, lr=0.05, val_fraction=0.0, batch_size=7)

pytestmark = pytest.mark.usefixtures("one_thread")


class Heard(list):
    """What was told, as pairs (done, total)."""

    def __call__(self, done, total):
        self.append((done, total))


def test_training_tells_each_step_of_all_epochs(world):
    heard = Heard()
    job = TrainingJob(world.store, world.manifest.split("train"), PROBE, device=CPU)
    assert len(list(job.epochs(tell=heard))) == 3
    total = 3 * -(-len(job.train) // 7)
    assert heard == [(step, total) for step in range(1, total + 1)]


def test_training_by_episodes_tells_each_step_within_a_stage(world):
    heard = Heard()
    recipe = FewshotRecipe(matcher="linear", way=3, query=1, steps=5, val_every=4, val_episodes=2, episodes=2)
    job = FewshotJob(world.store, world.manifest.split("train"), recipe, val=world.manifest.split("val"), device=CPU)
    before = [len(heard) for _ in job.stages(tell=heard)]
    assert before == [4, 5]
    assert heard == [(step, 5) for step in range(1, 6)]


@pytest.mark.parametrize("way", [3, 0])
def test_scoring_tells_the_queries_of_all_matchers(world, way):
    heard = Heard()
    manifest = world.manifest.split("test")
    sampler = EpisodeSampler(way=3, shot=1, query=2, episodes=40)
    if not way:
        manifest = world.manifest
        ids = frozenset(video.video_id for video in world.manifest.split("train").labelled().videos)
        sampler = AllWaySampler(ids, 1, draws=2)
    names = []

    def watch(matchers):
        for name in matchers:
            names.append((name, len(heard)))
            yield name

    report = evaluate_few_shot(
        ["otam", "chamfer"],
        DrawnEpisodes.of(world.store, manifest, sampler),
        split="test",
        prompts=world.prompts,
        device=CPU,
        watch=watch,
        tell=heard,
    )
    assert (
        [name for name, _ in names] == ["otam", "chamfer", "text", "mean"] == [r["matcher"] for r in report["scores"]]
    )
    assert len({total for _, total in heard}) == 1
    done = [number for number, _ in heard]
    assert done == sorted(set(done))
    total = heard[0][1]
    assert heard[-1] == (total, total)
    if way:
        assert total == 4 * 40 * 3 * 2
    for number, (_, told) in enumerate(names):
        assert told == 0 or done[told - 1] == number * total // 4


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_comparing_tells_the_epochs_of_all_runs_and_counts_what_is_refused(world, tmp_path, workers):
    heard = Heard()
    recipes = {
        "probe": PROBE,
        "texts": Recipe(epochs=4),  # refused: there are no texts
        "lda": replace(PROBE, classifier="lda", epochs=0),
    }
    trials = compare(world, recipes, tmp_path, workers=workers, tell=heard)
    assert [(trial.recipe, bool(trial.refused)) for trial in trials] == [
        ("probe", False),
        ("probe", False),
        ("texts", True),
        ("lda", False),
        ("lda", False),
    ]
    total = 3 + 3 + 4 + 4 + 1 + 1
    assert {of for _, of in heard} == {total}
    done = [number for number, _ in heard]
    assert done == sorted(done)
    assert set(done) >= {3, 6, 10, 14, 15, 16}
    if workers == 1:
        assert set(done) >= {1, 2, 3, 6}  # both seeds train in the same steps
