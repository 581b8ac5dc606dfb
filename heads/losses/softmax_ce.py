"""SoftmaxCe: cross-entropy that treats probabilities as logits."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step


class SoftmaxCe(nn.Module):
    """Cross-entropy of softmax(logits) as if those were the logits, as M2-CLIP's code (arXiv 2401.11649) has it.

    The second softmax keeps every class within a factor of e of any other: for C classes the loss falls no lower than
    log(1 + (C - 1) / e), and it pulls less where the first softmax is sure.
    """

    traits = LossTraits(reads_labels=True, multi_label=False, reads_shares=True, smooths_labels=True, reads_logits=True)

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        return F.cross_entropy(step.logits.softmax(-1), step.labels, label_smoothing=self.label_smoothing)
