"""Classes of a report: how often each is recognised, by how many videos it was trained, and what it is taken for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.library.reporting.runs import EvaluatedRun
from framebank.library.reporting.share import RightShare
from framebank.store.counts import counted

# The usual cut for long-tailed sets (Liu et al. 2019, arXiv 1904.05160): training videos of a class.
MANY, FEW = 100, 20


@dataclass(frozen=True)
class ClassAccuracy:
    """One class: `seen` says how many of its test videos the first run has right; `others` are further runs' shares.

    `training` is the number of its training videos, None if it is not known. `taken_for` is the class that it is most
    often mistaken for, with the number of videos. `over_seeds` is the mean and the deviation of its accuracy over the
    seeds of the first run, if it has several.
    """

    seen: RightShare
    training: int | None
    taken_for: tuple[str, int] | None
    others: tuple[float, ...] = ()
    over_seeds: tuple[float, float] | None = None


@dataclass(frozen=True)
class ClassAccuracies:
    """The classes that occur, the least recognised first, and their groups by training videos, if these are known."""

    classes: tuple[ClassAccuracy, ...]
    groups: tuple[RightShare, ...]
    absent: int

    def to_dict(self) -> dict[str, Any]:
        """Return the worst and the groups as plain values."""
        return {
            "classes": len(self.classes),
            "groups": {group.name: group.accuracy for group in self.groups},
        }


def class_accuracies(runs: Sequence[EvaluatedRun], training: Mapping[str, int] | None) -> ClassAccuracies:
    """Return the accuracy of each class. `training` has the number of training videos of each, if it is known."""
    first = runs[0]
    count = len(first.labels)
    videos = np.bincount(first.targets, minlength=count)
    right = [np.bincount(run.targets[run.correct], minlength=count) for run in runs]
    table = confusion_counts(first)
    np.fill_diagonal(table, 0)
    over_seeds = list(zip(*first.over_seeds("class_shares"), strict=True)) if first.seeds else [None] * count
    classes = []
    for place in np.flatnonzero(videos).tolist():
        worst = int(table[place].argmax())
        mistaken = int(table[place, worst])
        label = first.labels[place]
        classes.append(
            ClassAccuracy(
                RightShare(label, int(videos[place]), int(right[0][place])),
                None if training is None else training.get(label, 0),
                (first.labels[worst], mistaken) if mistaken else None,
                tuple(float(each[place] / videos[place]) for each in right[1:]),
                over_seeds[place],
            )
        )
    groups = () if training is None else _groups(classes)
    classes.sort(key=lambda one: (one.seen.accuracy, -one.seen.videos, one.seen.name))
    return ClassAccuracies(tuple(classes), groups, count - len(classes))


def confusion_counts(run: EvaluatedRun) -> np.ndarray:
    """Return how many videos of each class (a row) are given each label, (C, C)."""
    count = len(run.labels)
    return np.bincount(run.targets * count + run.best, minlength=count * count).reshape(count, count)


def _groups(classes: Sequence[ClassAccuracy]) -> tuple[RightShare, ...]:
    """Gather the classes by their number of training videos; a group without a class is left out."""
    names: dict[str, list[ClassAccuracy]] = {
        f"many (more than {MANY})": [],
        f"medium ({FEW} to {MANY})": [],
        f"few (fewer than {FEW})": [],
    }
    many, medium, few = names.values()
    for one in classes:
        training = one.training or 0
        (many if training > MANY else few if training < FEW else medium).append(one)
    return tuple(
        RightShare(
            name,
            sum(one.seen.videos for one in own),
            sum(one.seen.right for one in own),
            counted(len(own), "class", "classes"),
        )
        for name, own in names.items()
        if own
    )
