"""Together: linear classifiers of pooled videos that differ in rate and decay alone, trained on the same batches."""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

from framebank.heads.progress import Tell, tell_nobody
from framebank.heads.training.chance import warn_of_chance
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.loop import Epoch, chosen_epoch
from framebank.heads.training.objective import Objective
from framebank.heads.training.pooled import pool_once, pools_once
from framebank.heads.training.probes import ProbeEpoch, probe_epochs
from framebank.heads.training.recipe import Recipe


def shared_steps(recipe: Recipe) -> Recipe | None:
    """Return what recipes have in common that may train together, or None if a recipe trains alone."""
    steps = recipe.head == "mean" and recipe.classifier == "linear" and recipe.loss == "ce" and recipe.epochs > 0
    odd = recipe.logit_adjustment or recipe.mixup or recipe.average or recipe.probes
    return replace(recipe, lr=1.0, weight_decay=0.0) if steps and not odd else None


def train_together(
    job: TrainingJob, recipes: Sequence[Recipe], *, tell: Tell = tell_nobody
) -> list[tuple[TrainingJob, list[Epoch]]] | None:
    """Train a job with each of several recipes that have the same `shared_steps`, and return each job with its log.

    Each gets the weights of its best epoch, which are those of a training alone, but for rounding: the batches are the
    same, and are read once for all. None if the job cannot be trained so, or if a loss is no longer a number; then each
    is to be trained alone.
    """
    if not pools_once(job.model, job.recipe, Objective(job.recipe.loss, 1, job.train.num_classes)):
        return None
    pooled = pool_once(job.model, job.train, val=job.val, device=job.device)
    settings = [(recipe.lr, recipe.weight_decay) for recipe in recipes]
    jobs = [copy.copy(job) for _ in recipes]
    logs: list[list[Epoch]] = [[] for _ in recipes]
    for own, recipe in zip(jobs, recipes, strict=True):
        own.recipe = replace(job.recipe, lr=recipe.lr, weight_decay=recipe.weight_decay)
        own.model = copy.deepcopy(job.model)
    stacked = probe_epochs(
        pooled.model, job.recipe, settings, pooled.train, val=pooled.val, device=job.device, tell=tell
    )
    for epoch in stacked:
        for place, (own, log) in enumerate(zip(jobs, logs, strict=True)):
            log.append(_epoch_of(epoch, place, lr=settings[place][0]))
            if not math.isfinite(log[-1].loss):
                return None
            if chosen_epoch(log) in (None, log[-1]):
                state = epoch.stack.state(place)
                own.model.classifier.load_state_dict({name.split(".", 1)[1]: value for name, value in state.items()})
    for own in jobs:
        own.model.eval()
        warn_of_chance(own.model, own.train, what="mean + linear", lr=own.recipe.lr, device=own.device)
    return list(zip(jobs, logs, strict=True))


def _epoch_of(epoch: ProbeEpoch, place: int, *, lr: float) -> Epoch:
    """Return what one training did in an epoch of all."""
    score, loss = epoch.judged[place] if epoch.judged else (math.nan, math.nan)
    mean = float(epoch.losses[place])
    return Epoch(epoch.number, mean, lr * epoch.share, score, epoch.seconds / len(epoch.losses), loss)
