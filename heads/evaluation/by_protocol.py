"""By protocol: the figures of each split or draw of a named protocol, and their mean."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framebank.heads.evaluation.divided import divide, of_train_and_test
from framebank.heads.evaluation.evaluate import evaluate_run, evaluate_zero_shot
from framebank.heads.evaluation.named import NamedProtocol
from framebank.heads.metrics import wilson_interval
from framebank.heads.text_tower import TowerLoader
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store.counts import counted
from framebank.store.errors import DataError, warn
from framebank.store.features import FeatureStore
from framebank.store.prompts import PromptBank
from framebank.store.videos.labels import LabelSet, class_text
from framebank.store.videos.manifest import Manifest

FIGURES = ("top1", "top5", "mean_class_accuracy")


@dataclass(frozen=True)
class SplitReport:
    """One split or draw: its report, as `evaluate` gives it, and how many test videos the official list has."""

    name: str
    report: dict[str, Any]
    listed: int

    @property
    def evaluated(self) -> int:
        """How many videos were scored."""
        return int(self.report["videos_evaluated"])


def train_on_splits(
    protocol: NamedProtocol,
    store: FeatureStore,
    recipe: Recipe,
    *,
    lists: Path | None,
    folder: Path,
    shown: Path,
    job_of: Callable[[FeatureStore, Manifest, Recipe], TrainingJob],
    device: torch.device,
    done: Callable[[], None],
) -> list[SplitReport]:
    """Train a recipe on each split, in `folder`/NAME, and return the figures of each run on its test videos.

    `shown` is where `folder` will be in the end. `job_of` makes the training of a recipe on the training videos of a
    store. What the recipe chooses is chosen on videos held out from the training ones; no other split of the store is
    looked at. DataError if a list does not fit, or a split has no video to train or to test on.
    """
    parts = []
    if protocol.val_fraction is not None:
        recipe = replace(recipe, val_fraction=protocol.val_fraction)
    for name, divided, listed in _divided(protocol, store, lists):
        train, test = divided.split("train"), divided.split("test")
        job = job_of(divided, train, recipe)
        for note in job.notes:
            warn(f"{name}: {note}")
        log = list(job.epochs())
        run = job.save(folder / name, log=log)
        _require_classes(LabelSet(run.labels), test, name)
        where = {"folder": folder / name, "shown": shown / name}
        report = evaluate_run(run, divided, test, split="test", device=device, **where)
        parts.append(SplitReport(name, report, listed or len(test)))
        done()
    return parts


def by_names(
    protocol: NamedProtocol,
    store: FeatureStore,
    prompts: PromptBank,
    *,
    lists: Path | None,
    scoring: str,
    run: Run | None,
    run_path: Path | None,
    tower: TowerLoader | None,
    device: torch.device,
    done: Callable[[], None],
) -> list[SplitReport]:
    """Score each test list, the whole store, or halves of the classes, by the texts of the classes."""
    parts = []
    for name, manifest, names, listed in _tested(protocol, store, prompts, lists):
        report = evaluate_zero_shot(
            prompts.select(names),
            store,
            manifest,
            split=name,
            scoring=scoring,
            device=device,
            run=run,
            folder=run_path,
            tower=tower,
        )
        parts.append(SplitReport(name, report, listed or len(manifest)))
        done()
    return parts


def half_of(names: Sequence[str], seed: int) -> tuple[str, ...]:
    """Return the first half of the classes in the order of numpy.random.permutation, after numpy.random.seed(seed).

    >>> half_of(("a", "b", "c", "d"), 0)
    ('c', 'd')
    """
    order = np.random.RandomState(seed).permutation(len(names))
    return tuple(names[place] for place in order[: len(names) // 2])


def summed_up(parts: Sequence[SplitReport]) -> dict[str, Any]:
    """Return the mean of each figure over the parts, its sample deviation, and the 95 % interval over videos.

    The interval of several parts is the interval of their mean, for the mean number of their videos. The parts are not
    independent, so more draws do not make it narrower.
    """
    reports = [part.report for part in parts]
    if any("map" in report for report in reports):
        raise DataError("a video of the protocol has several labels; expected one for each video")
    means = {name: statistics.fmean(report[name] for report in reports) for name in FIGURES}
    videos = round(statistics.fmean(part.evaluated for part in parts))
    return {
        **means,
        "top1_interval": wilson_interval(round(means["top1"] * videos), videos),
        "deviation": statistics.stdev(report["top1"] for report in reports) if len(parts) > 1 else 0.0,
        "videos_evaluated": sum(part.evaluated for part in parts),
        "videos_listed": sum(part.listed for part in parts),
    }


def _divided(protocol: NamedProtocol, store: FeatureStore, lists: Path | None) -> list[tuple[str, FeatureStore, int]]:
    if not protocol.splits:
        return [("split", of_train_and_test(store), 0)]
    assert lists
    found = []
    for number, split in enumerate(protocol.splits, start=1):
        divided = divide(store, split, lists=lists)
        found.append((f"split-{number}", divided.store, divided.test_listed))
    return found


def _tested(
    protocol: NamedProtocol, store: FeatureStore, prompts: PromptBank, lists: Path | None
) -> list[tuple[str, Manifest, tuple[str, ...], int]]:
    """Return the name, the videos, the classes and the number of listed videos of each part."""
    names = prompts.labels.names
    if protocol.videos == "lists":
        return [(name, each.split("test"), names, listed) for name, each, listed in _divided(protocol, store, lists)]
    labelled = store.manifest.labelled()
    if protocol.videos == "full":
        return [("full", labelled, names, len(store.manifest))]
    if len(names) < 4:
        raise DataError(
            f"{store.path}: has {counted(len(names), 'class', 'classes')}; expected 4 or more, to draw half"
        )
    parts = []
    for seed in protocol.seeds:
        half = half_of(names, seed)
        held = set(map(class_text, half))
        videos = tuple(video for video in labelled.videos if held.issuperset(map(class_text, video.labels)))
        parts.append((f"half-{seed}", Manifest(videos), half, 0))
    return parts


def _require_classes(labels: LabelSet, test: Manifest, name: str) -> None:
    labels.require_covers(test.labels, mine="the training videos", theirs=f"the test videos of {name}")
