"""Contrastive: each video of a batch against the texts of the other classes in it, and each text against the videos."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step


def contrastive(logits: Tensor, labels: Tensor) -> Tensor:
    """InfoNCE (van den Oord et al. 2018, arXiv 1807.03748), both ways as in CLIP (arXiv 2103.00020), aware of classes.

    logits (B, B): row i is video i against the text of every video of the batch, scaled; labels (B,). For every pair
    (i, k) of one class the loss is -log of exp(s_ik) over itself and the pairs of row i with other classes; averaged
    over the pairs of a row, over rows, and over both ways. CLIP knows one positive, i = k: a second video of the class
    would be its negative. Here two of one class never push each other away; a batch of one class has loss 0.
    """
    same = labels[:, None] == labels[None, :]  # (B, B)
    return (_one_way(logits, same) + _one_way(logits.T, same)) / 2


def _one_way(logits: Tensor, same: Tensor) -> Tensor:
    lowest = torch.finfo(logits.dtype).min  # not -inf: then a row without negatives has the gradient 0
    others = logits.masked_fill(same, lowest).logsumexp(1, keepdim=True)  # (B, 1)
    losses = F.softplus(others - logits).masked_fill(~same, 0)  # (B, B)
    return (losses.sum(1) / same.sum(1)).mean()


class Contrastive(nn.Module):
    """InfoNCE over one text of its class for each video, drawn anew at each step."""

    traits = LossTraits(reads_texts=True, reads_labels=True, multi_label=False)

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        return contrastive(step.paired, step.target)
