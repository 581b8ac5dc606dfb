"""Probes: one head trained at several learning rates and weight decays at once, on the same batches."""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from framebank.heads.bank import Bank
from framebank.heads.classifiers import Fitted
from framebank.heads.classifiers.classifier import BoundsScale
from framebank.heads.model import Model
from framebank.heads.predictions import mean_over_groups
from framebank.heads.progress import Tell, tell_nobody
from framebank.heads.randomness import drawn_from
from framebank.heads.ranking import best_class
from framebank.heads.training.attentive_stack import AttentiveStack, reads_shared
from framebank.heads.training.batches import draw_sequences, num_examples
from framebank.heads.training.distributed import Ranks
from framebank.heads.training.linear_stack import LinearStack, is_linear
from framebank.heads.training.loop import Epoch, take_batch
from framebank.heads.training.objective import Objective
from framebank.heads.training.optimizer import warmup_cosine
from framebank.heads.training.pooled import pool_once, pools_once
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.resume import Keeping
from framebank.heads.training.stack import Stack, losses_of
from framebank.store.errors import DataError, warn

# Those of V-JEPA 2's probes (Assran et al. 2025, arXiv 2506.09985), the middle ones first: some of the twenty are the
# first ones.
RATES = (1e-3, 3e-4, 3e-3, 1e-4, 5e-3)
DECAYS = (0.01, 0.1, 0.4, 0.8)
# After the first of so many equal parts of the epochs, only the best probes go on, one in so many. A query alone shows
# early which they are; heads with blocks need longer (docs/train.md).
STOPS, STOPS_OF_A_QUERY = {4: 2, 2: 2}, {8: 3, 4: 3, 2: 3}
WORST = 1e9  # the loss of a probe that has diverged
AT_ONCE = 256  # sequences that are scored at once


@dataclass(frozen=True)
class Probe:
    """One learning rate and weight decay, its best epoch by the loss on the validation videos, and how many it made."""

    lr: float
    weight_decay: float
    epoch: int
    val_score: float
    val_loss: float
    epochs: int


@dataclass(frozen=True)
class ProbeEpoch:
    """One epoch of P probes: their mean losses (P,), and the score and the loss of each on the validation videos.

    `running` are the places of their settings: with `recipe.halving`, some have stopped. `share` is the share of the
    learning rates at its end. `judged` is empty if there are no validation videos. `stack` has the weights until the
    next epoch.
    """

    number: int
    running: Sequence[int]
    losses: Tensor
    share: float
    judged: Sequence[tuple[float, float]]
    seconds: float
    stack: Stack | LinearStack


def probe_settings(count: int) -> list[tuple[float, float]]:
    """Return the learning rates and weight decays of so many probes, up to MOST_PROBES."""
    return [(lr, decay) for decay, lr in product(DECAYS, RATES)][:count]


def fit_probes(
    model: Model,
    recipe: Recipe,
    train: Bank,
    *,
    val: Bank | None,
    device: torch.device,
    tell: Tell = tell_nobody,
) -> Generator[Epoch, None, tuple[Probe, ...]]:
    """Train `recipe.probes` copies of a model at once, yield each epoch, and leave the best in `model`.

    All start from the same weights, and see the same batches, each of which is read, moved and masked once. An epoch
    tells of the probe with the lowest validation loss in it. The result has one Probe for each, in the order of
    `probe_settings`; the best one has the lowest validation loss of all. Each is what `fit` trains with its learning
    rate and weight decay, but for dropout. With `recipe.halving`, those with the higher losses so far make only a part
    of its epochs.
    DataError without validation videos, and as `require_probes`.
    """
    require_probes(recipe, model)
    if val is None:
        raise DataError(f"probes is {recipe.probes}, and there are no validation videos to choose the best one on")
    settings = probe_settings(recipe.probes)
    given = model.to(device)
    with drawn_from(recipe.seed, device=device):
        objective = Objective(recipe.loss, 1, train.num_classes)
    if pools_once(model, recipe, objective):
        pooled = pool_once(model, train, val=val, device=device)
        model, train, val = pooled.model, pooled.train, pooled.val or val
    best: dict[int, Probe] = {}
    kept: tuple[float, dict[str, Tensor]] | None = None
    for epoch in probe_epochs(model, recipe, settings, train, val=val, device=device, tell=tell):
        for one, (score, loss) in zip(epoch.running, epoch.judged, strict=True):
            before = best.get(one)
            if before is None or loss <= before.val_loss:
                before = Probe(*settings[one], epoch.number, score, loss, epoch.number)
            best[one] = replace(before, epochs=epoch.number)
        place = min(range(len(epoch.judged)), key=lambda at: epoch.judged[at][1])
        score, loss = epoch.judged[place]
        if loss >= WORST:
            raise DataError(f"the loss of every probe is not a number in epoch {epoch.number}; expected other features")
        if kept is None or loss <= kept[0]:
            kept = (loss, epoch.stack.state(place))
        rate = settings[epoch.running[place]][0] * epoch.share
        yield Epoch(epoch.number, float(epoch.losses[place]), rate, score, epoch.seconds, loss)
    if kept:
        model.load_state_dict(kept[1])
    given.eval()
    return tuple(best[one] for one in sorted(best))


