"""Judged runs of a report: runs of several labels a video, the precision of each label, and the interval of the mAP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from framebank.heads.evaluation.jackknife import JackknifedMap
from framebank.heads.evaluation.measured import AlignedScores, MeasuredRun, align_scores, judges_each, read_measured
from framebank.heads.evaluation.paired_precision import PrecisionDifference, compare_precision
from framebank.heads.metrics import measure
from framebank.library.reporting.runs import EvaluatedRun, evaluated_runs, names_of
from framebank.store.files.replacing import current
from framebank.store.formats.document import read_json


@dataclass(frozen=True, eq=False)
class JudgedRun:
    """One run of C labels and what it is worth on V videos that have a label.

    `scores` (V, C) are the probabilities of the labels, and `targets` (V, C) tells the true ones. `precisions` (C,) are
    the average precisions, NaN for a label that no video has; `jackknifed` is their mean with what they are without
    each of the videos, whose sources are the `groups` (V,). `worth` has the precision, recall and F1 of each label
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
    jackknifed: JackknifedMap
    groups: np.ndarray
    facts: Mapping[str, Any]
    worth: Mapping[str, Any] | None
    seeds: tuple["JudgedRun", ...] = ()

    @property
    def map(self) -> float:
        """The mean average precision over the labels that occur."""
        return float(np.nanmean(self.precisions))

    @property
    def occurring(self) -> list[int]:
        """The labels that a video has, by their places."""
        places: list[int] = np.flatnonzero(~np.isnan(self.precisions)).tolist()
        return places

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `map` over the videos (jackknife)."""
        return self.jackknifed.interval(self.groups)

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

    def beside(self, first: "JudgedRun") -> PrecisionDifference:
        """Return how it compares with another run; seeds are taken in pairs."""
        one, other = ([each.jackknifed for each in run.seeds or (run,)] for run in (first, self))
        return compare_precision(one, other, groups=self.groups)

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


def read_judged(folders: Sequence[Path]) -> tuple[JudgedRun, ...]:
    """Return runs of several labels that were evaluated on the same videos.

    A folder of runs named seed-0, seed-1, ... is one run of several seeds. DataError if a run was never evaluated, or
    if two were evaluated on different splits, classes, videos, labels or seeds.
    """
    return judged_runs(folders, [read_measured(folder) for folder in folders])


def read_either(folders: Sequence[Path]) -> tuple[tuple[JudgedRun, ...], tuple[EvaluatedRun, ...]]:
    """Return the runs of several labels, or those of one label a video; the other tuple is empty.

    The scores of all videos are read once, and kept no longer than this takes. DataErrors are those of `read_judged`
    and `read_runs`.
    """
    measured = [read_measured(folder) for folder in folders]
    if judges_each(measured[0]):
        return judged_runs(folders, measured), ()
    return (), evaluated_runs(folders, measured)


def judged_runs(folders: Sequence[Path], measured: Sequence[dict[int | None, MeasuredRun]]) -> tuple[JudgedRun, ...]:
    """Return the runs of several labels of what was read of the folders; see `read_judged`."""
    aligned = align_scores(measured)
    found = []
    for folder, run, scores, name in zip(folders, measured, aligned.scores, names_of(folders), strict=True):
        seeds = tuple(_judged(one, name, aligned, own) for one, own in zip(run.values(), scores, strict=True))
        found.append(replace(seeds[0], path=folder, seeds=seeds) if len(seeds) > 1 else seeds[0])
    return tuple(found)


def _judged(one: MeasuredRun, name: str, aligned: AlignedScores, scores: np.ndarray) -> JudgedRun:
    each = dict(zip(one.predictions.labels, measure(one.predictions)["average_precision"], strict=True))
    precisions = np.array([np.nan if each[label] is None else each[label] for label in aligned.labels])
    metrics = read_json(current(one.path, "metrics.json"))
    return JudgedRun(
        one.path,
        name,
        one.split,
        one.store,
        aligned.labels,
        aligned.video_ids,
        scores,
        aligned.hits,
        precisions,
        JackknifedMap.of(scores, aligned.hits),
        aligned.groups,
        metrics.get("made_by", {}),
        metrics.get("thresholds"),
    )
