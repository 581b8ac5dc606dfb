"""Residual: a learned offset for each class embedding."""

from typing import final

import torch
from torch import Tensor, nn

from framebank.heads.texts.text import KeepsClasses, TextTraits
from framebank.store.counts import counted


@final
class Residual(nn.Module, KeepsClasses):
    """TaskRes (Yu et al. 2022, arXiv 2211.10277): text + alpha * a learned vector of its class, which starts at zero.

    Untrained it changes nothing. All texts of a class, its templates and descriptions, are moved by the same vector.
    The paper's alpha is 0.5 for most data sets; its "enhanced base", class embeddings tuned beforehand, is left out.
    """

    traits = TextTraits()

    def __init__(self, dim: int, num_classes: int, *, alpha: float = 0.5) -> None:
        super().__init__()
        self.alpha = alpha
        self.offsets = nn.Parameter(torch.zeros(num_classes, dim))

    @property
    def keeps_classes(self) -> bool:
        """Whether it is bound to its classes: it has an offset for each class."""
        return True

    def require_classes(self, num_classes: int) -> None:
        """Raise ValueError for another number of classes. With the same number, other classes cannot be detected."""
        if num_classes != len(self.offsets):
            raise ValueError(
                f"the offsets of the texts were learned for {counted(len(self.offsets), 'class', 'classes')} and "
                f"cannot serve {num_classes}"
            )

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """Return text embeddings (..., D) of classes (...) with their classes' offsets added."""
        return embeddings + self.alpha * self.offsets[classes]
