"""Worth: whether probabilities are as often right as they claim, and the accuracy if unsure videos are left out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

BINS = 15
DRAWS = 100
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


def confidence_of(scores: np.ndarray, targets: np.ndarray, *, bins: int = BINS) -> dict[str, Any]:
    """Return how reliable probabilities (V, C) are for the true classes (V,), as plain values.

    `ece` is the expected calibration error: the mean difference of confidence and accuracy over `bins` bins with
    equally many videos (equal mass, Nixon et al. 2019, arXiv 1904.01685). `ece_by_chance` is the mean that
    chance alone makes of it, if the confidences are right. `brier` is the sum over classes of the
    squared error (Brier 1950). `nll` is the mean -ln p of the true class. `reliability` has each bin. `coverage` is the
    accuracy of the surest videos and the least confidence among them. `aurc` is the mean error over all coverages.
    """
    best = scores.argmax(1)
    confidence = np.take_along_axis(scores, best[:, None], 1)[:, 0]
    correct = best == targets
    own = np.take_along_axis(scores, targets[:, None], 1)[:, 0]
    brier = (scores**2).sum(1) - 2 * own + 1
    table = reliability(confidence, correct, bins=bins)
    return {
        "ece": calibration_error(table),
        "ece_by_chance": ece_by_chance(confidence, bins=bins),
        "brier": float(brier.mean()),
        "nll": float(-np.log(np.maximum(own, 1e-300)).mean()),
        "aurc": _aurc(confidence, correct),
        "reliability": table,
        "coverage": coverage(confidence, correct),
    }


def calibration_error(table: Sequence[Mapping[str, Any]]) -> float:
    """Return the expected calibration error of the bins that `reliability` gives."""
    gaps: float = sum(row["videos"] * abs(row["accuracy"] - row["confidence"]) for row in table)
    videos: int = sum(row["videos"] for row in table)
    return gaps / videos


def ece_by_chance(confidence: np.ndarray, *, bins: int = BINS) -> float:
    """Return the mean calibration error of answers that are right as often as their confidences (V,) say.

    >>> round(ece_by_chance(np.full(400, 0.5)), 2), ece_by_chance(np.ones(400))
    (0.08, 0.0)
    """
    return float(errors_by_chance(confidence, bins=bins).mean())


def errors_by_chance(confidence: np.ndarray, *, bins: int = BINS, draws: int = DRAWS) -> np.ndarray:
    """Return the calibration errors (draws,) of answers that are right as often as their confidences (V,) say.

    In each draw chance decides which answers are right (Broecker and Smith 2007, consistency resampling).
    """
    ordered = np.sort(confidence)
    sizes = [len(part) for part in np.array_split(ordered, bins) if len(part)]
    begins = np.cumsum([0, *sizes[:-1]])
    rng = np.random.default_rng(0)
    gaps = [np.abs(np.add.reduceat((rng.random(len(ordered)) < ordered) - ordered, begins)).sum() for _ in range(draws)]
    return np.array(gaps) / len(ordered)


def reliability(confidence: np.ndarray, correct: np.ndarray, *, bins: int = BINS) -> list[dict[str, Any]]:
    """Return bins with equally many videos, the least sure first: mean confidence, accuracy, and number of videos."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [
        {
            "confidence": float(confidence[part].mean()),
            "accuracy": float(correct[part].mean()),
            "videos": len(part),
        }
        for part in parts
    ]


def coverage(confidence: np.ndarray, correct: np.ndarray) -> list[dict[str, Any]]:
    """Return the accuracy if only the surest videos get a label, for several shares of all, with each threshold.

    `abstain_below` is the lowest confidence that still gets a label.
    """
    order = np.argsort(-confidence, kind="stable")
    found = []
    for share in COVERAGES:
        told = order[: max(1, round(share * len(order)))]
        found.append(
            {
                "coverage": len(told) / len(order),
                "accuracy": float(correct[told].mean()),
                "abstain_below": float(confidence[told[-1]]),
            }
        )
    return found


def _aurc(confidence: np.ndarray, correct: np.ndarray) -> float:
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(~correct[order]) / np.arange(1, len(order) + 1)
    return float(errors.mean())
