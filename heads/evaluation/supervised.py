"""Supervised protocols: a recipe is trained on each split, or once for each seed, and scored on the test videos."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from framebank.heads.evaluation.divided import divide, of_train_and_test
from framebank.heads.evaluation.evaluate import evaluate_run, require_measurable, zero_shot_hint
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


@dataclass(frozen=True)
class _Part:
    """One training of a protocol: its name, the store in its splits, how many test videos are listed, its recipe."""

    name: str
    store: FeatureStore
    test_listed: int
    recipe: Recipe


def train_on_splits(
    protocol: NamedProtocol,
    store: FeatureStore,
    recipe: Recipe,
    *,
    lists: Path | None,
    folder: Path,
    shown: Path,
    job_of: JobOf,
    classes: LabelSet | None,
    device: torch.device,
    done: Callable[[], None],
) -> list[SplitReport]:
    """Train a recipe on each split, in `folder`/NAME, and return the figures of each run on its test videos.

    `shown` is where `folder` will be in the end. `job_of` makes the training of a recipe on the training videos of a
    store; `classes` are those that are given, or None for those of the training videos. What the recipe chooses is
    chosen on videos held out from the training ones, and so is a setting of the protocol's grid, which the report then
    has under `grid`; no other split of the store is looked at. DataError, before the first training, if a list does not
    fit, or a split has no video to train or to test on.
    """
    require_groups(protocol, store)
    parts = list(_parts(protocol, store, recipe, lists))
    for part in parts:
        _require_both_sides(part, classes)
    reports = []
    for part in parts:
        run, told = _train(protocol, part, folder=folder, job_of=job_of)
        test = part.store.split("test")
        where = {"folder": folder / part.name, "shown": shown / part.name}
        report = evaluate_run(run, part.store, test, split="test", device=device, **where)
        reports.append(SplitReport(part.name, {**report, **told}, part.test_listed or len(test)))
        done()
    return reports


def _require_both_sides(part: _Part, classes: LabelSet | None) -> None:
    """Refuse a part whose test videos cannot be measured by the classes, or those of its training videos: DataError."""
    train, test = part.store.split("train"), part.store.split("test")
    several = part.recipe.is_multi_label
    known = classes or LabelSet(train.labels)
    mine = "the set of classes" if classes else "the training videos"
    known.require_covers(test.labels, mine=mine, theirs=f"the test videos of {part.name}")
    hint = zero_shot_hint(part.store)
    require_measurable(part.store, test, known, split="test", hint=hint, mine=mine, multi_label=several)


def _train(protocol: NamedProtocol, part: _Part, *, folder: Path, job_of: JobOf) -> tuple[Run, dict[str, Any]]:
    """Return the run of one part and, of a protocol with a grid, what was tried (`grid`)."""
    if not protocol.grid:
        return train_part(part.store, part.recipe, name=part.name, folder=folder, job_of=job_of), {}
    manifest = part.store.split("train")
    found = train_grid(part.recipe, protocol.grid, name=part.name, job_of=lambda one: job_of(part.store, manifest, one))
    found.run.write(folder / part.name, log=found.log)
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


def _parts(protocol: NamedProtocol, store: FeatureStore, recipe: Recipe, lists: Path | None) -> Iterator[_Part]:
    """Yield what is trained, one after the other."""
    recipe = with_share(protocol, recipe)
    if protocol.seeds:
        divided = of_train_and_test(store)
        for seed in protocol.seeds:
            yield _Part(f"seed-{seed}", divided, 0, replace(recipe, seed=seed))
    elif not protocol.splits:
        yield _Part("split", of_train_and_test(store), 0, recipe)
    for number, split in enumerate(protocol.splits, start=1):
        assert lists
        official = divide(store, split, lists=lists)
        yield _Part(f"split-{number}", official.store, official.test_listed, recipe)
