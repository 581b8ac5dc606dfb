"""Judged runs of a report: runs of several labels a video, the precision of each label, and the interval of the mAP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framebank.heads.evaluation.measured import MeasuredRun, read_measured
from framebank.heads.metrics import measure
from framebank.library.reporting.runs import names_of
from framebank.store.errors import DataError
from framebank.store.files.replacing import current
from framebank.store.formats.document import read_json

DRAWS = 500  # of the videos, for the interval
MOST_CELLS = 2_000_000  # videos times labels, whose interval takes about a minute; with more there is none


@dataclass(frozen=True, eq=False)
class JudgedRun:
    """One run of C labels and what it is worth on V videos that have a label.

    `precisions` (C,) are the average precisions, NaN for a label that no video has; `drawn` (N,) is the mAP of draws of
    the videos, the same draws for each run, empty if there are too many videos. `worth` has the precision, recall and
    F1 of each label above its threshold (`by_class`) if the run has thresholds.
    """

    path: Path
    name: str
    split: str
    store: Path
    labels: tuple[str, ...]
    video_ids: tuple[str, ...]
    targets: np.ndarray
    precisions: np.ndarray
    drawn: np.ndarray
    facts: Mapping[str, Any]
    worth: Mapping[str, Any] | None

    @property
    def map(self) -> float:
        """The mean average precision over the labels that occur."""
        return float(np.nanmean(self.precisions))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of `map` over the videos (bootstrap), if they were drawn."""
        return _middle(self.drawn) if len(self.drawn) else None

    def gain(self, first: "JudgedRun") -> tuple[float, tuple[float, float] | None]:
        """Return the mAP beyond that of another run, and the 95 % interval of the difference over the same draws."""
        drawn = self.drawn - first.drawn
        return self.map - first.map, _middle(drawn) if len(drawn) else None

    def to_dict(self) -> dict[str, Any]:
        """Return its figures as plain values."""
        return {
            "run": str(self.path),
            "map": self.map,
            "interval": list(self.interval) if self.interval else None,
            "videos": len(self.video_ids),
            "f1": self.worth["f1"] if self.worth else None,
        }


def are_judged(folders: Sequence[Path]) -> bool:
    """Whether the first run judges each label by itself."""
    return next(iter(read_measured(folders[0]).values())).predictions.targets.ndim == 2


def read_judged(folders: Sequence[Path]) -> tuple[JudgedRun, ...]:
    """Return runs of several labels that were evaluated on the same videos.

    DataError if a run was never evaluated, if two were evaluated on different splits, classes or videos, or if a folder
    holds several seeds.
    """
    measured = []
    for folder in folders:
        found = read_measured(folder)
        if None not in found:
            raise DataError(f"{folder}: holds runs of several seeds; expected one run, such as {folder}/seed-0")
        measured.append(found[None])
    for one in measured[1:]:
        _require_alike(one, measured[0])
    names = names_of(folders)
    return tuple(_judged(one, name, first=measured[0]) for one, name in zip(measured, names, strict=True))


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
    rows = rows[made.targets[rows].any(1)]
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
        made.targets[rows],
        precisions,
        _draws(made.scores[rows], made.targets[rows] > 0),
        metrics.get("made_by", {}),
        metrics.get("thresholds"),
    )


def _draws(scores: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Return the mAP of DRAWS draws of the videos with replacement, scores and hits (V, C) -> (DRAWS,)."""
    if scores.size > MOST_CELLS:
        return np.empty(0)
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(hits, order, axis=0)
    rng = np.random.default_rng(0)
    count = len(scores)
    return np.array([_map_of(rng.multinomial(count, np.full(count, 1 / count))[order], ranked) for _ in range(DRAWS)])


def _map_of(weights: np.ndarray, ranked: np.ndarray) -> float:
    """The mAP of videos that count several times: weights and hits (V, C), each column with the best score first."""
    right = weights * ranked
    precision = right.cumsum(0) / np.maximum(weights.cumsum(0), 1)
    there = right.sum(0)
    return float(((right * precision).sum(0)[there > 0] / there[there > 0]).mean())


def _middle(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return low, high
