"""Comparison: several recipes on one store with the same texts, videos and seeds, and what each is worth."""

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from framebank.heads.evaluate import evaluate_run
from framebank.heads.job import TrainingJob
from framebank.heads.lexicon import Lexicon
from framebank.heads.metrics import wilson_interval
from framebank.heads.recipe import Recipe
from framebank.heads.text_tower import TowerLoader
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.labels import LabelSet
from framebank.store.manifest import Manifest
from framebank.store.prompts import PromptBank


@dataclass(frozen=True)
class Trial:
    """One training of one recipe: its metrics on the test videos, or why there are none.

    `seconds` is the training with the reading of the bank; `parameters` counts what was trained by steps.
    """

    recipe: str
    seed: int
    seconds: float = 0.0
    parameters: int = 0
    report: dict[str, Any] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class Standing:
    """What a recipe is worth over its seeds: mean and sample deviation of a score, which is top-1 or mAP.

    `interval` is the 95 % interval of the mean over videos, which no number of seeds narrows; None for mAP.
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


def run_trials(
    store: FeatureStore,
    recipes: Mapping[str, Recipe],
    *,
    seeds: Sequence[int],
    train: Manifest,
    test: Manifest,
    split: str,
    labels: LabelSet,
    prompts: PromptBank | None,
    device: torch.device,
    folder: Path,
    tower: TowerLoader | None = None,
    lexicon: Lexicon | None = None,
) -> Iterator[Trial]:
    """Train each recipe with each seed, keep its run in `folder`/NAME/seed-N, and yield what it is worth.

    A recipe that this store cannot serve (another stream, no texts) is a trial with the reason, once.
    """
    for name, recipe in recipes.items():
        for seed in seeds:
            try:
                yield _try(
                    store,
                    replace(recipe, seed=seed),
                    name=name,
                    train=train,
                    test=test,
                    split=split,
                    labels=labels,
                    prompts=prompts,
                    device=device,
                    folder=folder / name / f"seed-{seed}",
                    tower=tower,
                    lexicon=lexicon if recipe.reads_lexicon else None,
                )
            except DataError as error:
                yield Trial(name, seed, refused=str(error))
                break


def _try(
    store: FeatureStore,
    recipe: Recipe,
    *,
    name: str,
    train: Manifest,
    test: Manifest,
    split: str,
    labels: LabelSet,
    prompts: PromptBank | None,
    device: torch.device,
    folder: Path,
    tower: TowerLoader | None = None,
    lexicon: Lexicon | None = None,
) -> Trial:
    if recipe.reads_texts and prompts is None:
        raise DataError(f"the recipe {name!r} scores with the texts of the classes; expected --prompts or an encoder")
    texts = prompts if recipe.reads_texts else None
    started = time.perf_counter()
    job = TrainingJob(store, train, recipe, labels=labels, prompts=texts, tower=tower, lexicon=lexicon, device=device)
    log = list(job.epochs())
    seconds = time.perf_counter() - started
    learned = sum(parameter.numel() for parameter in job.model.parameters() if parameter.requires_grad)
    run = job.save(folder, log=log)
    report = evaluate_run(run, store, test, split=split, device=device, folder=folder)
    return Trial(name, recipe.seed, seconds=seconds, parameters=learned if log else 0, report=report)


def standings(trials: Sequence[Trial]) -> list[Standing]:
    """Sum up the trials of each recipe that ran, the best first."""
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
