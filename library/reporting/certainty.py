"""Certainty of a report: whether probabilities are as often right as they say, and what is left if unsure ones go."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.heads.confidence.worth import BINS, calibration_error, ece_by_chance, reliability
from framebank.library.reporting.runs import EvaluatedRun

POINTS = 60  # of a coverage curve
IN_A_BIN = 10  # videos at least, in the picture; the error is by BINS as `evaluate` has it


@dataclass(frozen=True)
class RunCertainty:
    """How sure one run is. `bins` are (confidence, accuracy, videos), `coverage` (share kept, accuracy, threshold).

    `by_chance` is the mean that chance alone makes of the calibration error `error`.
    """

    name: str
    error: float
    by_chance: float
    brier: float
    nll: float
    bins: tuple[tuple[float, float, int], ...]
    coverage: tuple[tuple[float, float, float], ...]

    def at(self, share: float) -> tuple[float, float, float]:
        """Return the point of the curve that is nearest to a share of the videos."""
        return min(self.coverage, key=lambda point: abs(point[0] - share))

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        found = {"ece": self.error, "ece_by_chance": self.by_chance, "brier": self.brier, "nll": self.nll}
        return {"run": self.name, **found}


def certainty_of(runs: Sequence[EvaluatedRun]) -> tuple[RunCertainty, ...]:
    """Return how sure each run is, and how often that is right."""
    return tuple(_of_run(run) for run in runs)


def _of_run(run: EvaluatedRun) -> RunCertainty:
    rows = reliability(run.confidence, run.correct)
    error = calibration_error(rows)
    shown = reliability(run.confidence, run.correct, bins=max(1, min(BINS, len(run.targets) // IN_A_BIN)))
    bins = tuple((row["confidence"], row["accuracy"], row["videos"]) for row in shown)
    by_chance = ece_by_chance(run.confidence)
    return RunCertainty(run.name, error, by_chance, run.brier, run.nll, bins, _coverage(run))


def _coverage(run: EvaluatedRun) -> tuple[tuple[float, float, float], ...]:
    """The accuracy of the surest videos, for shares of them that grow evenly to all."""
    order = np.argsort(-run.confidence, kind="stable")
    right = np.cumsum(run.correct[order]) / np.arange(1, len(order) + 1)
    ends = np.unique(np.ceil(np.linspace(1 / POINTS, 1, POINTS) * len(order)).astype(int))
    return tuple(
        (end / len(order), float(right[end - 1]), float(run.confidence[order[end - 1]])) for end in ends.tolist()
    )
