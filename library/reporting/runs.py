"""Runs of a report: what was measured for them, video by video, in one order of videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framebank.heads.evaluation.measured import MeasuredRun, align, read_measured
from framebank.heads.metrics import wilson_interval
from framebank.heads.ranking import rank_of_target
from framebank.store.files.replacing import current
from framebank.store.formats.document import read_json

if TYPE_CHECKING:
    from framebank.heads.predictions import Predictions

AT_ONCE = 8192  # videos whose scores are ranked together


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """One run of a report and what it says of V labelled videos and C classes.

    `targets` (V,) and `best` (V,) are places among `labels`; `confidence` (V,) and `own` (V,) are the probabilities of
    the likeliest class and of the true one. `top5` and the others are fractions. `facts` say how it was measured.
    If the folder `path` holds several seeds, this is what the first of them says, and `seeds` has all of them.
    """

    path: Path
    name: str
    split: str
    store: Path
    labels: tuple[str, ...]
    video_ids: tuple[str, ...]
    targets: np.ndarray
    best: np.ndarray
    confidence: np.ndarray
    own: np.ndarray
    top5: float
    brier: float
    nll: float
    facts: Mapping[str, Any]
    seeds: tuple["EvaluatedRun", ...] = ()

    @property
    def correct(self) -> np.ndarray:
        """Which of the videos it has right, (V,)."""
        return np.asarray(self.best == self.targets)

    @property
    def top1(self) -> float:
        """The share of the videos that it has right."""
        return float(self.correct.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `top1` (Wilson), over videos."""
        return wilson_interval(int(self.correct.sum()), len(self.targets))

    @property
    def class_mean(self) -> float:
        """The mean over the classes that occur of the share of their videos that are right."""
        return float(np.nanmean(self.class_shares))

    @property
    def class_shares(self) -> np.ndarray:
        """The share of the videos of each class that are right, (C,); NaN for a class without a video."""
        videos = np.bincount(self.targets, minlength=len(self.labels))
        right = np.bincount(self.targets[self.correct], minlength=len(self.labels))
        return np.where(videos > 0, right / np.maximum(videos, 1), np.nan)

    def over_seeds(self, figure: str) -> tuple[Any, Any]:
        """Return the mean and the sample deviation of one figure over the seeds, such as "top1" or "class_shares"."""
        values = np.array([getattr(one, figure) for one in self.seeds])
        return values.mean(0), values.std(0, ddof=1)

    def to_dict(self) -> dict[str, Any]:
        """Return its figures as plain values; those of several seeds have the mean and the deviation too."""
        figures = ("top1", "top5", "class_mean")
        several = {name: list(map(float, self.over_seeds(name))) for name in figures} if self.seeds else {}
        return {
            "run": str(self.path),
            "top1": self.top1,
            "interval": list(self.interval),
            "top5": self.top5,
            "mean_class_accuracy": self.class_mean,
            "videos": len(self.targets),
            **({"seeds": len(self.seeds), "over_seeds": several} if self.seeds else {}),
        }


def read_runs(folders: Sequence[Path]) -> tuple[EvaluatedRun, ...]:
    """Return runs that were evaluated on the same videos, each in the order of the first.

    A folder of runs named seed-0, seed-1, ... is one run of several seeds. DataError if a run was never evaluated, if
    two were evaluated on different splits, classes or videos, or if videos have several labels.
    """
    return evaluated_runs(folders, [read_measured(folder) for folder in folders])


def evaluated_runs(
    folders: Sequence[Path], measured: Sequence[dict[int | None, MeasuredRun]]
) -> tuple[EvaluatedRun, ...]:
    """Return the same of what was read of the folders."""
    ids = align(measured).video_ids  # refuses what cannot stand beside each other
    names = names_of(folders)
    labels = next(iter(measured[0].values())).predictions.labels
    found = []
    for folder, one, name in zip(folders, measured, names, strict=True):
        first, *others = (_run(each, name, ids, labels) for each in one.values())
        found.append(replace(first, path=folder, seeds=(first, *others)) if others else first)
    return tuple(found)


def _run(one: MeasuredRun, name: str, ids: tuple[str, ...], labels: tuple[str, ...]) -> EvaluatedRun:
    made = one.predictions
    row_of = {video_id: row for row, video_id in enumerate(made.video_ids)}
    rows = np.array([row_of[video_id] for video_id in ids])
    place_of = {label: place for place, label in enumerate(labels)}
    order = np.array([place_of[label] for label in made.labels])  # own place -> place among the labels of the first
    found = _scan(made, rows)
    facts = read_json(current(one.path, "metrics.json")).get("made_by", {})
    return EvaluatedRun(
        one.path,
        name,
        one.split,
        one.store,
        labels,
        ids,
        order[made.targets[rows]],
        order[found.pop("best").astype(np.int64)],
        found.pop("confidence"),
        found["own"],
        float((found["rank"] < 5).mean()),
        float(found["brier"].mean()),
        float(-np.log(np.maximum(found["own"], 1e-300)).mean()),
        facts,
    )


def _scan(made: "Predictions", rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a report needs of the scores (V, C) of some rows, each (V,); a few thousand videos at a time."""
    import torch

    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("best", "confidence", "own", "rank", "brier")}
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        scores, targets = made.scores[some], made.targets[some]
        best = scores.argmax(1)
        own = np.take_along_axis(scores, targets[:, None], 1)[:, 0]
        parts["best"].append(best)
        parts["confidence"].append(np.take_along_axis(scores, best[:, None], 1)[:, 0])
        parts["own"].append(own)
        parts["rank"].append(rank_of_target(torch.from_numpy(scores), torch.from_numpy(targets)).numpy())
        parts["brier"].append(np.einsum("vc,vc->v", scores, scores) - 2 * own + 1)
    return {name: np.concatenate(each) for name, each in parts.items()}


def names_of(folders: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that tell them apart."""
    parts = [folder.absolute().parts for folder in folders]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]
