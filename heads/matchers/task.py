"""EpisodeBatch: the episodes of a training step, their true classes, and the loss that every matcher shares."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from torch import Tensor

from framebank.heads.matchers.prepared import Prepared


@dataclass(frozen=True)
class Truth:
    """target (E, Q), which of an episode's N classes a query is; classes (E, N), which of the C trained ones those are.

    class_text (C, D) are the texts of all C, or None.
    """

    target: Tensor
    classes: Tensor
    class_text: Tensor | None = None

    @property
    def query_classes(self) -> Tensor:
        """The place of each query's class among the C classes, (E, Q)."""
        return self.classes.gather(1, self.target)


@dataclass(frozen=True)
class EpisodeBatch:
    """E episodes in the form that a matcher takes (see framebank.heads.matchers), and their true classes."""

    query: Tensor
    support: Tensor
    text: Tensor | None
    query_mask: Tensor
    support_mask: Tensor
    truth: Truth

    @property
    def given(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
        """The arguments of a matcher."""
        return self.query, self.support, self.text, self.query_mask, self.support_mask

    def prepared(self, prepare: Callable[[Tensor, Tensor], Prepared]) -> tuple[Prepared, Prepared]:
        """What a matcher that prepares videos makes of the queries and of the supports."""
        return prepare(self.query, self.query_mask), prepare(self.support, self.support_mask)


@runtime_checkable
class HasLosses(Protocol):
    """A matcher whose training adds something to the loss of its scores."""

    @abstractmethod
    def losses(self, task: EpisodeBatch) -> dict[str, Tensor]:
        """Return the weighted parts of the loss by name. Training minimises their sum."""
        ...


def match_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of scores (E, Q, N) against target (E, Q)."""
    return F.cross_entropy(scores.flatten(0, 1), target.flatten())
