"""Metrics: the accuracy of predictions, with the number of videos and the interval."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framebank.heads.evaluation.normal import Z
from framebank.heads.predictions import Predictions
from framebank.heads.ranking import best_class, rank_of_target
from framebank.store.errors import DataError

AT_ONCE = 8192  # videos whose scores are ranked together


def measure(predictions: Predictions) -> dict[str, Any]:
    """Return top1, top5, mean_class_accuracy (fractions), the 95 % interval of top1, and the confusion matrix (C, C).

    If classes have equal scores, the first in the list counts as the likelier one, in every figure (`heads.ranking`).
    The rows of the confusion matrix are the true classes. The mean class accuracy is over the classes that occur. With
    fewer than five classes, top5 is over all of them. If videos may have several labels, map is the mean average
    precision over the classes that occur, as in Charades' own test, and average_precision has one value for each class,
    or None. DataError if no video has a label.
    """
    if predictions.targets.ndim == 2:
        return _measure_several(predictions)
    labelled = np.flatnonzero(predictions.targets >= 0)
    if not len(labelled):
        raise DataError("none of the videos has a label to be measured against")
    targets = torch.from_numpy(predictions.targets[labelled])
    num_classes = len(predictions.labels)
    confusion, among_five = torch.zeros(num_classes, num_classes, dtype=torch.int64), 0
    for start in range(0, len(labelled), AT_ONCE):
        scores = torch.from_numpy(predictions.scores[labelled[start : start + AT_ONCE]])
        true = targets[start : start + AT_ONCE]
        confusion += _confusion(scores, true, num_classes)
        among_five += int((rank_of_target(scores, true) < 5).sum())
    occurs = confusion.sum(1) > 0
    hits = int(confusion.diagonal().sum())
    return {
        "top1": hits / len(targets),
        "top5": among_five / len(targets),
        "mean_class_accuracy": float((confusion.diagonal()[occurs] / confusion.sum(1)[occurs]).mean()),
        "top1_interval": wilson_interval(hits, len(targets)),
        "videos_evaluated": len(targets),
        "labels": list(predictions.labels),
        "confusion": confusion.tolist(),
    }


def score_targets(logits: Tensor, target: Tensor) -> float:
    """Return the top-1 of logits (V, C) for target (V,), or the mean average precision for several labels (V, C)."""
    if target.ndim == 2:
        return _mean_precision(_precisions(logits, target))
    return float((best_class(logits) == target).float().mean())


def _measure_several(predictions: Predictions) -> dict[str, Any]:
    labelled = predictions.targets.any(1)
    if not labelled.any():
        raise DataError("none of the videos has a label to be measured against")
    scores = torch.from_numpy(predictions.scores[labelled])
    each = _precisions(scores, torch.from_numpy(predictions.targets[labelled]))
    return {
        "map": _mean_precision(each),
        "videos_evaluated": int(labelled.sum()),
        "labels": list(predictions.labels),
        "average_precision": [None if np.isnan(value) else value for value in each.tolist()],
    }


def _precisions(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the average precision of each class (C,), NaN if no video has it. Equal scores share a threshold."""
    from torchmetrics.functional.classification import binary_average_precision  # it takes seconds to load

    occurs = targets.any(0)
    precisions = scores.new_full((targets.shape[1],), torch.nan)
    for place in occurs.nonzero().flatten().tolist():
        # Rank the scores first: torchmetrics applies a sigmoid to scores outside 0 to 1, which makes the highest ones
        # equal.
        ranks = scores[:, place].unique(return_inverse=True)[1]
        precisions[place] = binary_average_precision(ranks.double() / len(ranks), targets[:, place].long())
    return precisions


def _mean_precision(each: Tensor) -> float:
    return float(each.nanmean())


def wilson_interval(hits: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Wilson 1927). It also works for few videos and for rates near 0 and 1."""
    if total == 0:
        return 0.0, 1.0
    z, rate = Z, hits / total
    centre = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def _confusion(scores: torch.Tensor, targets: torch.Tensor, num_classes: int) -> torch.Tensor:
    pairs = num_classes * targets + best_class(scores)
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)
