"""Temperature: fit the scaling of a run's probabilities again, on a split of a store, and keep it in the run."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framebank.heads.confidence.scaling import Scaling, fit_scaling
from framebank.heads.confidence.thresholds import KEPT
from framebank.heads.confidence.worth import confidence_of
from framebank.heads.evaluation.fitting import logits_of_run, shared_sources_of_run, write_fitted
from framebank.heads.training.run import Run
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.videos.manifest import Manifest

TAKEN = "confidence_taken_out"  # among the facts of a run: the scaling that `forget` took out


@dataclass(frozen=True)
class FittedRun:
    """The run as it now is, how many videos its scaling was fitted on, and the calibration error before and after.

    Both errors are None if a video may have several labels.
    """

    run: Run
    videos: int
    ece_before: float | None
    ece_after: float | None


def fit_run(
    run: Run, store: FeatureStore, manifest: Manifest, *, folder: Path, device: torch.device, by_class: bool
) -> FittedRun:
    """Fit the scaling of a run on the labelled videos of `manifest` and write it into the run's folder.

    The figures of the run's evaluation are removed. DataError if the store comes from another encoder, if it has
    classes that the run lacks, or if `fit_scaling` refuses the videos.
    """
    several = run.recipe.is_multi_label
    logits, target = logits_of_run(run, store, manifest, folder=folder, device=device)
    sources = functools.partial(shared_sources_of_run, run, store, manifest, folder=folder, device=device)
    try:
        scaling = fit_scaling(logits, target, by_class=by_class, sources=sources)
    except DataError as error:
        raise DataError(f"{store.path}: {error}") from error
    run.model.scaling = scaling
    found = _with_confidence(run, scaling.to_dict())
    write_fitted(found, folder)
    if several:
        return FittedRun(found, len(target), None, None)
    errors = [
        float(confidence_of(np.asarray(each.softmax(1).numpy()), target.numpy())["ece"])
        for each in (logits, scaling.apply(logits))
    ]
    return FittedRun(found, len(target), errors[0], errors[1])


def forget(run: Run, *, folder: Path) -> Run:
    """Take the scaling out of a run, and with it the figures of its evaluation; `restore` puts it back."""
    taken = run.trained_on.get("confidence") or run.trained_on.get(TAKEN)
    found = _with_confidence(run, None)
    if taken:
        found = replace(found, trained_on={**found.trained_on, TAKEN: taken})
    run.model.scaling = None
    write_fitted(found, folder)
    return found


def restore(run: Run, *, folder: Path) -> Run:
    """Put the scaling back that `forget` took out. DataError if there is none."""
    taken = run.trained_on.get(TAKEN)
    if not taken:
        state = "tells them already" if run.model.scaling else "holds none that --off took out"
        raise DataError(f"{folder}: {state}; expected a run whose temperature was taken out")
    run.model.scaling = Scaling.read(taken, num_classes=len(run.labels), where=folder)
    found = _with_confidence(run, taken)
    write_fitted(found, folder)
    return found


def _with_confidence(run: Run, said: Mapping[str, Any] | None) -> Run:
    """The run with another scaling. One for each class changes which labels are above their thresholds: these go."""
    before, kept = run.trained_on.get("confidence"), set(run.trained_on) - {"confidence", TAKEN}
    if any(each and each["scales"] for each in (before, said)):
        kept -= {KEPT}
    others = {name: value for name, value in run.trained_on.items() if name in kept}
    return replace(run, trained_on={**others, "confidence": said} if said else others)
