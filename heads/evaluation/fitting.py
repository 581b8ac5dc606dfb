"""Fitting: what a run says of held-out videos, and its folder with what was fitted on them."""

from pathlib import Path

import torch
from torch import Tensor

from framebank.heads.bank import Bank, load_bank
from framebank.heads.confidence.shared_sources import shared_sources_note
from framebank.heads.predictions import predict_logits
from framebank.heads.training.checkpoint import save
from framebank.heads.training.folder import WEIGHTS
from framebank.heads.training.run import MEASURED, Run
from framebank.store.features import FeatureStore
from framebank.store.files.replacing import current, remove_together, replacing_together
from framebank.store.videos.labels import LabelSet
from framebank.store.videos.manifest import Manifest


def logits_of_run(
    run: Run, store: FeatureStore, manifest: Manifest, *, folder: Path, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the logits (V, C), in float64 and before any scaling, and the targets of the labelled videos.

    DataError if the store comes from another encoder, or if it has classes that the run lacks.
    """
    bank = _bank(run, store, manifest, folder=folder, device=device)
    return predict_logits(run.model.to(device).eval(), bank, device=device).double(), bank.target.cpu()


def shared_sources_of_run(
    run: Run, store: FeatureStore, manifest: Manifest, *, folder: Path, device: torch.device
) -> str:
    """Return one sentence if the videos of `manifest` are of one source with the run's training videos; "" if not.

    "" too if the store is not the one that the run was trained on, whose training videos are not at hand. Training
    videos whose label is none of the run's now are left out.
    """
    seen, known = set(run.trained_videos_among(store.manifest.ids, store=store.path)), set(run.labels)
    trained = Manifest(
        tuple(
            video
            for video in store.manifest.videos
            if video.video_id in seen
            and known.issuperset(video.labels if run.recipe.is_multi_label else (video.label,))
        )
    )
    if not len(trained):
        return ""
    val, train = (_bank(run, store, each, folder=folder, device=device) for each in (manifest, trained))
    return shared_sources_note(val, train, store.manifest)


def _bank(run: Run, store: FeatureStore, manifest: Manifest, *, folder: Path, device: torch.device) -> Bank:
    run.spec.require_same_encoder(store.spec, mine=folder, theirs=store.path)
    labels = LabelSet(run.labels)
    known = Manifest(tuple(video for video in manifest.labelled().videos if video.video_id in store))
    labels.require_covers(known.labels, mine=folder, theirs=store.path)
    return load_bank(
        store,
        known,
        labels,
        device=device,
        num_frames=run.recipe.frames,
        stream=run.recipe.stream,
        multi_label=run.recipe.is_multi_label,
    )


def write_fitted(run: Run, folder: Path) -> None:
    """Write a run with what was fitted into its folder, and remove the figures of its evaluation."""
    with replacing_together(folder) as part:
        (part / WEIGHTS["run"]).write_bytes(save(run.about(), run.model.state_dict()))
        for name in MEASURED:
            if current(folder, name).exists():
                remove_together(part, name)
