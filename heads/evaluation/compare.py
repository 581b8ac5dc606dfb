"""Comparison: several recipes on one store with the same texts, videos and seeds, and the score of each."""

import itertools
import statistics
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from framebank.heads.evaluation.evaluate import evaluate_run
from framebank.heads.metrics import score_targets, wilson_interval
from framebank.heads.progress import Tell, tell_after, tell_nobody
from framebank.heads.text_tower import TowerLoader
from framebank.heads.training.drawn_videos import embedded_videos
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.lexicon import Lexicon
from framebank.heads.training.loop import Epoch
from framebank.heads.training.optimizer import optimizer_of
from framebank.heads.training.pooled_stack import shared_steps
from framebank.heads.training.pooled_store import PooledStore
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.together import train_together
from framebank.store.errors import DataError, PlaceError
from framebank.store.features import FeatureStore
from framebank.store.files.parallel import call_in_processes
from framebank.store.prompts import PromptBank
from framebank.store.shard import FRAME_STREAM
from framebank.store.videos.labels import LabelSet
from framebank.store.videos.manifest import Manifest

MOST_SEEDS = 10  # that are trained together; the pooled videos of each are in memory, of another stream all rows


@dataclass(frozen=True)
class Trial:
    """One training of one recipe: its metrics on the test videos, or the reason why there are none.

    `seconds` is the time of the training with the reading of the bank, or an equal share of it for each of those that
    were trained together. `parameters` counts what was trained in steps.
    `notes` say what is odd about its videos, such as a class without a validation video.
    """

    recipe: str
    seed: int
    seconds: float = 0.0
    parameters: int = 0
    report: dict[str, Any] = field(default_factory=dict)
    refused: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """The score of a recipe over its seeds: mean and sample deviation of top-1 or mAP.

    `interval` is the 95 % interval of the mean over videos; more seeds do not make it narrower. None for mAP.
    """

    recipe: str
    score: float
    deviation: float
    interval: tuple[float, float] | None
    mean_class_accuracy: float | None
    seconds: float
    parameters: int
    seeds: int
    videos: int


