"""Bce: every class judged by itself, for videos of several labels."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.step import Step
from framebank.store.errors import DataError


class Bce(nn.Module):
    """Binary cross-entropy of each class, averaged over the videos and the classes.

    Label smoothing moves both targets, 1 and 0, towards one half. A text classifier that averages the probabilities of
    templates gives the logarithm of a softmax, which says nothing of a class by itself: with bce its scoring must be
    "embeddings". DataError at the first step otherwise.
    """

    reads_texts = False
    reads_labels = True
    multi_label = True

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        num_templates = len(getattr(step.model.classifier, "embeddings", [None]))
        if num_templates > 1:
            raise DataError(
                f'the loss bce judges each class by itself, and scoring = "probabilities" shares one among all of them '
                f'in each of {num_templates} templates; expected scoring = "embeddings"'
            )
        target = step.labels.lerp(step.labels.new_tensor(0.5), self.label_smoothing)  # (B, C)
        return F.binary_cross_entropy_with_logits(step.logits, target)
