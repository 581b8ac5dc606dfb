"""WhitenedSteps: a copy of a linear classifier that learns by whitened steps."""

import torch
from torch import Tensor, nn

from framebank.heads.bank import Bank
from framebank.heads.model import Model
from framebank.heads.predictions import mean_over_groups
from framebank.heads.training.linear_stack import LinearStack, is_linear
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.whitener import whitener_of
from framebank.store.errors import DataError

NEEDED = "a head that learns nothing, such as mean, the classifier linear, and the cross-entropy alone"


class WhitenedSteps(nn.Module):
    """A copy of a linear classifier of pooled videos that learns by whitened steps (`whitener_of`).

    Its buffers are what such a training needs to go on, with the number of steps that were `taken`.
    """

    weights: Tensor  # (1, 1, C, W)

    def __init__(self, model: Model, recipe: Recipe, train: Bank, *, device: torch.device) -> None:
        super().__init__()
        self._smoothing = recipe.label_smoothing
        whitener = whitener_of(train.x.squeeze(1), device=device)
        decay = torch.tensor([recipe.weight_decay], device=device)
        self._stack = LinearStack(model, weight_decays=decay, whitener=whitener[None])
        for name, value in self._stack.adamw.moving().items():  # the same memory
            self.register_buffer(name, value)

    def step(self, x: Tensor, mask: Tensor, labels: Tensor, *, lr: float) -> Tensor:
        """Make one step on videos x (B, 1, D) with labels (B,), and return the loss before it."""
        rates = torch.tensor([lr], device=x.device)
        return self._stack.step(x, mask, labels, lr=rates, smoothing=self._smoothing, precision="fp32")[0]

    def go_on(self, taken: int) -> None:
        """Go on after so many steps."""
        self._stack.adamw.taken = taken

    def logits(self, bank: Bank, *, device: torch.device) -> Tensor:
        """Score a pooled bank -> (V, C)."""
        return mean_over_groups(self._stack.logits(bank.x.to(device), bank.mask.to(device))[0].cpu(), bank.num_groups)

    def fill(self, model: Model, weights: Tensor | None = None) -> None:
        """Give a model its weights, or those that it had before, (1, 1, C, W)."""
        model.load_state_dict(self._stack.named((self.weights if weights is None else weights)[0, 0]))


def whitened_steps(model: Model, recipe: Recipe, train: Bank, *, device: torch.device) -> WhitenedSteps:
    """Return what learns by whitened steps. DataError if the recipe makes more than they can."""
    if not can_be_whitened(model, recipe):
        raise DataError(f"steps = {recipe.steps!r} was asked for; expected {NEEDED}")
    return WhitenedSteps(model, recipe, train, device=device)


def can_be_whitened(model: Model, recipe: Recipe) -> bool:
    """Return whether the steps of a training may be whitened: `model` is what `pool_once` made of it, if it could."""
    more = recipe.logit_adjustment or recipe.average or recipe.probes or recipe.mixup
    return is_linear(model) and recipe.loss == "ce" and not more
