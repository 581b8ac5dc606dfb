"""Thresholds of a run of several labels: fit them on a split of a store, keep them in the run, measure by them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framebank.heads.confidence.thresholds import KEPT, fit_thresholds
from framebank.heads.evaluation.fitting import logits_of_run, write_fitted
from framebank.heads.predictions import Predictions
from framebank.heads.training.run import Run
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.videos.manifest import Manifest

HALF = 0.5  # the threshold of a run that has none


def fit_thresholds_of_run(
    run: Run, store: FeatureStore, manifest: Manifest, *, folder: Path, device: torch.device, precision: float | None
) -> tuple[Run, dict[str, Any], dict[str, Any]]:
    """Fit the thresholds of a run on the labelled videos of `manifest` and write them into the run's folder.

    Return the run, and what its labels are worth on these videos above a probability of a half and above the
    thresholds, as `labels_worth` says it. The figures of the run's evaluation are removed. DataError if the store comes
    from another encoder, if it has classes that the run lacks, or if there are too few videos.
    """
    logits, target = logits_of_run(run, store, manifest, folder=folder, device=device)
    try:
        found = fit_thresholds(logits, target, precision=precision)
    except DataError as error:
        raise DataError(f"{store.path}: {error}") from error
    fitted = replace(run, trained_on={**run.trained_on, KEPT: found.to_dict()})
    write_fitted(fitted, folder)
    scores = np.asarray(run.model.scaled(logits, multi_label=True).sigmoid().numpy())
    hits = target.numpy() > 0
    return fitted, _worth(scores > HALF, hits), _worth(scores > found.under(run.model.scaling), hits)


def forget_thresholds(run: Run, *, folder: Path) -> Run:
    """Take the thresholds out of a run, and with them the figures of its evaluation. DataError if it has none."""
    if KEPT not in run.trained_on:
        raise DataError(f"{folder}: has no thresholds to take out; expected a run that was given some")
    left = {name: value for name, value in run.trained_on.items() if name != KEPT}
    found = replace(run, trained_on=left)
    write_fitted(found, folder)
    return found


def labels_worth(predictions: Predictions, thresholds: np.ndarray) -> dict[str, Any]:
    """Return what the labels above their thresholds (C,) are worth, and those above a half, of videos with a label.

    `f1` is the mean over the classes that occur, `micro_f1`, `precision` and `recall` are over all labels together;
    `by_class` has the precision, recall and F1 of each class.
    """
    known = predictions.targets.any(1)
    scores, hits = predictions.scores[known], predictions.targets[known] > 0
    half = _worth(scores > HALF, hits)
    del half["by_class"]
    return {**_worth(scores > thresholds, hits), "values": thresholds.tolist(), "at_half": half}


def _worth(given: np.ndarray, hits: np.ndarray) -> dict[str, Any]:
    """The figures of given labels (V, C) against the true ones (V, C)."""
    right, told, there = (each.sum(0) for each in (given & hits, given, hits))
    f1 = 2 * right / np.maximum(told + there, 1)
    return {
        "f1": float(f1[there > 0].mean()),
        "micro_f1": 2 * _share(right.sum(), told.sum() + there.sum()),
        "precision": _share(right.sum(), told.sum()),
        "recall": _share(right.sum(), there.sum()),
        "by_class": [
            {"precision": _share(hit, all_told), "recall": _share(hit, known), "f1": float(one) if known else None}
            for hit, all_told, known, one in zip(right, told, there, f1, strict=True)
        ],
    }


def _share(part: np.integer[Any], whole: np.integer[Any]) -> float:
    """A share; 0 of nothing."""
    return float(part / whole) if whole else 0.0
