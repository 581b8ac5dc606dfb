"""Supervised protocols: a recipe is trained on each split, or once for each seed, and scored on the test videos."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from framebank.heads.evaluation.divided import divide, of_train_and_test
from framebank.heads.evaluation.evaluate import evaluate_run
from framebank.heads.evaluation.grid import train_grid
from framebank.heads.evaluation.named import NamedProtocol
from framebank.heads.evaluation.split_report import SplitReport
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store.errors import DataError, warn
from framebank.store.features import FeatureStore
from framebank.store.videos.labels import LabelSet
from framebank.store.videos.manifest import Manifest

JobOf = Callable[[FeatureStore, Manifest, Recipe], TrainingJob]


def train_on_splits(
    protocol: NamedProtocol,
    store: FeatureStore,
    recipe: Recipe,
    *,
    lists: Path | None,
    folder: Path,
    shown: Path,
    job_of: JobOf,
    device: torch.device,
    done: Callable[[], None],
) -> list[SplitReport]:
    """Train a recipe on each split, in `folder`/NAME, and return the figures of each run on its test videos.

    `shown` is where `folder` will be in the end. `job_of` makes the training of a recipe on the training videos of a
    store. What the recipe chooses is chosen on videos held out from the training ones, and so is a setting of the
    protocol's grid, which the report then has under `grid`; no other split of the store is looked at. DataError if a
    list does not fit, or a split has no video to train or to test on.
    """
    require_groups(protocol, store)
    parts = []
    for name, divided, listed, chosen in _trainings(protocol, store, recipe, lists):
        test = divided.split("test")
        run, told = _train(protocol, divided, chosen, name=name, folder=folder, job_of=job_of)
        LabelSet(run.labels).require_covers(
            test.labels, mine="the training videos", theirs=f"the test videos of {name}"
        )
        where = {"folder": folder / name, "shown": shown / name}
        report = evaluate_run(run, divided, test, split="test", device=device, **where)
        parts.append(SplitReport(name, {**report, **told}, listed or len(test)))
        done()
    return parts


def _train(
    protocol: NamedProtocol, store: FeatureStore, recipe: Recipe, *, name: str, folder: Path, job_of: JobOf
) -> tuple[Run, dict[str, Any]]:
    """Return the run of one part and, of a protocol with a grid, what was tried (`grid`)."""
    if not protocol.grid:
        return train_part(store, recipe, name=name, folder=folder, job_of=job_of), {}
    manifest = store.split("train")
    found = train_grid(recipe, protocol.grid, name=name, job_of=lambda one: job_of(store, manifest, one))
    found.run.write(folder / name, log=found.log)
    return found.run, {"grid": found.to_dict()}


def train_part(store: FeatureStore, recipe: Recipe, *, name: str, folder: Path, job_of: JobOf) -> Run:
    """Train on the split train of a store, and return the run, which is written to `folder`/NAME."""
    job = job_of(store, store.split("train"), recipe)
    for note in job.notes:
        warn(f"{name}: {note}")
    log = list(job.epochs())
    return job.save(folder / name, log=log)


def with_share(protocol: NamedProtocol, recipe: Recipe) -> Recipe:
    """Return the recipe with the protocol's share of held-out videos, if it says one."""
    return recipe if protocol.val_fraction is None else replace(recipe, val_fraction=protocol.val_fraction)


def require_groups(protocol: NamedProtocol, store: FeatureStore) -> None:
    """Refuse a store whose videos have another number of views and clips than the protocol says: DataError."""
    found = store[store.ids[0]].num_groups if protocol.groups else 0
    if found != protocol.groups:
        raise DataError(
            f"{store.path}: holds {found} view(s) and clip(s) of each video; the protocol {protocol.name!r} averages "
            f"{protocol.groups}; expected a store of extract --clips and --views"
        )


def _trainings(
    protocol: NamedProtocol, store: FeatureStore, recipe: Recipe, lists: Path | None
) -> Iterator[tuple[str, FeatureStore, int, Recipe]]:
    """Yield the name, the store in its splits, the number of listed test videos and the recipe of each training."""
    recipe = with_share(protocol, recipe)
    if protocol.seeds:
        for seed in protocol.seeds:
            yield f"seed-{seed}", of_train_and_test(store), 0, replace(recipe, seed=seed)
    elif not protocol.splits:
        yield "split", of_train_and_test(store), 0, recipe
    for number, split in enumerate(protocol.splits, start=1):
        assert lists
        divided = divide(store, split, lists=lists)
        yield f"split-{number}", divided.store, divided.test_listed, recipe
