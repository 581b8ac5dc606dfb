"""Metrics: what predictions are worth, with the count and the interval they rest on."""

import math
from typing import Any

import torch
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix

from framebank.heads.predict import Predictions
from framebank.store.errors import DataError


def measure(predictions: Predictions) -> dict[str, Any]:
    """Return top1, top5, mean_class_accuracy (fractions), the 95 % interval of top1, and the confusion matrix (C, C).

    Rows of the confusion matrix are the true classes. The mean class accuracy is over the classes that occur; top5 with
    fewer than five classes is over all of them. DataError when no video has a label.
    """
    labelled = predictions.targets >= 0
    if not labelled.any():
        raise DataError("none of the videos has a label to be measured against")
    scores = torch.from_numpy(predictions.scores[labelled])
    targets = torch.from_numpy(predictions.targets[labelled])
    num_classes = len(predictions.labels)
    confusion = _confusion(scores, targets, num_classes)
    occurs = confusion.sum(1) > 0
    hits = int(confusion.diagonal().sum())
    return {
        "top1": hits / len(targets),
        "top5": _topk(scores, targets, min(5, num_classes)),
        "mean_class_accuracy": float((confusion.diagonal()[occurs] / confusion.sum(1)[occurs]).mean()),
        "top1_interval": wilson_interval(hits, len(targets)),
        "videos_evaluated": len(targets),
        "labels": list(predictions.labels),
        "confusion": confusion.tolist(),
    }


def wilson_interval(hits: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Wilson 1927): of use for few videos and for rates near 0 and 1."""
    if total == 0:
        return 0.0, 1.0
    z, rate = 1.959964, hits / total
    centre = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def _confusion(scores: torch.Tensor, targets: torch.Tensor, num_classes: int) -> torch.Tensor:
    if num_classes == 1:
        return torch.tensor([[len(targets)]])
    return multiclass_confusion_matrix(scores, targets, num_classes)


def _topk(scores: torch.Tensor, targets: torch.Tensor, k: int) -> float:
    if k == scores.shape[1]:
        return 1.0
    return float(multiclass_accuracy(scores, targets, scores.shape[1], average="micro", top_k=k))
