"""Confusions of a report: which classes are taken for which, and the videos behind each number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.library.reporting.classes import confusion_counts
from framebank.library.reporting.runs import EvaluatedRun

WIDEST = 30  # classes that a matrix on a page shows; with more it would be a carpet
PAIRS = 500  # rows of the list of pairs
OF_CELL, OF_CLASS = 24, 6  # videos that open for a mistake, and for the hits of a class
MOST = 40_000  # mistakes in the page, the surest of all


@dataclass(frozen=True)
class ConfusedPair:
    """Videos of the class `true` that are given the label `said`, by their places, and the share of that class."""

    true: int
    said: int
    videos: int
    share: float


@dataclass(frozen=True)
class Confusions:
    """The matrix of the classes at `places`, (N, N) counts of true class by label, and the pairs, the largest first.

    `cells` has the videos (rows of the run) behind a pair of classes: the surest mistakes first, and the least sure
    hits.
    """

    labels: tuple[str, ...]
    places: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]
    pairs: tuple[ConfusedPair, ...]
    num_pairs: int
    cells: dict[tuple[int, int], tuple[int, ...]]

    @property
    def is_whole(self) -> bool:
        """Whether the matrix has every class."""
        return len(self.places) == len(self.labels)

    def to_dict(self) -> dict[str, Any]:
        """Return the largest pair as plain values."""
        named = [(self.labels[pair.true], self.labels[pair.said], pair.videos) for pair in self.pairs[:1]]
        return {"pairs": self.num_pairs, "largest": named}


def confusions_of(run: EvaluatedRun) -> Confusions:
    """Return who is taken for whom. With more than WIDEST classes, the matrix has those with the most mistakes."""
    table = confusion_counts(run)
    wrong = table.copy()
    np.fill_diagonal(wrong, 0)
    involved = wrong.sum(0) + wrong.sum(1)
    occurs = np.flatnonzero(table.sum(0) + table.sum(1))
    kept = occurs[np.argsort(-involved[occurs], kind="stable")[:WIDEST]]
    places = sorted(kept.tolist(), key=lambda place: run.labels[place])
    true, said = np.nonzero(wrong)
    order = np.argsort(-wrong[true, said], kind="stable")
    of_class = table.sum(1)
    pairs = tuple(
        ConfusedPair(int(row), int(column), int(wrong[row, column]), float(wrong[row, column] / of_class[row]))
        for row, column in zip(true[order[:PAIRS]], said[order[:PAIRS]], strict=True)
    )
    return Confusions(
        run.labels,
        tuple(places),
        tuple(tuple(row) for row in table[np.ix_(places, places)].tolist()),
        pairs,
        len(true),
        _cells(run),
    )


def _cells(run: EvaluatedRun) -> dict[tuple[int, int], tuple[int, ...]]:
    """The videos that stand for each pair: the surest mistakes, and of each class the least sure hits."""
    mistakes = np.flatnonzero(~run.correct)
    mistakes = mistakes[np.argsort(-run.confidence[mistakes], kind="stable")][:MOST]
    hits = np.flatnonzero(run.correct)
    hits = hits[np.argsort(run.confidence[hits], kind="stable")]
    found: dict[tuple[int, int], list[int]] = {}
    for rows, most in ((mistakes, OF_CELL), (hits, OF_CLASS)):
        for row, pair in zip(
            rows.tolist(), zip(run.targets[rows].tolist(), run.best[rows].tolist(), strict=True), strict=True
        ):
            own = found.setdefault(pair, [])
            if len(own) < most:
                own.append(row)
    return {pair: tuple(rows) for pair, rows in found.items()}


def page_data(run: EvaluatedRun, found: Confusions, address: Callable[[str], str]) -> dict[str, Any]:
    """Return what the page's script reads: labels, videos with the address of their files, and the cells."""
    number_of: dict[int, int] = {}
    cells = {}
    table = confusion_counts(run)
    for (true, said), rows in found.cells.items():
        numbers = [number_of.setdefault(row, len(number_of)) for row in rows]
        cells[f"{true}-{said}"] = [int(table[true, said]), *numbers]
    videos = [
        [run.video_ids[row], round(float(run.confidence[row]), 3), address(run.video_ids[row])] for row in number_of
    ]
    return {"labels": list(run.labels), "videos": videos, "cells": cells}
