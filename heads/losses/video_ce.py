"""VideoCe: a linear classifier that exists in training only."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.classifiers.linear import LinearClassifier
from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step


class VideoCe(nn.Module):
    """M2-CLIP's visual classification (Wang et al. 2024, arXiv 2401.11649): cross-entropy of a learned linear layer.

    It teaches the head to tell the classes apart by video alone, beside the texts, and is thrown away afterwards. The
    published layer reads the tokens before the tower's projection, with a dropout of a half, which adapters inside the
    tower learn from; here it is what the head gives, at a root mean square of one, from weights of zero.
    """

    traits = LossTraits(reads_labels=True, multi_label=False, reads_shares=True, smooths_labels=True)

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.classifier = LinearClassifier(dim, num_classes)
        self.label_smoothing = label_smoothing

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        return F.cross_entropy(self.classifier(step.pooled), step.labels, label_smoothing=self.label_smoothing)
