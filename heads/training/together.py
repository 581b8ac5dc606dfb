"""Together: classifiers of pooled videos that differ in rate, decay and seed alone, in the same steps."""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from framebank.heads.progress import Tell, tell_nobody
from framebank.heads.training.batches import num_examples
from framebank.heads.training.chance import warn_of_chance
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.loop import Epoch
from framebank.heads.training.optimizer import warmup_cosine
from framebank.heads.training.pooled_stack import pooled_stack
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.row_sets import RowSets
from framebank.heads.training.set_stack import SetContest, SetStack
from framebank.heads.training.steps_choice import ADAMW, EITHER, NO_VAL, WHITENED, StepsChoice

Trained = tuple[TrainingJob, list[Epoch]]
MOST_SCORES = 1 << 26  # that one stack computes at once


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
    """Train S jobs of as many steps, each with P rates and decays, as one stack of S sets of P copies.

    If the recipe chooses its steps, whitened ones make a second stack, which reads the same batches.
    """
    recipe, device = jobs[0].recipe, jobs[0].device
    model, vals = jobs[0].model, [job.val for job in jobs if job.val]
    train = RowSets([job.train for job in jobs], model, device=device)
    held = RowSets(vals, model, device=device) if vals else None
    judging = held.read_all() if held else None  # (S, R, W)
    rates, decays = torch.tensor(settings, device=device).T  # (P,), (P,)
    stack = partial(pooled_stack, model, weight_decays=decays, sets=len(jobs))
    own = SetStack(stack(whitener=train.whiteners() if recipe.steps == WHITENED else None))
    epochs, steps, taken = jobs[0].num_epochs, math.ceil(num_examples(jobs[0].train, recipe) / recipe.batch_size), 0
    contest: SetContest | None = None
    if recipe.steps == EITHER and held:
        sources = [job.val_groups for job in jobs if job.val_groups is not None]
        contest = SetContest(own, SetStack(stack(whitener=train.whiteners())), sources=sources, epochs=epochs)
    generators = [torch.Generator().manual_seed(job.recipe.seed) for job in jobs]
    ends: list[tuple[float, float]] = []  # of each epoch: the share of the rates, and its seconds
    total = epochs * steps
    for number in range(1, epochs + 1):
        started = time.perf_counter()
        for batch in train.draw(recipe, generators):
            lr = rates * warmup_cosine(taken, total=total, warmup=recipe.warmup)
            for each in (own, contest.whitened) if contest and contest.runs else (own,):
                each.step(batch, lr=lr, smoothing=recipe.label_smoothing)
            taken += 1
            tell(taken, total)
        own.judge(held, judging)
        if contest and held and judging is not None:
            contest.judge(number, held, judging)
        share = warmup_cosine(taken, total=total, warmup=recipe.warmup)
        ends.append((share, (time.perf_counter() - started) / (len(jobs) * len(settings))))
    trained = _Trained(own, contest, contest.choices() if contest else [], ends)
    pairs = [[(place, at) for at in range(len(settings))] for place in range(len(jobs))]
    return [[trained.of(jobs[place], settings[at], place, at) for place, at in each] for each in pairs]


@dataclass(frozen=True)
class _Trained:
    """What S jobs with P settings came to: their stacks, the choices of a contest, (S, P), and the `ends`.

    Those are of each epoch the share of the rates and its seconds.
    """

    own: SetStack
    contest: SetContest | None
    choices: Sequence[Sequence[StepsChoice]]
    ends: Sequence[tuple[float, float]]

    def of(self, job: TrainingJob, setting: tuple[float, float], place: int, at: int) -> Trained | None:
        """Return a copy of a job, the one at a place of S, with the setting at a place of P; None if it failed."""
        if self.own.failed[place, at]:
            return None
        ended, (lr, decay) = copy.copy(job), setting
        ended.recipe = replace(job.recipe, lr=lr, weight_decay=decay)
        ended.model = copy.deepcopy(job.model).eval()
        ended.model.load_state_dict(self.own.named(self.own.best[place, at]))
        if job.recipe.steps == EITHER:
            ended.steps = StepsChoice(ADAMW, NO_VAL)
        if self.contest:
            ended.steps = self.choices[place][at]
            if ended.steps.chosen == WHITENED:
                ended.steps = replace(ended.steps, log=self.contest.whitened.log_of(place, at))
                ended.model.load_state_dict(self.own.named(self.contest.whitened.best[place, at]))
        what = f"mean + {job.recipe.classifier}"
        warn_of_chance(ended.model, ended.train, what=what, lr=lr, device=ended.device)
        told = enumerate(zip(self.own.log_of(place, at), self.ends, strict=True), 1)
        return ended, [
            Epoch(number, loss, lr * share, score, seconds, val_loss)
            for number, ((loss, score, val_loss), (share, seconds)) in told
        ]
