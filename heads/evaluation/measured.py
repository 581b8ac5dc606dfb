"""Measured: what `evaluate` left in the folders of runs, compared video by video."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np

from framebank.heads.predictions import Predictions
from framebank.heads.training.folder import WEIGHTS
from framebank.store.counts import counted, listed
from framebank.store.errors import DataError
from framebank.store.features import read_manifest
from framebank.store.files.replacing import current, read_settled
from framebank.store.formats.document import Fields, read_json
from framebank.store.videos.groups import groups_of
from framebank.store.videos.video import Video

SEED = re.compile(r"seed-(\d+)")
UNKNOWN = -1


@dataclass(frozen=True)
class MeasuredRun:
    """A run and its predictions for the videos of `split` of the store in the folder `store`."""

    path: Path
    predictions: Predictions
    split: str
    store: Path


@dataclass(frozen=True)
class AlignedRuns:
    """Which of the V labelled videos each run has right: `correct` is (S, V) for S seeds; groups are (V,)."""

    video_ids: tuple[str, ...]
    correct: tuple[np.ndarray, ...]
    groups: np.ndarray
    split: str


@dataclass(frozen=True, eq=False)
class AlignedScores:
    """The scores of runs of several labels, (V, C) for each seed of each, for the V videos that have a label.

    `hits` (V, C) says which of the `labels` a video has; groups are (V,).
    """

    video_ids: tuple[str, ...]
    labels: tuple[str, ...]
    scores: tuple[tuple[np.ndarray, ...], ...]
    hits: np.ndarray
    groups: np.ndarray
    split: str


def read_measured(folder: Path) -> dict[int | None, MeasuredRun]:
    """Return what was measured for the run in a folder (key None), or for runs in folders seed-N (key N).

    DataError if there is no run, or if a run was never evaluated.
    """
    if current(folder, WEIGHTS["run"]).is_file():
        return {None: read_settled(folder, lambda: _read(folder))}
    seeds = {int(found[1]): path for path in sorted(folder.glob("seed-*")) if (found := SEED.fullmatch(path.name))}
    if not seeds:
        raise DataError(
            f"{folder}: holds no run; expected the folder of a run, or one of runs named seed-0, seed-1, ..."
        )
    return {seed: read_measured(path)[None] for seed, path in sorted(seeds.items())}


def align(runs: Sequence[dict[int | None, MeasuredRun]]) -> AlignedRuns:
    """Return which videos each run has right, for the videos of the first run in its order.

    DataError if runs were measured on different splits, classes, videos, labels or seeds.
    """
    first = next(iter(runs[0].values()))
    if first.predictions.targets.ndim == 2:
        raise DataError(f"{first.path}: its videos may have several labels; expected runs of one label a video")
    labelled = first.predictions.targets != UNKNOWN
    if not labelled.any():
        raise DataError(f"{first.path}: none of its videos has a label")
    for run in runs[1:]:
        require_seeds(runs[0], run)
    correct = tuple(np.stack([_correct(one, first)[labelled] for one in run.values()]) for run in runs)
    ids = tuple(np.array(first.predictions.video_ids)[labelled].tolist())
    names = [first.predictions.labels[place] for place in first.predictions.targets[labelled].tolist()]
    groups = first.predictions.groups
    groups = groups_of(_videos(first.store, ids, names)) if groups is None else groups[labelled]
    return AlignedRuns(ids, correct, groups, first.split)


def judges_each(run: dict[int | None, MeasuredRun]) -> bool:
    """Whether a run judges each label by itself, because videos may have several."""
    return next(iter(run.values())).predictions.targets.ndim == 2


def align_scores(runs: Sequence[dict[int | None, MeasuredRun]]) -> AlignedScores:
    """Return the scores of runs of several labels, for the videos of the first run in its order.

    DataError if runs were measured on different splits, classes, videos, labels or seeds, or if no video has a label.
    """
    first = next(iter(runs[0].values()))
    made = first.predictions
    labelled = made.targets.any(1)
    if not labelled.any():
        raise DataError(f"{first.path}: none of its videos has a label")
    for run in runs[1:]:
        require_seeds(runs[0], run)
    scores = tuple(tuple(_scores(one, first)[labelled] for one in run.values()) for run in runs)
    groups = made.groups
    if groups is None:
        groups = groups_of(_videos(first.store, made.video_ids, [""] * len(made.video_ids)))
    ids = tuple(np.array(made.video_ids)[labelled].tolist())
    return AlignedScores(ids, made.labels, scores, made.targets[labelled] > 0, groups[labelled], first.split)


def require_seeds(first: dict[int | None, MeasuredRun], other: dict[int | None, MeasuredRun]) -> None:
    """Refuse two runs that do not have the same seeds: DataError."""
    if first.keys() == other.keys():
        return
    told = []
    for run in (first, other):
        one = next(iter(run.values()))
        told.append(f"{one.path} is one run" if None in run else f"{one.path.parent} has the seeds {listed(run)}")
    raise DataError(f"{told[0]} and {told[1]}; expected the same seeds, which are compared in pairs")


def _read(folder: Path) -> MeasuredRun:
    predictions, metrics = current(folder, "predictions.npz"), current(folder, "metrics.json")
    if not (predictions.is_file() and metrics.is_file()):
        raise DataError(
            f"{folder}: was never evaluated; run `framebank evaluate {quote(str(folder))} --split test` first"
        )
    facts = Fields.of(read_json(metrics), where=metrics).fields("made_by")
    return MeasuredRun(folder, Predictions.read(predictions), facts.text("split"), Path(facts.text("store")))


def _correct(one: MeasuredRun, first: MeasuredRun) -> np.ndarray:
    """Return whether a run is right, (V,), for the videos of the first run in its order."""
    mine, theirs = one.predictions, first.predictions
    rows = _rows(one, first)
    place_of = {name: place for place, name in enumerate(theirs.labels)}
    order = np.array([*(place_of[name] for name in mine.labels), UNKNOWN])
    _require_labels(one, first, order[mine.targets[rows]] == theirs.targets)
    return np.asarray(
        order[mine.scores[rows].argmax(1)] == theirs.targets
    )  # the first class counts if scores are equal, as in top-1


def _scores(one: MeasuredRun, first: MeasuredRun) -> np.ndarray:
    """Return the scores of a run, (V, C), for the videos and the labels of the first run in their order."""
    mine, theirs = one.predictions, first.predictions
    rows = _rows(one, first)
    place_of = {name: place for place, name in enumerate(mine.labels)}
    places = np.array([place_of[name] for name in theirs.labels])
    cells = np.ix_(rows, places)
    _require_labels(one, first, (mine.targets[cells] == theirs.targets).all(1))
    return np.asarray(mine.scores[cells])


def _rows(one: MeasuredRun, first: MeasuredRun) -> np.ndarray:
    """Return where a run has the videos of the first run, (V,). DataError if it was measured on something else."""
    mine, theirs = one.predictions, first.predictions
    if one.split != first.split:
        raise DataError(
            f"{one.path} was evaluated on the split {one.split!r}, {first.path} on {first.split!r}; expected one split"
        )
    odd = sorted(set(mine.labels) ^ set(theirs.labels))
    if odd:
        raise DataError(
            f"{one.path} and {first.path} have different classes, such as {odd[0]!r}; expected the same classes"
        )
    if mine.targets.ndim != theirs.targets.ndim:
        raise DataError(
            f"{one.path} and {first.path}: one has one label a video, the other several; expected runs of the same kind"
        )
    row_of = {video_id: row for row, video_id in enumerate(mine.video_ids)}
    for lacking, having, ids in ((one, first, theirs.video_ids), (first, one, mine.video_ids)):
        held = set(lacking.predictions.video_ids)
        missing = [video_id for video_id in ids if video_id not in held]
        if missing:
            raise DataError(
                f"{lacking.path} was not measured on {len(missing)} of the {counted(len(ids), 'video')} of "
                f"{having.path}, such as {missing[0]!r}; evaluate both on the same store and split"
            )
    return np.array([row_of[video_id] for video_id in theirs.video_ids])


def _require_labels(one: MeasuredRun, first: MeasuredRun, same: np.ndarray) -> None:
    """Refuse two runs if a video, (V,), does not have the same labels in both: DataError."""
    if not same.all():
        raise DataError(
            f"{one.path} and {first.path} were measured with different labels of "
            f"{first.predictions.video_ids[int(same.argmin())]!r}; evaluate both again"
        )


def _videos(store: Path, ids: Sequence[str], labels: Sequence[str]) -> Sequence[Video]:
    """Return the videos from the manifest of the store, which knows their groups; or by name if the store is gone."""
    try:
        return read_manifest(store).of_ids(ids)
    except (DataError, KeyError):
        return [Video(video_id, Path(video_id), label) for video_id, label in zip(ids, labels, strict=True)]
