"""Evaluation: the figures of a run, or of texts alone, on a split, and the files that keep them."""

import json
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch

from framebank.heads.bank import BankParts
from framebank.heads.confidence.scaling import Scaling
from framebank.heads.confidence.worth import confidence_of
from framebank.heads.evaluation.jackknife import JackknifedMap
from framebank.heads.evaluation.protocol import made_by
from framebank.heads.evaluation.thresholds import labels_worth
from framebank.heads.evaluation.zeroshot import zero_shot_model
from framebank.heads.metrics import measure
from framebank.heads.model import Model
from framebank.heads.predictions import Predictions, predict
from framebank.heads.text_tower import TowerLoader
from framebank.heads.training.drawn_videos import embedded_videos
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.files.place import require_place
from framebank.store.files.replacing import replacing_together
from framebank.store.prompts import PromptBank
from framebank.store.videos.groups import groups_of
from framebank.store.videos.labels import LabelSet
from framebank.store.videos.manifest import Manifest


def require_labels(store: FeatureStore, manifest: Manifest, *, split: str, hint: str) -> int:
    """Return how many videos of a split have no label. DataError, with a way out, if none has one.

    `hint` is the command that gives labels to videos.
    """
    without = sum(not label for label in manifest.columns.labels)
    if without < len(manifest):
        return without
    what = "the store" if split == "all" else f"the split {split!r}"
    raise DataError(
        f"{store.path}: none of the {counted(len(manifest), 'video')} of {what} has a label, and a figure needs them; "
        f"give them with `framebank store relabel {quote(str(store.path))} FILE.csv`, or label the videos themselves "
        f"with `{hint}`"
    )


def require_measurable(
    store: FeatureStore,
    manifest: Manifest,
    labels: LabelSet,
    *,
    split: str,
    hint: str,
    mine: object,
    multi_label: bool = False,
) -> int:
    """Return how many videos of a split have no label. DataError if the videos give no figure.

    It is asked before a training, too: no embedding is read. A video needs an embedding and a label. All labels are
    among `labels`, those of `mine`. Without `multi_label`, a video has one. `hint` is as `require_labels` has it.
    """
    without = require_labels(store, manifest, split=split, hint=hint)
    labels.require_covers(manifest.labels, mine=mine, theirs=store.path)
    embedded_videos(store, manifest, multi_label=multi_label)
    return without


def require_run_fits(
    run: Run, store: FeatureStore, manifest: Manifest, *, split: str, folder: Path, shown: Path | None = None
) -> int:
    """Return how many videos of a split have no label; DataError as `evaluate_run` raises it, before anything is read.

    That is: another encoder, videos that give no figure (`require_measurable`), or a folder that cannot be written to.
    """
    run.spec.require_same_encoder(store.spec, mine=shown or folder, theirs=store.path)
    require_place(folder / "metrics.json")
    return require_measurable(
        store,
        manifest,
        LabelSet(run.labels),
        split=split,
        hint=f"framebank predict {quote(str(store.path))} --run {quote(str(shown or folder))} --csv out.csv",
        mine=shown or folder,
        multi_label=run.recipe.is_multi_label,
    )