def probe_epochs(
    model: Model,
    recipe: Recipe,
    settings: Sequence[tuple[float, float]],
    train: Bank,
    *,
    val: Bank | None,
    device: torch.device,
    tell: Tell = tell_nobody,
) -> Iterator[ProbeEpoch]:
    """Train copies of a model on the same batches, each with its learning rate and weight decay; yield each epoch."""
    rates, decays = torch.tensor(settings, device=device).T  # (P,), (P,)
    stack = _stack_of(model, decays)
    how: dict[str, Any] = {"smoothing": recipe.label_smoothing, "precision": recipe.precision}
    generator = torch.Generator().manual_seed(recipe.seed)
    examples = num_examples(train, recipe)
    epochs = recipe.epochs_of(examples)
    shares = STOPS_OF_A_QUERY if isinstance(stack, AttentiveStack) else STOPS
    stops = {math.ceil(epochs / part): share for part, share in shares.items()}
    total, taken = epochs * math.ceil(examples / recipe.batch_size), 0
    running, lowest = list(range(len(settings))), [math.inf] * len(settings)
    for number in range(1, epochs + 1):
        started, sums = time.perf_counter(), torch.zeros(len(running), device=device)
        stack.training = True
        dropout_seed = int(torch.randint(2**31, (), generator=generator))
        with drawn_from(dropout_seed, device=device):
            batches = draw_sequences(train, recipe.views, sampler=recipe.sampler, generator=generator)
            parts = batches.to(train.device).split(recipe.batch_size)
            for rows in parts:
                x, mask, labels = take_batch(train, rows, recipe, generator=generator, device=device)
                lr = rates[running] * warmup_cosine(taken, total=total, warmup=recipe.warmup)
                sums += stack.step(x, mask, labels, lr=lr, **how)
                taken += 1
                tell(taken, total)
        judged = _judge(stack, val, device=device) if val else []
        share = warmup_cosine(taken, total=total, warmup=recipe.warmup)
        yield ProbeEpoch(number, running, sums / len(parts), share, judged, time.perf_counter() - started, stack)
        if not judged:
            continue
        for one, (_, loss) in zip(running, judged, strict=True):
            lowest[one] = min(lowest[one], loss)
        if recipe.halving and number < epochs and number in stops:
            staying = _best_part([lowest[one] for one in running], stops[number])
            stack.keep(staying)
            running = [running[place] for place in staying]


def best_probe(probes: Sequence[Probe]) -> Probe:
    """Return the probe of the lowest validation loss: of equals the one of the latest epoch, then the first."""
    return min(probes, key=lambda one: (one.val_loss, -one.epoch))


def require_probes(recipe: Recipe, model: Model) -> None:
    """Refuse a recipe whose steps are more than the cross-entropy of a model that learns by steps: DataError."""
    other = {
        f"the loss {recipe.loss!r}": recipe.loss != "ce",
        "logit_adjustment": bool(recipe.logit_adjustment),
        "mixup": bool(recipe.mixup),
        "average": bool(recipe.average),
        f"the classifier {recipe.classifier!r}": isinstance(model.classifier, Fitted | BoundsScale),
        f"the head {recipe.head!r}": any(isinstance(part, nn.RNNBase) for part in model.modules()),  # vmap has no rule
        f"steps = {recipe.steps!r}": recipe.steps == "whitened",
        "no epoch": not recipe.epochs,
    }
    found = next((what for what, is_so in other.items() if is_so), "")
    if found:
        raise DataError(
            f"probes is {recipe.probes}, and the recipe has {found}; expected the loss ce alone, a classifier that "
            "learns by steps without a bound, such as linear, and no recurrent head"
        )


def require_alone(recipe: Recipe, ranks: Ranks | None, keeping: Keeping | None) -> None:
    """Refuse to train probes in several processes, or where the state of another training is to be resumed: DataError.

    A DataWarning says so if a training is to be resumed: that of probes keeps no state.
    """
    if ranks and ranks.world > 1:
        raise DataError(f"probes is {recipe.probes}, and several processes train; expected one process")
    if keeping and keeping.resumes:
        keeping.found()
        warn(f"probes is {recipe.probes}: such a training keeps no state, so that it starts from the beginning")


def _stack_of(model: Model, decays: Tensor) -> Stack | LinearStack:
    """Return copies of a model, one for each weight decay (P,), in the form that shares most of the sums."""
    if is_linear(model):
        return LinearStack(model, weight_decays=decays)
    return (AttentiveStack if reads_shared(model) else Stack)(model, weight_decays=decays)


def _best_part(losses: Sequence[float], share: int) -> list[int]:
    """Return the places of the lowest of losses, one in `share` and one at least, in their order."""
    order = sorted(range(len(losses)), key=losses.__getitem__)
    return sorted(order[: math.ceil(len(order) / share)])


@torch.no_grad()
def _judge(stack: Stack | LinearStack, bank: Bank, *, device: torch.device) -> list[tuple[float, float]]:
    """Return the score and the loss of each probe on a bank."""
    stack.training = False
    batches = zip(bank.x.split(AT_ONCE), bank.mask.split(AT_ONCE), strict=True)
    logits = torch.cat([stack.logits(x.to(device), mask.to(device)).cpu() for x, mask in batches], dim=1)
    target = bank.target.cpu()
    logits = mean_over_groups(logits.flatten(0, 1), bank.num_groups).unflatten(0, (-1, len(bank)))  # (P, V, C)
    scores = (best_class(logits) == target).float().mean(1)
    losses = losses_of(logits, target).nan_to_num(nan=WORST, posinf=WORST)
    return list(zip(scores.tolist(), losses.tolist(), strict=True))
