"""Temperature: fit the scaling of a run's probabilities again, on a split of a store, and keep it in the run."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from framebank.heads.bank import load_bank
from framebank.heads.confidence.scaling import Scaling, fit_scaling
from framebank.heads.confidence.worth import confidence_of
from framebank.heads.predictions import predict_logits
from framebank.heads.training.checkpoint import save
from framebank.heads.training.folder import WEIGHTS
from framebank.heads.training.run import MEASURED, Run
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.files.replacing import current, remove_together, replacing_together
from framebank.store.videos.labels import LabelSet
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
    classes that the run lacks, or if there are too few videos.
    """
    run.spec.require_same_encoder(store.spec, mine=folder, theirs=store.path)
    labels = LabelSet(run.labels)
    known = Manifest(tuple(video for video in manifest.labelled().videos if video.video_id in store))
    labels.require_covers(known.labels, mine=folder, theirs=store.path)
    several = run.recipe.is_multi_label
    bank = load_bank(
        store,
        known,
        labels,
        device=device,
        num_frames=run.recipe.frames,
        stream=run.recipe.stream,
        multi_label=several,
    )
    logits = predict_logits(run.model.to(device).eval(), bank, device=device).double()
    target = bank.target.cpu()
    try:
        scaling = fit_scaling(logits, target, by_class=by_class)
    except DataError as error:
        raise DataError(f"{store.path}: {error}") from error
    run.model.scaling = scaling
    found = _with_confidence(run, scaling.to_dict())
    _write(found, folder)
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
    _write(found, folder)
    return found


def restore(run: Run, *, folder: Path) -> Run:
    """Put the scaling back that `forget` took out. DataError if there is none."""
    taken = run.trained_on.get(TAKEN)
    if not taken:
        state = "tells them already" if run.model.scaling else "holds none that --off took out"
        raise DataError(f"{folder}: {state}; expected a run whose temperature was taken out")
    run.model.scaling = Scaling.read(taken, num_classes=len(run.labels), where=folder)
    found = _with_confidence(run, taken)
    _write(found, folder)
    return found


def _with_confidence(run: Run, said: object) -> Run:
    others = {name: value for name, value in run.trained_on.items() if name not in ("confidence", TAKEN)}
    return replace(run, trained_on={**others, "confidence": said} if said else others)


def _write(run: Run, folder: Path) -> None:
    with replacing_together(folder) as part:
        (part / WEIGHTS["run"]).write_bytes(save(run.about(), run.model.state_dict()))
        for name in MEASURED:
            if current(folder, name).exists():
                remove_together(part, name)
