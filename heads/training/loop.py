"""Training: one explicit loop over a bank in memory."""

import copy
import functools
import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from framebank.heads.bank import Bank
from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import BoundsScale
from framebank.heads.losses.step import Step
from framebank.heads.masking import drop_frames
from framebank.heads.metrics import score_targets
from framebank.heads.model import Model
from framebank.heads.predictions import predict_logits
from framebank.heads.progress import Tell, tell_nobody
from framebank.heads.randomness import drawn_from
from framebank.heads.shares import class_shares
from framebank.heads.training.augmentation import mix_videos
from framebank.heads.training.batches import draw_frames, draw_sequences, num_examples
from framebank.heads.training.distributed import Ranks
from framebank.heads.training.objective import Objective
from framebank.heads.training.optimizer import build_optimizer, set_lr, warmup_cosine
from framebank.heads.training.pooled import pool_once, pools_once
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import Keeping, TrainingState
from framebank.heads.training.steps_choice import ADAMW, EITHER, WHITENED, StepsChoice
from framebank.heads.training.steps_contest import StepsContest, contest_of
from framebank.heads.training.whitened_steps import whitened_steps
from framebank.store.errors import DataError


class LossError(DataError):
    """The loss of a training is no longer a finite number."""

    @classmethod
    def of(cls, loss: float, epoch: int, *, lr: float) -> "LossError":
        """Return what to say of a mean loss after an epoch."""
        return cls(f"the loss became {loss} in epoch {epoch}; a lower lr than {lr} may help")


@dataclass(frozen=True)
class Epoch:
    """The result of one pass over the bank: mean loss, learning rate at its end, score on the validation videos.

    The score is top-1, or mean average precision if videos have several labels. val_loss is the cross-entropy of the
    labels of those videos; it decides which epoch is chosen. Both are NaN if there are no validation videos.
    """

    number: int
    loss: float
    lr: float
    val_score: float
    seconds: float
    val_loss: float = math.nan


def chosen_epoch(log: Sequence[Epoch]) -> Epoch | None:
    """Return the epoch of the lowest validation loss, the later one if equal. None if there are no validation videos.

    The score would be a poor guide: with few videos, one more that happens to be right raises it a lot. The loss uses
    every video.
    """
    judged = [epoch for epoch in log if not math.isnan(epoch.val_loss)]
    return min(reversed(judged), key=lambda epoch: epoch.val_loss, default=None)


