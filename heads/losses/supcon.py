"""SupCon: videos of one class draw together, those of other classes apart."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step

TEMPERATURE = 0.1


def supervised_contrastive(embeddings: Tensor, labels: Tensor) -> Tensor:
    """L_out of supervised contrastive learning (Khosla et al. 2020, arXiv 2004.11362), temperature 0.1.

    embeddings (B, D), made unit here; labels (B,). For each pair of one class, -log of its share among all pairs of the
    video; averaged over the pairs of a video, and over the videos that have one. As in the paper, positives stand in
    the denominator too: they compete with each other, but with equal shares as the aim. Without a pair the loss is 0.
    """
    unit = F.normalize(embeddings, dim=-1)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    scores = (unit @ unit.T / TEMPERATURE).masked_fill(itself, torch.finfo(unit.dtype).min)  # (B, B)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    shares = scores.log_softmax(1).masked_fill(~positive, 0)
    each = -shares.sum(1) / positive.sum(1).clamp(min=1)  # (B,)
    return each.sum() / positive.any(1).sum().clamp(min=1)


class SupCon(nn.Module):
    """The supervised contrastive loss on what the head gives; the paper's projection on top of it is left out."""

    traits = LossTraits(reads_labels=True, multi_label=False)

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        return supervised_contrastive(step.pooled, step.target)
