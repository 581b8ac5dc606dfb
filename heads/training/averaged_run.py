"""Averaged run: the run of several trainings whose probabilities are averaged."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from framebank.heads.bank import Bank
from framebank.heads.metrics import score_targets
from framebank.heads.predictions import predict_logits
from framebank.heads.training.average import average_model
from framebank.heads.training.members import Member
from framebank.heads.training.run import Run
from framebank.heads.training.scaled import scaling_facts


def averaged_run(
    runs: Sequence[Run],
    members: Sequence[Member],
    *,
    val: Bank | None,
    sources: Callable[[], str] = str,
    device: torch.device,
    about: Mapping[str, Any],
) -> Run:
    """Return one run that averages the runs of its members, which were trained on the same videos, in this order.

    With validation videos, its score on them and its scaling are among the facts, as in any other run. `about` has
    further facts, and `sources` is as in `fit_scaling`. ValueError if the runs differ in their classes.
    """
    first = runs[0]
    if any(run.labels != first.labels for run in runs):
        raise ValueError("the members of an average know different classes")
    models = [copy.deepcopy(run.model).cpu() for run in runs]  # a file holds no tensor that two members share
    temperatures, weights = (
        torch.tensor([getattr(member, name) for member in members]) for name in ("temperature", "weight")
    )
    model = average_model(models, temperatures=temperatures, weights=weights)
    for part in models:
        part.scaling = None
    texts = next((run.trained_on for run in runs if run.trained_on["texts"]), first.trained_on)
    epochs = sum(run.trained_on["epochs"] for run in runs)
    facts = {
        **{name: value for name, value in first.trained_on.items() if name != "confidence"},
        "texts": texts["texts"],
        "templates": texts["templates"],
        "epoch": epochs,
        "epochs": epochs,
        **about,
    }
    if val:
        logits = predict_logits(model.to(device), val, device=device)
        facts["val_score"] = score_targets(logits, val.target.cpu())
        facts |= scaling_facts(model, val, sources=sources, device=device)
    named = tuple(replace(member, recipe=run.recipe) for member, run in zip(members, runs, strict=True))
    return replace(first, recipe=first.recipe, model=model, trained_on=facts, members=named)
