"""Truth: what a training episode knows besides its frames, and the loss that every matcher shares."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from torch import Tensor


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
        """Which of the C classes each query is, (E, Q)."""
        return self.classes.gather(1, self.target)


@runtime_checkable
class HasLosses(Protocol):
    """A matcher whose training adds something to the loss of its scores."""

    def losses(
        self,
        query: Tensor,
        support: Tensor,
        text: Tensor | None,
        query_mask: Tensor,
        support_mask: Tensor,
        truth: Truth,
    ) -> dict[str, Tensor]:
        """Return the parts of the loss by name, each weighted: their sum is what is minimised."""
        ...


def match_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of scores (E, Q, N) against target (E, Q)."""
    return F.cross_entropy(scores.flatten(0, 1), target.flatten())