def evaluate_run(
    run: Run,
    store: FeatureStore,
    manifest: Manifest,
    *,
    split: str,
    device: torch.device,
    folder: Path,
    shown: Path | None = None,
) -> dict[str, Any]:
    """Score the videos of `manifest`, write metrics.json and predictions.npz into `folder`, and return the metrics.

    `shown` is where the run will be, if `folder` is not the place yet; the metrics name it.
    The store may differ from the training store in frames, views or precision; its spec is among the facts. DataError
    if its encoder differs, or if it has classes that the run lacks.
    """
    without = require_run_fits(run, store, manifest, split=split, folder=folder, shown=shown)
    labels = LabelSet(run.labels)
    predictions, bank = _score(
        run.model,
        labels,
        store,
        manifest,
        device=device,
        recipe=run.recipe,
    )
    scaling = run.model.scaling
    more: dict[str, Any] = {}
    if scaling:
        more["confidence"] = {"temperature": scaling.temperature, "by_class": bool(scaling.scales)}
    if run.members:
        more["members"] = [{**member.to_dict(), "recipe": member.recipe.to_dict()} for member in run.members]
    facts = made_by(
        spec=store.spec,
        bank=bank,
        split=split,
        labels=labels,
        recipe=run.recipe,
        texts=run.trained_on.get("texts"),
        templates=run.trained_on.get("templates"),
        scoring=run.recipe.scoring if run.trained_on.get("templates") else None,
        run=str(shown or folder),
        run_hash=run.weights_hash,
        store=str(store.path.absolute()),
        **more,
    )
    groups = groups_of(manifest.of_ids(predictions.video_ids))
    report = _report(predictions, groups, bank, facts, without=without)
    if scaling and "confidence" in report:
        report["confidence"] |= _before(run.model, bank, scaling, labels=labels.names, device=device)
    if run.thresholds is not None:
        report["thresholds"] = labels_worth(predictions, run.thresholds)
    with replacing_together(folder) as part:
        replace(predictions, groups=groups).write(part / "predictions.npz")
        (part / "metrics.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report


def evaluate_zero_shot(
    prompts: PromptBank,
    store: FeatureStore,
    manifest: Manifest,
    *,
    split: str,
    scoring: str,
    device: torch.device,
    run: Run | None = None,
    folder: Path | None = None,
    tower: TowerLoader | None = None,
) -> dict[str, Any]:
    """Score the videos of `manifest` by the texts of the classes, pooled by their mean or by the head of a run.

    If a run learned a context, it reads the classes in that context, through the text tower. DataError if the run was
    trained on features of another encoder, or if its classifier does not score by texts.
    """
    if run:
        run.spec.require_same_encoder(store.spec, mine=folder, theirs=store.path)
        served = run.with_prompts(prompts, where=folder, scoring=scoring, tower=tower)
        model, labels = served.model, LabelSet(served.labels)
    else:
        model, labels = zero_shot_model(prompts, scoring=scoring), prompts.labels
    recipe = run.recipe if run else None
    without = require_measurable(
        store,
        manifest,
        labels,
        split=split,
        hint=zero_shot_hint(store),
        mine="the set of classes",
        multi_label=recipe.is_multi_label if recipe else False,
    )
    predictions, bank = _score(model, labels, store, manifest, device=device, recipe=recipe)
    facts = made_by(
        spec=store.spec,
        bank=bank,
        split=split,
        prompts=prompts,
        labels=labels,
        scoring=scoring,
        frames=recipe.frames if recipe else 0,
        frame_norm=recipe.frame_norm if recipe else True,
        stream=recipe.stream if recipe else "frame",
        head_mix=recipe.head_mix if recipe else 0.0,
        head=run.recipe.head if run else "mean",
        run=str(folder) if folder else None,
        run_hash=run.weights_hash if run else None,
        store=str(store.path.absolute()),
    )
    groups = groups_of(manifest.of_ids(predictions.video_ids))
    return {"texts": prompts.kind, "scoring": scoring, **_report(predictions, groups, bank, facts, without=without)}


def _score(
    model: Model,
    labels: LabelSet,
    store: FeatureStore,
    manifest: Manifest,
    *,
    device: torch.device,
    recipe: Recipe | None,
) -> tuple[Predictions, BankParts]:
    bank = BankParts(
        store,
        manifest,
        labels,
        num_frames=recipe.frames if recipe else 0,
        stream=recipe.stream if recipe else "frame",
        multi_label=recipe.is_multi_label if recipe else False,
    )
    return predict(model, bank, labels=labels.names, device=device), bank


def _report(
    predictions: Predictions, groups: np.ndarray, bank: BankParts, facts: dict[str, Any], *, without: int
) -> dict[str, Any]:
    counts = {"videos_listed": bank.num_listed, "videos_without_label": without}
    found = measure(predictions)
    if "map" in found:
        labelled = predictions.targets.any(1)
        hits = predictions.targets[labelled] > 0
        jackknifed = JackknifedMap.of(predictions.scores[labelled], hits)
        found["map_interval"] = list(jackknifed.interval(groups[labelled]))
    return {**found, **_confidence(predictions), **counts, "made_by": facts}


def _confidence(predictions: Predictions) -> dict[str, Any]:
    """Return how reliable the probabilities are, if each video has one label."""
    if predictions.targets.ndim == 2:
        return {}
    labelled = predictions.targets >= 0
    return {"confidence": confidence_of(predictions.scores[labelled], predictions.targets[labelled])}


def _before(
    model: Model, bank: BankParts, scaling: Scaling, *, labels: tuple[str, ...], device: torch.device
) -> dict[str, Any]:
    """Return how reliable the probabilities of the same videos were before scaling, and what scales them."""
    model.scaling = None
    try:
        found = _confidence(predict(model, bank, labels=labels, device=device))["confidence"]
    finally:
        model.scaling = scaling
    before = {name: found[name] for name in ("ece", "brier", "nll")}
    return {"temperature": scaling.temperature, "by_class": bool(scaling.scales), "unscaled": before}


def zero_shot_hint(store: FeatureStore) -> str:
    """Return the command that labels the videos of a store by texts."""
    return f"framebank predict {quote(str(store.path))} --labels CLASSES.txt --csv out.csv"