def fit(
    model: Model,
    recipe: Recipe,
    train: Bank,
    *,
    val: Bank | None,
    texts: ClassTexts | None,
    device: torch.device,
    ranks: Ranks | None = None,
    tell: Tell = tell_nobody,
    keeping: Keeping | None = None,
    val_groups: np.ndarray | None = None,
) -> Generator[Epoch, None, StepsChoice | None]:
    """Train `model` in place and yield each epoch. At the end it holds the weights of the `chosen_epoch`.

    Without a validation bank, the last weights stay, or the average of the last ones if the recipe says so. The test
    split is never used. Batches are index operations on the bank; the last batch of an epoch is smaller, not dropped.
    If a head learns nothing and draws nothing (`pools_once`), the bank is pooled before the first step. Under torchrun,
    each of the `ranks` pools its share of every batch. `tell` is called after each step. With `keeping`, the state is
    kept after an epoch, and a training that goes on from a state first yields the epochs that it has behind it.
    Returns the choice of `recipe.steps` "either", by the validation videos and their sources, `val_groups` (V,).
    """
    if train.target.ndim == 1 and (unlabelled := int((train.target < 0).sum())):
        raise ValueError(f"{unlabelled} of the videos to train on has no label")
    ranks = ranks or Ranks()
    dim = _pooled_width(model.to(device).eval(), train, device=device)
    model.train()
    with drawn_from(recipe.seed, device=device):
        objective = Objective(recipe.loss, dim, train.num_classes, label_smoothing=recipe.label_smoothing).to(device)
    if not recipe.epochs:
        if keeping:
            keeping.found()  # a state of another training is refused
        model.eval()
        return None  # the first optimizer of a process loads libraries, which takes seconds
    given = model
    if pools_once(model, recipe, objective):
        pooled = pool_once(model, train, val=val, device=device)
        model, train, val = pooled.model, pooled.train, pooled.val
    generator = torch.Generator().manual_seed(recipe.seed)
    frequency = train.frequency.to(device)  # (C,)
    step = functools.partial(
        Step,
        model,
        texts=texts.to(device) if texts else None,
        generator=generator,
        frequency=frequency,
        log_prior=recipe.logit_adjustment * frequency.clamp(min=1e-8).log() if recipe.logit_adjustment else None,
        pool=functools.partial(_pool, ranks, recipe.precision),
    )
    bound_scale = model.classifier.bound_scale if isinstance(model.classifier, BoundsScale) else None
    optimizer = build_optimizer(model, objective, weight_decay=recipe.weight_decay)
    alone = whitened_steps(model, recipe, train, device=device) if recipe.steps == WHITENED else None
    contest: StepsContest | None = None
    if recipe.steps == EITHER:
        contest, why_not = contest_of(model, recipe, train, val=val, groups=val_groups, device=device)
    whitened = contest.whitened if contest else alone
    examples = num_examples(train, recipe)
    epochs = recipe.epochs_of(examples)
    total = epochs * math.ceil(examples / recipe.batch_size)
    average = AveragedModel(model) if recipe.average else None
    modules = {"model": model, "objective": objective, **({"average": average} if average else {})}
    modules |= {"whitened": contest or whitened} if whitened else {}
    state = TrainingState(modules, optimizer, generator, Epoch)
    if keeping:
        keeping.load(state)
    log = state.log
    yield from list(log)
    taken = len(log) * math.ceil(examples / recipe.batch_size)
    if whitened:
        whitened.go_on(taken)
    for number in range(len(log) + 1, epochs + 1):
        started, losses = time.perf_counter(), []
        dropout_seed = int(torch.randint(2**31, (), generator=generator))
        with drawn_from(dropout_seed, device=device):  # one epoch at a time: others may draw between epochs
            order = draw_sequences(train, recipe.views, sampler=recipe.sampler, generator=generator)
            for rows in order.to(train.device).split(recipe.batch_size):
                batch = take_batch(train, rows, recipe, generator=generator, device=device)
                lr = recipe.lr * warmup_cosine(taken, total=total, warmup=recipe.warmup)
                if contest:
                    contest.step(*batch, lr=lr)
                if alone:
                    loss = alone.step(*batch, lr=lr)
                else:
                    loss = objective(step(*batch))
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    ranks.average_gradients(model, objective)
                    set_lr(optimizer, lr)
                    optimizer.step()
                    if bound_scale:
                        bound_scale()
                losses.append(loss.detach())
                taken += 1
                tell(taken, total)
        mean_loss = float(torch.stack(losses).mean())
        if not math.isfinite(mean_loss):
            raise LossError.of(mean_loss, number, lr=recipe.lr)
        if alone:
            alone.fill(model)
        judged = model
        if average and number > epochs - math.ceil(epochs * recipe.average - 1e-9):
            average.update_parameters(model)
            judged = cast(Model, average.module)  # the module is the Model that it was given
        score, val_loss = _judge(judged, val, device=device) if val else (math.nan, math.nan)
        lr = recipe.lr * warmup_cosine(taken, total=total, warmup=recipe.warmup)
        log.append(Epoch(number, mean_loss, lr, score, time.perf_counter() - started, val_loss))
        if chosen_epoch(log) is log[-1] or (average and judged is average.module and not val):
            state.best = copy.deepcopy(judged.state_dict())
        if contest:
            contest.judge(model, number)
        if keeping:
            keeping.keep(state)
        yield log[-1]
    if state.best is not None:
        model.load_state_dict(state.best)
    given.eval()
    if recipe.steps != EITHER:
        return None
    return contest.decide(model) if contest else StepsChoice(ADAMW, why_not)


def take_batch(
    bank: Bank, rows: Tensor, recipe: Recipe, *, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows (B,) of a bank for training: x (B, T, ...), mask (B, T), labels (B,), or shares (B, C)."""
    x, mask = _bring(bank.x[rows], device), _bring(bank.mask[rows], device)
    if recipe.jitter:
        x, mask = draw_frames(x, mask, recipe.frames)
    mask = drop_frames(mask, recipe.frame_dropout) if recipe.frame_dropout else mask
    videos = rows if bank.num_groups == 1 else rows // bank.num_groups
    labels = bank.target[videos].to(device)
    if recipe.mixup:
        shares = class_shares(labels, bank.num_classes)
        x, mask, labels = mix_videos(x, mask, shares, alpha=recipe.mixup, generator=generator)
    return x, mask, labels


def _pool(ranks: Ranks, precision: str, model: Model, frames: Tensor, mask: Tensor) -> Tensor:
    """Pool a batch (B, T, D), mask (B, T) -> (B, D) float32. The head computes in `precision`, nothing else does."""
    with torch.autocast(frames.device.type, torch.bfloat16, enabled=precision == "bf16"):
        return ranks.pool(model, frames, mask)


@torch.no_grad()
def _pooled_width(model: Model, bank: Bank, *, device: torch.device) -> int:
    """Return the width of the head's output: that of the frames or, with several layers, that of the embeddings."""
    return model.embed(bank.x[:1].to(device), bank.mask[:1].to(device)).shape[-1]


def _bring(batch: Tensor, device: torch.device) -> Tensor:
    """Copy a batch to the device, from pinned pages if the bank is in host memory."""
    if device.type == "cuda" and batch.device.type == "cpu":
        return batch.pin_memory().to(device, non_blocking=True)
    return batch.to(device)


def _judge(model: Model, bank: Bank, *, device: torch.device) -> tuple[float, float]:
    """Return the score and the loss on a bank."""
    was_training = model.training
    model.eval()
    logits = predict_logits(model, bank, device=device)
    model.train(was_training)
    target = bank.target.cpu()
    loss_of = F.binary_cross_entropy_with_logits if target.ndim == 2 else F.cross_entropy
    loss = float(loss_of(logits, target.float() if target.ndim == 2 else target))
    return score_targets(logits, target), loss
