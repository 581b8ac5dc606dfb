"""Training: one loop, in the open, over a bank that lies in memory."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.bank import Bank
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.losses.kl import cross_entropy, symmetric_kl
from framebank.heads.masking import drop_frames
from framebank.heads.model import Model
from framebank.heads.predict import predict_logits
from framebank.heads.randomness import drawn_from
from framebank.heads.recipe import Recipe
from framebank.store.errors import DataError
from framebank.store.prompts import PromptBank


@dataclass(frozen=True)
class Epoch:
    """What one pass over the bank gave: mean loss, learning rate at its end, validation top-1 (NaN without one)."""

    number: int
    loss: float
    lr: float
    val_top1: float
    seconds: float


def fit(
    model: Model, recipe: Recipe, train: Bank, *, val: Bank | None, prompts: PromptBank | None, device: torch.device
) -> Iterator[Epoch]:
    """Train `model` in place, yielding each epoch; at the end it holds the weights that were best on `val`.

    Without a validation bank the last weights stay. The test split is never looked at. Batches are index operations on
    the bank; the last one of an epoch is smaller rather than dropped.
    """
    unlabelled = int((train.target < 0).sum())
    if unlabelled:
        raise ValueError(f"{unlabelled} of the videos to train on has no label")
    model.to(device).train()
    generator = torch.Generator().manual_seed(recipe.seed)
    loss_of = _loss(model, recipe, prompts, generator=generator, device=device)
    groups = _parameter_groups(model, weight_decay=recipe.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98), eps=1e-8, fused=True)
    examples = len(train.x) if recipe.views == "all" else len(train)
    steps_per_epoch = math.ceil(examples / recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, total=recipe.epochs * steps_per_epoch, warmup=recipe.warmup)
    )
    best_top1, best_state = -math.inf, None
    for number in range(1, recipe.epochs + 1):
        started, losses = time.perf_counter(), []
        dropout_seed = int(torch.randint(2**31, (), generator=generator))
        with drawn_from(dropout_seed, device=device):  # an epoch at a time: between them others may draw
            for rows in draw_sequences(train, recipe.views, generator=generator).split(recipe.batch_size):
                rows = rows.to(train.device)
                x, mask = train.x[rows].to(device), train.mask[rows].to(device)
                target = train.target[rows // train.num_groups].to(device)
                mask = drop_frames(mask, recipe.frame_dropout) if recipe.frame_dropout else mask
                loss = loss_of(x, mask, target)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                if isinstance(model.classifier, TextClassifier):
                    model.classifier.bound_scale()
                losses.append(loss.detach())
        mean_loss = float(torch.stack(losses).mean())
        if not math.isfinite(mean_loss):
            raise DataError(f"the loss became {mean_loss} in epoch {number}; a lower lr than {recipe.lr} may help")
        top1 = _top1(model, val, device=device) if val else math.nan
        if top1 >= best_top1:  # of equals, the later: its learning rate was lower
            best_top1, best_state = top1, copy.deepcopy(model.state_dict())
        yield Epoch(number, mean_loss, float(schedule.get_last_lr()[0]), top1, time.perf_counter() - started)
    if best_state is not None:
        model.load_state_dict(best_state)
    model.eval()


def draw_sequences(bank: Bank, views: str, *, generator: torch.Generator) -> Tensor:
    """Return the rows of x that an epoch trains on, in a random order: (V,), or (V*G,) of "all".

    Of each video those are all of its views and clips, the "first" alone, or one that is drawn anew ("random").
    """
    if views == "all":
        return torch.randperm(len(bank.x), generator=generator)
    videos = torch.randperm(len(bank), generator=generator)
    if views == "first" or bank.num_groups == 1:
        return videos * bank.num_groups
    return videos * bank.num_groups + torch.randint(bank.num_groups, videos.shape, generator=generator)


def warmup_cosine(step: int, *, total: int, warmup: float) -> float:
    """Return the share of the learning rate at a step: a linear rise over `warmup` of the steps, then a half cosine."""
    rise = max(1, round(warmup * total)) if warmup > 0 else 0
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def _parameter_groups(model: Model, *, weight_decay: float) -> list[dict[str, object]]:
    """Decay matrices only: not biases, norms or the logit scale."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def _loss(
    model: Model, recipe: Recipe, prompts: PromptBank | None, *, generator: torch.Generator, device: torch.device
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    if recipe.loss == "ce":
        return lambda x, mask, target: cross_entropy(model(x, mask), target, label_smoothing=recipe.label_smoothing)
    if prompts is None:
        raise ValueError("the loss 'kl' needs prompts")
    padded, counts = prompts.padded()
    texts, num_texts = torch.from_numpy(padded).to(device), torch.from_numpy(counts.astype(np.int64)).to(device)

    scorer = model.classifier
    if not isinstance(scorer, TextClassifier):
        raise ValueError("the loss 'kl' needs the text classifier")

    def kl(x: Tensor, mask: Tensor, target: Tensor) -> Tensor:
        # One text of its class for each video of the batch, drawn anew at each step.
        draw = (torch.rand(len(target), generator=generator).to(device) * num_texts[target]).long()
        text = texts[target, draw]  # (B, D)
        video = F.normalize(model.embed(x, mask), dim=-1)  # (B, D)
        return symmetric_kl(scorer.logit_scale * video @ text.T, target)  # (B, B)

    return kl


def _top1(model: Model, bank: Bank, *, device: torch.device) -> float:
    model.eval()
    logits = predict_logits(model, bank, device=device)
    model.train()
    return float((logits.argmax(1) == bank.target.cpu()).float().mean())