@dataclass(frozen=True)
class Comparison:
    """What every recipe shares: the videos of `train` and `test` (of `split`), the classes and the texts.

    The encoder's text `tower` and the `lexicon` are there for recipes that need them. Runs are kept in
    `folder`/NAME/seed-N.
    """

    store: FeatureStore
    train: Manifest
    test: Manifest
    split: str
    labels: LabelSet
    device: torch.device
    folder: Path
    prompts: PromptBank | None = None
    tower: TowerLoader | None = None
    lexicon: Lexicon | None = None

    def try_recipe(self, name: str, recipe: Recipe, seed: int, *, tell: Tell = tell_nobody) -> Trial:
        """Train a recipe, keep its run, and return its score, or the reason why this store cannot serve it.

        `tell` is called after each epoch. DataError if the run cannot be written.
        """
        try:
            recipe = replace(recipe, seed=seed)
            _load_libraries(recipe)
            started = time.perf_counter()
            job = self._job(name, recipe)
            log = []
            for epoch in job.epochs():
                log.append(epoch)
                tell(epoch.number * recipe.epochs // job.num_epochs, recipe.epochs)
            return self._measured(name, job, log, seconds=time.perf_counter() - started)
        except PlaceError:  # this is not the fault of a recipe
            raise
        except DataError as error:
            return Trial(name, seed, refused=str(error))

    def try_together(
        self, recipes: Mapping[str, Recipe], seeds: Sequence[int], *, tell: Tell = tell_nobody
    ) -> dict[tuple[str, int], Trial]:
        """Train recipes of the same `shared_steps` with several seeds as one; return their trials by name and seed.

        Each takes an equal share of the seconds. One that cannot be trained so is missing, and is to be tried alone.
        `tell` is called as by one of them.
        """
        started, (first, recipe) = time.perf_counter(), next(iter(recipes.items()))
        try:
            store = self.store
            if recipe.stream == FRAME_STREAM:  # the frames are read once for all seeds
                store = PooledStore(store, recipe, device=self.device)
            jobs = [self._job(first, replace(recipe, seed=seed), store=store) for seed in seeds]
            for job in jobs if store is not self.store else ():
                job.model.frame_norm = False  # it was done before the mean
            telling: Tell = lambda done, total: tell(done * recipe.epochs // total, recipe.epochs)  # noqa: E731
            trained = train_together(jobs, list(recipes.values()), tell=telling)
            seconds = (time.perf_counter() - started) / (len(recipes) * len(seeds))
            return {
                (name, seed): self._measured(name, *one, seconds=seconds, store=store)
                for seed, of_seed in zip(seeds, trained, strict=True)
                for name, one in zip(recipes, of_seed, strict=True)
                if one
            }
        except DataError:  # tried one by one, each tells its own reason
            return {}

    def _job(self, name: str, recipe: Recipe, *, store: FeatureStore | None = None) -> TrainingJob:
        if recipe.reads_texts and self.prompts is None:
            raise DataError(
                f"the recipe {name!r} needs the texts of the classes; expected --prompts, or an encoder that makes them"
            )
        if not recipe.is_multi_label:
            embedded_videos(self.store, self.test, multi_label=False)
        return TrainingJob(
            store or self.store,
            self.train,
            recipe,
            labels=self.labels,
            prompts=self.prompts if recipe.reads_texts else None,
            tower=self.tower,
            lexicon=self.lexicon if recipe.reads_lexicon else None,
            device=self.device,
        )

    def _measured(
        self, name: str, job: TrainingJob, log: Sequence[Epoch], *, seconds: float, store: FeatureStore | None = None
    ) -> Trial:
        """Keep the run of a training and return its score."""
        seed, folder = job.recipe.seed, self.folder / name / f"seed-{job.recipe.seed}"
        learned = sum(parameter.numel() for parameter in job.model.parameters() if parameter.requires_grad)
        run = job.save(folder, log=log)
        store = store or self.store
        report = evaluate_run(run, store, self.test, split=self.split, device=self.device, folder=folder)
        learned = learned if log else 0
        return Trial(name, seed, seconds=seconds, parameters=learned, report=report, notes=job.notes)


def run_trials(
    comparison: Comparison,
    recipes: Mapping[str, Recipe],
    *,
    seeds: Sequence[int],
    workers: int = 1,
    tell: Tell = tell_nobody,
) -> Iterator[Trial]:
    """Try each recipe with each seed, in that order, and yield each trial.

    A recipe that this store cannot serve (another stream, no texts) gives one trial, with the reason. With several
    `workers`, that many processes share the threads of this one, because a small head cannot keep many threads busy.
    They do not run the caller's main module. DataError if one of them dies.

    `tell` reports the number of epochs done, over all trials; a recipe without epochs counts as one. It is called after
    each epoch, or with several workers after each trial. The epochs of a refused recipe count as done.
    """
    jobs = [(name, recipe, seed) for name, recipe in recipes.items() for seed in seeds]
    ends = list(itertools.accumulate(max(1, recipe.epochs) for _, recipe, _ in jobs))
    refused: set[str] = set()
    one_by_one = _one_by_one(comparison, jobs, ends, refused, tell)
    for trial, end in zip(_side_by_side(comparison, jobs, workers) if workers > 1 else one_by_one, ends, strict=True):
        if trial and trial.recipe not in refused:
            yield trial
        if trial and trial.refused:
            refused.add(trial.recipe)
        tell(end, ends[-1])


def _one_by_one(
    comparison: Comparison,
    jobs: Sequence[tuple[str, Recipe, int]],
    ends: Sequence[int],
    refused: Collection[str],
    tell: Tell,
) -> Iterator[Trial | None]:
    """Yield the trial of each job, and None if its recipe has been refused already.

    Those that differ in learning rate, weight decay and seed alone are trained together when the first is due.
    """
    known: dict[tuple[str, int], Trial | None] = {}  # None of one that is to be tried alone
    for (name, recipe, seed), begin in zip(jobs, [0, *ends[:-1]], strict=True):
        if name in refused:
            yield None
            continue
        telling = tell_after(tell, before=begin, total=ends[-1])
        if (name, seed) not in known and (shared := shared_steps(recipe)):
            alike = {other: own for other, own, _ in jobs if other not in refused and shared_steps(own) == shared}
            most = MOST_SEEDS if recipe.stream == FRAME_STREAM else 1
            seeds = [number for other, _, number in jobs if other == name and (name, number) not in known][:most]
            several = len(alike) * len(seeds) > 1
            together = comparison.try_together(alike, seeds, tell=telling) if several else {}
            known |= {(other, number): together.get((other, number)) for other in alike for number in seeds}
        yield known.get((name, seed)) or comparison.try_recipe(name, recipe, seed, tell=telling)


def _side_by_side(comparison: Comparison, jobs: Sequence[tuple[str, Recipe, int]], workers: int) -> Iterator[Trial]:
    threads = max(1, torch.get_num_threads() // workers)
    return call_in_processes(partial(_try_with, comparison, threads), jobs, processes=workers, name="training process")


def _try_with(comparison: Comparison, threads: int, *job: Any) -> Trial:
    """Try a recipe with the share of the threads that this worker has."""
    torch.set_num_threads(threads)
    return comparison.try_recipe(*job)


def _load_libraries(recipe: Recipe) -> None:
    """Load what the first training of a process loads: that takes seconds, which are no part of a training."""
    if recipe.epochs:
        optimizer_of([torch.nn.Parameter(torch.zeros(1))], weight_decay=0.0)
    if recipe.is_multi_label:
        score_targets(torch.zeros(1, 1), torch.ones(1, 1))


def standings(trials: Sequence[Trial]) -> list[Standing]:
    """Sum up the trials of each recipe that ran, best first."""
    done = [trial for trial in trials if not trial.refused]
    names = dict.fromkeys(trial.recipe for trial in done)
    found = [_sum_up([trial for trial in done if trial.recipe == name]) for name in names]
    return sorted(found, key=lambda standing: -standing.score)


def _sum_up(trials: Sequence[Trial]) -> Standing:
    reports = [trial.report for trial in trials]
    several = "map" in reports[0]
    scores = [report["map" if several else "top1"] for report in reports]
    videos = reports[0]["videos_evaluated"]
    mean = statistics.fmean(scores)
    return Standing(
        recipe=trials[0].recipe,
        score=mean,
        deviation=statistics.stdev(scores) if len(scores) > 1 else 0.0,
        interval=None if several else wilson_interval(round(mean * videos), videos),
        mean_class_accuracy=None if several else statistics.fmean(r["mean_class_accuracy"] for r in reports),
        seconds=statistics.fmean(trial.seconds for trial in trials),
        parameters=trials[0].parameters,
        seeds=len(trials),
        videos=videos,
    )


def to_json(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return trials and standings as plain values."""
    return {
        "standings": [asdict(standing) for standing in standings(trials)],
        "trials": [asdict(trial) for trial in trials],
    }
