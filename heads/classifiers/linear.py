"""LinearClassifier: a learned row of weights for each class."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ClassifierTraits


class LinearClassifier(nn.Module):
    """A linear probe. Starts at zero: untrained, every class is as likely as the other.

    Its input is brought to a root mean square of one, so that one learning rate serves encoders of any scale.
    """

    traits = ClassifierTraits()

    def __init__(self, dim: int, num_classes: int, texts: ClassTexts | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, num_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        logits: Tensor = self.linear(F.rms_norm(embeddings, embeddings.shape[-1:]))
        return logits
