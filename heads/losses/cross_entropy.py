"""CrossEntropy: the softmax over all classes against the labels."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step


class CrossEntropy(nn.Module):
    """Cross-entropy over all classes, with label smoothing; a mixed video is of several classes at once."""

    traits = LossTraits(reads_labels=True, multi_label=False, reads_shares=True, smooths_labels=True, reads_logits=True)

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        return F.cross_entropy(step.logits, step.labels, label_smoothing=self.label_smoothing)
