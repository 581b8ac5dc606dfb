"""SoftKl: the softmax over all classes against several labels that share one."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step


class SoftKl(nn.Module):
    """KL(labels / number of labels || softmax(logits)), averaged over the videos, for videos of several labels.

    ActionCLIP (Wang et al. 2021, arXiv 2109.08472) trains on Charades with its KL loss; how it shares the target among
    labels was not read, so this is our reading: equal shares of all classes, and not only those of the batch (as
    Mahajan et al. 2018, arXiv 1805.00932, do with hashtags). What is learned ranks; unlike bce's, the sigmoid of these
    logits is not the probability of a label. Label smoothing shares a part among all classes.
    """

    traits = LossTraits(reads_labels=True, multi_label=True, reads_shares=True, smooths_labels=True, reads_logits=True)

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        shares = step.shares / step.shares.sum(1, keepdim=True)  # (B, C)
        target = shares.lerp(shares.new_tensor(1 / shares.shape[1]), self.label_smoothing)
        return F.kl_div(step.logits.log_softmax(1), target, reduction="batchmean")
