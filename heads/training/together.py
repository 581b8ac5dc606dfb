"""Together: linear classifiers of pooled videos that differ in rate, decay and seed alone, in the same steps."""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from framebank.heads.progress import Tell, tell_nobody
from framebank.heads.training.chance import warn_of_chance
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.linear_stack import LinearStack
from framebank.heads.training.loop import Epoch, num_examples
from framebank.heads.training.optimizer import warmup_cosine
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.row_sets import RowSets

Trained = tuple[TrainingJob, list[Epoch]]
MOST_SCORES = 1 << 26  # that one stack computes at once


def shared_steps(recipe: Recipe) -> Recipe | None:
    """Return what recipes have in common that may train together, or None if a recipe trains alone."""
    steps = recipe.head == "mean" and recipe.classifier == "linear" and recipe.loss == "ce" and recipe.epochs > 0
    draws = recipe.jitter or recipe.frame_dropout or recipe.mixup
    odd = draws or recipe.logit_adjustment or recipe.average or recipe.probes
    return replace(recipe, lr=1.0, weight_decay=0.0, seed=0) if steps and not odd else None


def train_together(
    jobs: Sequence[TrainingJob], recipes: Sequence[Recipe], *, tell: Tell = tell_nobody
) -> list[list[Trained | None]]:
    """Train jobs that differ in their seed, each with several recipes of the same `shared_steps`.

    Returns for each job and recipe the job with its log. Each has the weights of its best epoch, which are those of a
    training alone, but for rounding: each job has its own batches, which are read once for all recipes. It is None
    where a loss is no longer a number; that one is to be trained alone.
    """
    recipe, settings = jobs[0].recipe, [(one.lr, one.weight_decay) for one in recipes]
    num_classes = jobs[0].train.num_classes
    alike: dict[int, list[int]] = {}  # the places of jobs by the steps of an epoch
    for place, job in enumerate(jobs):
        alike.setdefault(math.ceil(num_examples(job.train, recipe) / recipe.batch_size), []).append(place)
    rows = max(recipe.batch_size, *(len(job.val.x) if job.val else 0 for job in jobs))
    most = max(1, MOST_SCORES // (rows * len(settings) * num_classes))
    found: dict[int, list[Trained | None]] = {}
    parts = [own[start : start + most] for own in alike.values() for start in range(0, len(own), most)]
    for number, places in enumerate(parts):

        def telling(done: int, total: int, number: int = number) -> None:
            tell(number * total + done, len(parts) * total)

        found |= zip(places, _train_sets([jobs[place] for place in places], settings, tell=telling), strict=True)
    return [found[place] for place in range(len(jobs))]


def _train_sets(
    jobs: Sequence[TrainingJob], settings: Sequence[tuple[float, float]], *, tell: Tell
) -> list[list[Trained | None]]:
    """Train S jobs of as many steps, each with P rates and decays, as one stack of S sets of P copies."""
    recipe, device = jobs[0].recipe, jobs[0].device
    model, vals = jobs[0].model, [job.val for job in jobs if job.val]
    train = RowSets([job.train for job in jobs], model, device=device)
    held = RowSets(vals, model, device=device) if vals else None
    judging = held.read_all() if held else None  # (S, R, W)
    rates, decays = torch.tensor(settings, device=device).T  # (P,), (P,)
    stack = LinearStack(model, weight_decays=decays, sets=len(jobs))
    generators = [torch.Generator().manual_seed(job.recipe.seed) for job in jobs]
    lowest = torch.full((len(jobs), len(settings)), math.inf, device=device)
    scores = losses = torch.full_like(lowest, math.nan)
    best, failed = stack.weights, torch.zeros_like(lowest, dtype=torch.bool)
    logs: list[list[list[Epoch]]] = [[[] for _ in settings] for _ in jobs]
    epochs, steps, taken = jobs[0].num_epochs, math.ceil(num_examples(jobs[0].train, recipe) / recipe.batch_size), 0
    total = epochs * steps
    for number in range(1, epochs + 1):
        started, sums = time.perf_counter(), torch.zeros_like(lowest)
        for rows, labels, shares in train.draw(recipe, generators):
            lr = rates * warmup_cosine(taken, total=total, warmup=recipe.warmup)
            sums += stack.step_sets(rows, labels, shares, lr=lr, smoothing=recipe.label_smoothing)
            taken += 1
            tell(taken, total)
        failed |= ~sums.isfinite()
        if held and judging is not None:
            scores, losses = held.judge(stack.scores(judging))
            better = losses <= lowest
            lowest, best = losses.where(better, lowest), stack.weights.where(better[:, :, None, None], best)
        told = torch.stack([sums / steps, scores, losses], dim=-1).tolist()
        share, seconds = warmup_cosine(taken, total=total, warmup=recipe.warmup), time.perf_counter() - started
        for own, log_of in zip(told, logs, strict=True):
            for (loss, score, val_loss), log, (rate, _) in zip(own, log_of, settings, strict=True):
                log.append(Epoch(number, loss, rate * share, score, seconds / lowest.numel(), val_loss))
    failed |= lowest.isinf() & bool(vals)
    found: list[list[Trained | None]] = []
    for job, weights, failed_of, log_of in zip(jobs, best, failed.tolist(), logs, strict=True):
        each = zip(settings, weights, failed_of, log_of, strict=True)
        found.append([None if bad else (_ended(job, own, stack.named(last)), log) for own, last, bad, log in each])
    return found


def _ended(job: TrainingJob, setting: tuple[float, float], weights: dict[str, Tensor]) -> TrainingJob:
    """Return a copy of a job with its own rate, decay and weights."""
    own, (lr, decay) = copy.copy(job), setting
    own.recipe = replace(job.recipe, lr=lr, weight_decay=decay)
    own.model = copy.deepcopy(job.model).eval()
    own.model.load_state_dict(weights)
    warn_of_chance(own.model, own.train, what="mean + linear", lr=lr, device=own.device)
    return own
