"""StepsContest: whitened steps beside those of AdamW in one training, and the choice between them."""

import copy
import math
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.bank import Bank
from framebank.heads.metrics import score_targets
from framebank.heads.model import Model
from framebank.heads.predictions import predict_logits
from framebank.heads.training.batches import num_examples
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.steps_choice import NO_VAL, WHITENED, StepsChoice, first_part, log_rows
from framebank.heads.training.whitened_steps import NEEDED, WhitenedSteps, can_be_whitened


class StepsContest(nn.Module):
    """A training by whitened steps on the batches of another one, by AdamW, which it replaces if it is clearly better.

    It ends after the `first_part` of the epochs if it is not clearly better by then. `groups` (V,) are the sources of
    the validation videos. Its buffers are what it needs to go on. A row of `log`, (epochs, 3), is the loss, the score
    and the loss on the validation videos.
    """

    log: Tensor
    runs: Tensor  # a bool, on the CPU
    losses: Tensor  # (2, V), of AdamW and of the whitened steps, by which it ended
    best: Tensor  # (1, 1, C, W), the weights of the best epoch so far

    def __init__(
        self, model: Model, recipe: Recipe, train: Bank, *, val: Bank, groups: np.ndarray, device: torch.device
    ) -> None:
        super().__init__()
        self.whitened = WhitenedSteps(model, recipe, train, device=device)
        self._val, self._groups, self._device = val, groups, device
        self._sums: list[Tensor] = []
        epochs = recipe.epochs_of(num_examples(train, recipe))
        self.register_buffer("log", torch.full((epochs, 3), math.inf, dtype=torch.float64))
        self.register_buffer("runs", torch.ones((), dtype=torch.bool))
        self.register_buffer("losses", torch.full((2, len(val)), math.nan))
        self.register_buffer("best", self.whitened.weights.clone())

    def step(self, x: Tensor, mask: Tensor, labels: Tensor, *, lr: float) -> None:
        """Make one step on videos x (B, 1, D) with labels (B,), unless it has ended."""
        if self.runs:
            self._sums.append(self.whitened.step(x, mask, labels, lr=lr))

    def judge(self, model: Model, number: int) -> None:
        """Judge the weights after an epoch. `model` has those of AdamW."""
        if not self.runs:
            return
        logits, target = self.whitened.logits(self._val, device=self._device), self._val.target.cpu()
        loss = float(F.cross_entropy(logits, target))
        if loss <= float(self.log[:, 2].min()):
            self.best.copy_(self.whitened.weights)
        self.log[number - 1] = torch.tensor(
            [float(torch.stack(self._sums).mean()), score_targets(logits, target), loss]
        )
        self._sums.clear()
        if number == first_part(len(self.log)):
            self.losses.copy_(torch.stack([self._losses(model), F.cross_entropy(logits, target, reduction="none")]))
            self.runs.fill_(self._choice().chosen == WHITENED)

    def decide(self, model: Model) -> StepsChoice:
        """Return the choice. A model with AdamW's best weights gets the whitened ones if these are clearly better."""
        if not self.runs:
            return self._choice(early=len(self.log))
        other = copy.deepcopy(model)
        self.whitened.fill(other, self.best)
        self.losses.copy_(torch.stack([self._losses(model), self._losses(other)]))
        choice = self._choice()
        if choice.chosen != WHITENED:
            return choice
        self.whitened.fill(model, self.best)
        return replace(choice, log=log_rows(self.log))

    def _choice(self, *, early: int = 0) -> StepsChoice:
        return StepsChoice.of(self.losses[0], self.losses[1], self._groups, early=early)

    def _losses(self, model: Model) -> Tensor:
        """Return the cross-entropy of each validation video, (V,), in nats."""
        was_training = model.training
        logits = predict_logits(model.eval(), self._val, device=self._device)
        model.train(was_training)
        return F.cross_entropy(logits, self._val.target.cpu(), reduction="none")


def contest_of(
    model: Model, recipe: Recipe, train: Bank, *, val: Bank | None, groups: np.ndarray | None, device: torch.device
) -> tuple[StepsContest | None, str]:
    """Return the contest of a training of pooled videos, or None and the reason why AdamW's steps are the only ones."""
    if not can_be_whitened(model, recipe):
        return None, f"others need {NEEDED}"
    if val is None:
        return None, NO_VAL
    sources = np.arange(len(val)) if groups is None else groups
    return StepsContest(model, recipe, train, val=val, groups=sources, device=device), ""
