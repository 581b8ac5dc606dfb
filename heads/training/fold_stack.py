"""Fold stack: classifiers that learn from banks of their own, such as folds, in the same steps."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from framebank.heads.bank import Bank
from framebank.heads.model import Model
from framebank.heads.training.batches import num_examples
from framebank.heads.training.loop import LossError
from framebank.heads.training.optimizer import warmup_cosine
from framebank.heads.training.pooled_stack import PooledStack, pooled_stack
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.row_sets import RowSets
from framebank.heads.training.steps_choice import WHITENED


def fit_folds(model: Model, recipe: Recipe, banks: Sequence[Bank], *, device: torch.device) -> list[dict[str, Tensor]]:
    """Return the weights by name that `model` learns from each bank, by a recipe that has `shared_steps`.

    They are those of a training alone, but for rounding: all start with the weights of the model and the seed of the
    recipe. Banks of as many steps are trained as one stack. LossError if a loss is no longer a finite number.
    """
    alike: dict[int, list[int]] = {}  # the places of banks by the steps of an epoch
    for place, bank in enumerate(banks):
        alike.setdefault(math.ceil(num_examples(bank, recipe) / recipe.batch_size), []).append(place)
    found: dict[int, dict[str, Tensor]] = {}
    for places in alike.values():
        *_, stack = stack_epochs(model, recipe, [banks[place] for place in places], device=device)
        found |= {place: stack.named(stack.weights[number, 0]) for number, place in enumerate(places)}
    return [found[place] for place in range(len(banks))]


def stack_epochs(model: Model, recipe: Recipe, banks: Sequence[Bank], *, device: torch.device) -> Iterator[PooledStack]:
    """Train a copy of a model on each of some banks of as many steps, and yield the copies after each epoch."""
    train = RowSets(banks, model, device=device)
    rate, decay = (torch.tensor([value], device=device) for value in (recipe.lr, recipe.weight_decay))
    whitener = train.whiteners() if recipe.steps == WHITENED else None
    stack = pooled_stack(model, weight_decays=decay, sets=len(banks), whitener=whitener)
    generators = [torch.Generator().manual_seed(recipe.seed) for _ in banks]
    examples, taken = num_examples(banks[0], recipe), 0
    epochs = recipe.epochs_of(examples)
    total = epochs * math.ceil(examples / recipe.batch_size)
    for number in range(1, epochs + 1):
        losses = torch.zeros(len(banks), 1, device=device)
        for batch in train.draw(recipe, generators):
            lr = rate * warmup_cosine(taken, total=total, warmup=recipe.warmup)
            losses += stack.step_sets(batch, lr=lr, smoothing=recipe.label_smoothing)
            taken += 1
        if not losses.isfinite().all():
            raise LossError.of(float(losses.sum()), number, lr=recipe.lr)
        yield stack
