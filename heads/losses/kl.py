"""SymmetricKl: videos and texts of a batch against each other, as distributions."""

from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step

TARGET_SHARPNESS = 10.0  # ActionCLIP's factor before the softmax of the targets


def symmetric_kl(logits: Tensor, labels: Tensor) -> Tensor:
    """ActionCLIP's loss (Wang et al. 2021, arXiv 2109.08472) over a batch of videos and their texts.

    logits (B, B): row i is video i against the text of every video of the batch, scaled; labels (B,): videos of one
    class are each other's positives. The Kullback-Leibler divergence from softmax(10 * same class), summed over a row
    and averaged over rows, is taken both ways and averaged.
    """
    same = (labels[:, None] == labels[None, :]).to(logits.dtype)  # (B, B)
    target = (TARGET_SHARPNESS * same).softmax(1)
    by_video = nn.functional.kl_div(logits.log_softmax(1), target, reduction="batchmean")
    by_text = nn.functional.kl_div(logits.T.log_softmax(1), target, reduction="batchmean")
    return (by_video + by_text) / 2


class SymmetricKl(nn.Module):
    """ActionCLIP's loss, over one text of its class for each video, drawn anew at each step."""

    traits = LossTraits(reads_texts=True, reads_labels=True, multi_label=False)

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        return symmetric_kl(step.paired, step.target)
