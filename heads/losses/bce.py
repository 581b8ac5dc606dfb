"""Bce: judge every class separately, for videos with several labels."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step


class Bce(nn.Module):
    """Binary cross-entropy of each class, averaged over the videos and the classes.

    Label smoothing moves both targets, 1 and 0, towards one half. A text classifier learns the cosine from which on a
    label is likely.
    """

    traits = LossTraits(reads_labels=True, multi_label=True, reads_shares=True, smooths_labels=True, reads_logits=True)

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        target = step.shares.lerp(step.shares.new_tensor(0.5), self.label_smoothing)  # (B, C)
        return F.binary_cross_entropy_with_logits(step.logits, target)
