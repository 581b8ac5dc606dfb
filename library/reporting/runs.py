"""Runs of a report: what was measured for them, video by video, in one order of videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framebank.heads.evaluation.measured import MeasuredRun, align, read_measured
from framebank.heads.metrics import wilson_interval
from framebank.heads.ranking import rank_of_target
from framebank.store.errors import DataError
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
        videos = np.bincount(self.targets, minlength=len(self.labels))
        right = np.bincount(self.targets[self.correct], minlength=len(self.labels))
        return float((right[videos > 0] / videos[videos > 0]).mean())

    def to_dict(self) -> dict[str, Any]:
        """Return its figures as plain values."""
        return {
            "run": str(self.path),
            "top1": self.top1,
            "interval": list(self.interval),
            "top5": self.top5,
            "mean_class_accuracy": self.class_mean,
            "videos": len(self.targets),
        }


def read_runs(folders: Sequence[Path]) -> tuple[EvaluatedRun, ...]:
    """Return runs that were evaluated on the same videos, each in the order of the first.

    DataError if a run was never evaluated, if two were evaluated on different splits, classes or videos, or if videos
    have several labels.
    """
    measured = [read_measured(folder) for folder in folders]
    for folder, one in zip(folders, measured, strict=True):
        if None not in one:
            raise DataError(f"{folder}: holds runs of several seeds; expected one run, such as {folder}/seed-0")
    ids = align(measured).video_ids  # refuses what cannot stand beside each other
    names = _names(folders)
    first = measured[0][None].predictions.labels
    return tuple(_run(one[None], name, ids, first) for one, name in zip(measured, names, strict=True))


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


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    parts = [folder.absolute().parts for folder in folders]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]
