"""SetStack: a pooled stack in training, with the best epoch of each copy, and the contest between two of them."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from framebank.heads.training.pooled_stack import PooledStack
from framebank.heads.training.row_sets import RowSets
from framebank.heads.training.set_batch import SetBatch
from framebank.heads.training.steps_choice import WHITENED, StepsChoice, first_part, log_rows


class SetStack:
    """S sets of P copies of a classifier in training, and what each copy had in its best epoch.

    `losses` (S, P, V) are those of the validation videos after the last epoch, and `best_losses` after the best one, 0
    at the end of a set of fewer videos. `told` has for each epoch (S, P, 3): loss, score and loss on those videos.
    """

    def __init__(self, stack: PooledStack) -> None:
        self.best = stack.weights  # (S, P, C, W); without validation videos the last ones
        self.told: list[Tensor] = []
        self.losses = self.best_losses = torch.zeros(0)
        self._stack = stack
        self._lowest = torch.full_like(self.best[..., 0, 0], math.inf)  # (S, P)
        self._failed = torch.zeros_like(self._lowest, dtype=torch.bool)
        self._sums: list[Tensor] = []

    def step(self, batch: SetBatch, *, lr: Tensor, smoothing: float) -> None:
        """Make one step, lr (P,)."""
        self._sums.append(self._stack.step_sets(batch, lr=lr, smoothing=smoothing))

    def judge(self, held: RowSets | None, rows: Tensor | None) -> None:
        """End an epoch, and judge it by the rows (S, R, W) of the validation videos, if there are any."""
        loss = torch.stack(self._sums).sum(0) / len(self._sums)
        self._sums.clear()
        self._failed |= ~loss.isfinite()
        score = val_loss = torch.full_like(loss, math.nan)
        if held and rows is not None:
            score, val_loss, self.losses = held.judge(self._stack.scores(rows))
            better = val_loss <= self._lowest
            self._lowest = val_loss.where(better, self._lowest)
            self.best = self._stack.weights.where(better[..., None, None], self.best)
            first = self.losses if not len(self.told) else self.best_losses
            self.best_losses = self.losses.where(better[..., None], first)
        self.told.append(torch.stack([loss, score, val_loss], dim=-1))

    def log_of(self, place: int, at: int) -> tuple[tuple[float, float, float], ...]:
        """Return the loss, the score and the validation loss of each epoch of one copy."""
        return log_rows(torch.stack(self.told)[:, place, at])

    def named(self, weights: Tensor) -> dict[str, Tensor]:
        """Return a copy of the weights of one copy, (C, W), by name."""
        return self._stack.named(weights)

    @property
    def failed(self) -> Tensor:
        """Which copies had a loss that is no longer a number, in training or in each judgement: (S, P)."""
        unjudged = self._lowest.isinf() if len(self.losses) else torch.zeros_like(self._failed)
        return self._failed | unjudged


class SetContest:
    """A training by whitened steps of S sets of P copies, on the batches of another, and the choice for each copy.

    It ends after the `first_part` of the epochs if none of its copies is clearly better by then. `sources` are the
    numbers of the sources of the validation videos of each set, (V,).
    """

    def __init__(self, own: SetStack, other: SetStack, *, sources: Sequence[np.ndarray], epochs: int) -> None:
        self.whitened = other
        self._own, self._sources, self._epochs = own, sources, epochs
        self._early: list[list[StepsChoice]] = []

    @property
    def runs(self) -> bool:
        """Whether a copy may still be chosen."""
        return not self._early or any(one.chosen == WHITENED for each in self._early for one in each)

    def judge(self, number: int, held: RowSets, rows: Tensor) -> None:
        """Judge the whitened steps after an epoch, by the rows (S, R, W) of the validation videos."""
        if not self.runs:
            return
        self.whitened.judge(held, rows)
        if number == first_part(self._epochs):
            self._early = self._choices(self._own.losses, self.whitened.losses, early=self._epochs)

    def choices(self) -> list[list[StepsChoice]]:
        """Return the choice for each copy of each set."""
        if not self.runs:
            return self._early
        last = self._choices(self._own.best_losses, self.whitened.best_losses)
        return [
            [end if early.chosen == WHITENED else early for early, end in zip(*of_set, strict=True)]
            for of_set in zip(self._early, last, strict=True)
        ]

    def _choices(self, own: Tensor, whitened: Tensor, *, early: int = 0) -> list[list[StepsChoice]]:
        choices = []
        for groups, first, second in zip(self._sources, own, whitened, strict=True):
            pairs = zip(first[:, : len(groups)], second[:, : len(groups)], strict=True)
            choices.append([StepsChoice.of(mine, theirs, groups, early=early) for mine, theirs in pairs])
        return choices
