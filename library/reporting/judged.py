"""Judged runs of a report: runs of several labels a video, the precision of each label, and the interval of the mAP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from framebank.heads.evaluation.jackknife import (
    interval_of_gain,
    interval_of_share,
    maps_without_each,
    standard_error,
)
from framebank.heads.evaluation.measured import MeasuredRun, groups_of_run, read_measured, require_seeds
from framebank.heads.evaluation.paired import t_by_normal
from framebank.heads.metrics import measure
from framebank.library.reporting.runs import names_of
from framebank.store.errors import DataError
from framebank.store.files.replacing import current
from framebank.store.formats.document import read_json


@dataclass(frozen=True, eq=False)
class JudgedRun:
    """One run of C labels and what it is worth on V videos that have a label.

    `scores` (V, C) are the probabilities of the labels, and `targets` (V, C) is 1 for a true one. `precisions` (C,) are
    the average precisions, NaN for a label that no video has; `without` (V,) is the mAP without each of the videos,
    whose sources are the `groups` (V,). `worth` has the precision, recall and F1 of each label
    above its threshold (`by_class`) if the run has thresholds. If the folder `path` holds several seeds, this is what
    the first of them says, and `seeds` has all of them.
    """

    path: Path
    name: str
    split: str
    store: Path
    labels: tuple[str, ...]
    video_ids: tuple[str, ...]
    scores: np.ndarray
    targets: np.ndarray
    precisions: np.ndarray
    without: np.ndarray
    groups: np.ndarray
    facts: Mapping[str, Any]
    worth: Mapping[str, Any] | None
    seeds: tuple["JudgedRun", ...] = ()

    @property
    def map(self) -> float:
        """The mean average precision over the labels that occur."""
        return float(np.nanmean(self.precisions))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `map` over the videos (jackknife)."""
        error = standard_error(self.without, self.groups)
        return interval_of_share(self.map, error, videos=len(self.video_ids))

    def true_places(self, row: int) -> list[int]:
        """Return the labels of a video by their places, the one that the run is surest of first."""
        places = np.flatnonzero(self.targets[row])
        own: list[int] = places[np.argsort(-self.scores[row, places], kind="stable")].tolist()
        return own

    def over_seeds(self, figure: str) -> tuple[Any, Any]:
        """Return the mean and the sample deviation of "map" or "precisions" over the seeds."""
        values = np.array([getattr(one, figure) for one in self.seeds])
        return values.mean(0), values.std(0, ddof=1)

    @property
    def mean_map(self) -> float:
        """The mean of `map` over the seeds, or `map` of a single run."""
        return float(self.over_seeds("map")[0]) if self.seeds else self.map

    def gain(self, first: "JudgedRun") -> tuple[float, tuple[float, float]]:
        """Return the mAP beyond that of another run, and the 95 % interval of the difference over the videos.

        Seeds are taken in pairs: the videos count by the mean over them, and the spread of the differences is added.
        """
        pairs = list(zip(self.seeds or (self,), first.seeds or (first,), strict=True))
        gains = np.array([mine.map - other.map for mine, other in pairs])
        error = standard_error(np.mean([mine.without - other.without for mine, other in pairs], axis=0), self.groups)
        if len(pairs) > 1:
            error = float(np.hypot(error, gains.std(ddof=1) / len(pairs) ** 0.5 * t_by_normal(len(pairs) - 1)))
        return float(gains.mean()), interval_of_gain(float(gains.mean()), error)

    def to_dict(self) -> dict[str, Any]:
        """Return its figures as plain values; those of several seeds have the mean and the deviation too."""
        several = {"map": list(map(float, self.over_seeds("map")))} if self.seeds else {}
        return {
            "run": str(self.path),
            "map": self.map,
            "interval": list(self.interval),
            "videos": len(self.video_ids),
            "f1": self.worth["f1"] if self.worth else None,
            **({"seeds": len(self.seeds), "over_seeds": several} if self.seeds else {}),
        }


def are_judged(folders: Sequence[Path]) -> bool:
    """Whether the first run judges each label by itself."""
    return next(iter(read_measured(folders[0]).values())).predictions.targets.ndim == 2


def read_judged(folders: Sequence[Path]) -> tuple[JudgedRun, ...]:
    """Return runs of several labels that were evaluated on the same videos.

    A folder of runs named seed-0, seed-1, ... is one run of several seeds. DataError if a run was never evaluated, or
    if two were evaluated on different splits, classes, videos or seeds.
    """
    measured = [read_measured(folder) for folder in folders]
    first = next(iter(measured[0].values()))
    for run in measured:
        require_seeds(measured[0], run)
        for one in run.values():
            _require_alike(one, first)
    found = []
    for folder, run, name in zip(folders, measured, names_of(folders), strict=True):
        seeds = tuple(_judged(each, name, first=first) for each in run.values())
        found.append(replace(seeds[0], path=folder, seeds=seeds) if len(seeds) > 1 else seeds[0])
    return tuple(found)


def _require_alike(one: MeasuredRun, first: MeasuredRun) -> None:
    mine, theirs = one.predictions, first.predictions
    if one.split != first.split:
        raise DataError(
            f"{one.path} was evaluated on the split {one.split!r}, {first.path} on {first.split!r}; expected one split"
        )
    if mine.labels != theirs.labels or mine.targets.ndim != theirs.targets.ndim:
        raise DataError(f"{one.path} and {first.path} have different classes; expected the same classes in one order")
    if set(mine.video_ids) != set(theirs.video_ids):
        raise DataError(f"{one.path} and {first.path} were measured on different videos; evaluate both on one split")


def _judged(one: MeasuredRun, name: str, *, first: MeasuredRun) -> JudgedRun:
    made = one.predictions
    row_of = {video_id: row for row, video_id in enumerate(made.video_ids)}
    rows = np.array([row_of[video_id] for video_id in first.predictions.video_ids])
    labelled = made.targets[rows].any(1)
    rows = rows[labelled]
    scores, targets = made.scores[rows], made.targets[rows]
    found = measure(made)
    precisions = np.array([np.nan if value is None else value for value in found["average_precision"]])
    metrics = read_json(current(one.path, "metrics.json"))
    return JudgedRun(
        one.path,
        name,
        one.split,
        one.store,
        made.labels,
        tuple(made.video_ids[row] for row in rows.tolist()),
        scores,
        targets,
        precisions,
        maps_without_each(scores, targets > 0),
        groups_of_run(first)[labelled],
        metrics.get("made_by", {}),
        metrics.get("thresholds"),
    )
