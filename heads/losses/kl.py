"""Losses: from logits and labels to one number."""

import torch.nn.functional as F
from torch import Tensor

TARGET_SHARPNESS = 10.0  # ActionCLIP's factor before the softmax of the targets


def symmetric_kl(logits: Tensor, labels: Tensor) -> Tensor:
    """ActionCLIP's loss (Wang et al. 2021, arXiv 2109.08472) over a batch of videos and their texts.

    logits (B, B): row i is video i against the text of every video of the batch, scaled; labels (B,): videos of one
    class are each other's positives. The Kullback-Leibler divergence from softmax(10 * same class), summed over a row
    and averaged over rows, is taken both ways and averaged.
    """
    same = (labels[:, None] == labels[None, :]).to(logits.dtype)  # (B, B)
    target = (TARGET_SHARPNESS * same).softmax(1)
    by_video = F.kl_div(logits.log_softmax(1), target, reduction="batchmean")
    by_text = F.kl_div(logits.T.log_softmax(1), target, reduction="batchmean")
    return (by_video + by_text) / 2


def cross_entropy(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of logits (B, C) over all classes against labels (B,)."""
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
