"""TextLinearClassifier: a row of weights for each class, which starts as the class's text."""

from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import BoundsScale, ClassifierTraits, ServesTexts
from framebank.heads.logit_scale import LogitScale


@final
class TextLinearClassifier(nn.Module, ServesTexts, BoundsScale):
    """Text4Vis's classifier (Wu et al. 2022, arXiv 2207.01297): linear weights that start as the class embeddings.

    The weights (C, D) are the mean of the templates' class embeddings, made unit; the input is made unit, and the
    logits are multiplied with a learned scale, which starts at the encoder's. The weights stay as they are, as in the
    paper, and then serve other classes too; with `learn_weights` they are trained, no longer held to be unit, and are
    bound to their classes. The paper trains the encoder under the frozen weights; here only a head can be.
    """

    traits = ClassifierTraits(reads_texts=True)

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts,
        *,
        learn_weights: bool = False,
        learn_scale: bool = True,
    ) -> None:
        super().__init__()
        self.learn_weights = learn_weights
        self.weight = nn.Parameter(F.normalize(texts.matrix.mean(0), dim=-1), requires_grad=learn_weights)
        self.scale = LogitScale(texts.logit_scale, learned=learn_scale)

    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's 100."""
        self.scale.bound()

    def set_texts(self, texts: ClassTexts) -> None:
        """Score other classes, or the same classes by other texts. ValueError if the weights were learned."""
        if self.learn_weights:
            raise ValueError("the weights of the classifier were learned for its own classes; expected the run's own")
        weight = F.normalize(texts.matrix.mean(0), dim=-1).to(self.weight.device)
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        scaled: Tensor = self.scale(F.linear(F.normalize(embeddings, dim=-1), self.weight))
        return scaled
