"""WeightedCe: cross-entropy in which every class counts the same, whatever its number of videos."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step


class WeightedCe(nn.Module):
    """Cross-entropy, each class weighted by 1 / (number of classes * its frequency among the training videos).

    So weighted, a video counts 1 on average, and a class as much as any other; one without videos counts nothing.
    """

    traits = LossTraits(reads_labels=True, multi_label=False, reads_shares=True, smooths_labels=True, reads_logits=True)

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        occurs = step.frequency > 0  # (C,)
        weights = (1 / (occurs.sum() * step.frequency)).where(occurs, 0)
        return F.cross_entropy(step.logits, step.shares, weights, label_smoothing=self.label_smoothing)
