"""The type of losses: how to call their class, and what it states about itself."""

from dataclasses import dataclass
from typing import Protocol

from torch import nn


@dataclass(frozen=True)
class LossTraits:
    """What a loss states about itself before it is built.

    reads_texts     it needs the texts of the classes, and a classifier that scores with them
    reads_labels    it learns the classes, rather than holds back another loss that does
    multi_label     videos may have several labels, or must not, or, with None, it is all the same
    reads_shares    it learns how much of a video each class is, which `mixup` makes a part
    smooths_labels  it reads a recipe's `label_smoothing`
    reads_logits    it reads the logits, which `logit_adjustment` moves
    """

    reads_texts: bool = False
    reads_labels: bool = False
    multi_label: bool | None = None
    reads_shares: bool = False
    smooths_labels: bool = False
    reads_logits: bool = False


class LossClass(Protocol):
    """A class of LOSSES; its module maps a `Step` to one number."""

    @property
    def traits(self) -> LossTraits:
        """What the loss states about itself."""
        ...

    def __call__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> nn.Module:
        """Build the loss of C classes for the output of a head, (B, D)."""
        ...
