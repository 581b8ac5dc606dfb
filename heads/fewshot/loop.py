"""Training by episodes: one explicit loop for every matcher that has something to learn."""

import copy
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.matchers.task import EpisodeBatch, HasLosses, match_loss
from framebank.heads.progress import Tell, tell_nobody
from framebank.heads.randomness import drawn_from
from framebank.heads.ranking import best_class
from framebank.heads.training.optimizer import build_optimizer, set_lr, warmup_cosine
from framebank.store.errors import DataError


@dataclass(frozen=True)
class Stage:
    """The result of the steps since the last stage, up to `step`: the mean loss, and the part of it from the scores.

    The learning rate is the one at its end. val_accuracy is the share of the validation queries that were right (NaN if
    there are none).
    """

    step: int
    loss: float
    match_loss: float
    lr: float
    val_accuracy: float
    seconds: float


def fit_episodes(
    matcher: nn.Module,
    recipe: FewshotRecipe,
    train: Iterator[EpisodeBatch],
    *,
    val: Iterable[EpisodeBatch],
    device: torch.device,
    tell: Tell = tell_nobody,
) -> Iterator[Stage]:
    """Train `matcher` in place, one task of `train` a step. Yield each stage of `recipe.val_every` steps.

    At the end it holds the weights of the stage that was best on the tasks of `val`, which are all scored once each
    stage. Without such tasks, the last weights stay. `tell` is called after each step. DataError if the matcher has no
    weights, or if the loss is no longer a number.
    """
    if not any(parameter.requires_grad for parameter in matcher.parameters()):
        raise DataError(
            f"the matcher {recipe.matcher!r} has nothing to train; expected another, or `framebank fewshot` with "
            "this one as it is"
        )
    matcher.to(device).train()
    generator = torch.Generator().manual_seed(recipe.seed)
    optimizer = build_optimizer(matcher, weight_decay=recipe.weight_decay)
    best_accuracy, best_state = -math.inf, None
    for begin in range(0, recipe.steps, recipe.val_every):
        started, losses = time.perf_counter(), []
        end = min(begin + recipe.val_every, recipe.steps)
        dropout_seed = int(torch.randint(2**31, (), generator=generator))
        with drawn_from(dropout_seed, device=device):  # one stage at a time: others may draw between stages
            for step in range(begin, end):
                parts = losses_of(matcher, next(train))
                loss = torch.stack(list(parts.values())).sum()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                set_lr(optimizer, recipe.lr * warmup_cosine(step, total=recipe.steps, warmup=recipe.warmup))
                optimizer.step()
                losses.append(torch.stack([loss.detach(), parts["match"].detach()]))
                tell(step + 1, recipe.steps)
        mean_loss, mean_match = torch.stack(losses).mean(0).tolist()
        if not math.isfinite(mean_loss):
            raise DataError(f"the loss became {mean_loss} by step {end}; a lower lr than {recipe.lr} may help")
        accuracy = accuracy_of(matcher, val)
        if accuracy >= best_accuracy:  # if equal, the later one: its learning rate was lower
            best_accuracy, best_state = accuracy, copy.deepcopy(matcher.state_dict())
        lr = recipe.lr * warmup_cosine(end, total=recipe.steps, warmup=recipe.warmup)
        yield Stage(end, mean_loss, mean_match, lr, accuracy, time.perf_counter() - started)
    if best_state is not None:
        matcher.load_state_dict(best_state)
    matcher.eval()


def losses_of(matcher: nn.Module, task: EpisodeBatch) -> dict[str, Tensor]:
    """Return the parts of a task's loss by name: "match", from the scores, and what the matcher adds."""
    if isinstance(matcher, HasLosses):
        return matcher.losses(task)
    return {"match": match_loss(matcher(*task.given), task.truth.target)}


def accuracy_of(matcher: nn.Module, tasks: Iterable[EpisodeBatch]) -> float:
    """Return the share of all queries whose own class scores highest, without dropout; NaN if there is no task."""
    training = matcher.training
    matcher.eval()
    with torch.inference_mode():
        right = [best_class(matcher(*task.given)) == task.truth.target for task in tasks]
    matcher.train(training)
    return float(torch.cat([hits.flatten() for hits in right]).float().mean()) if right else math.nan
