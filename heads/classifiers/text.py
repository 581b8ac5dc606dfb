"""TextClassifier: the cosine to the class embeddings, times the logit scale."""

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import BoundsScale, ClassifierTraits, ServesTexts
from framebank.heads.logit_scale import MAX_LOGIT_SCALE
from framebank.heads.texts.fixed import Fixed
from framebank.heads.texts.text import LearnedText


@final
class TextClassifier(nn.Module, ServesTexts, BoundsScale):
    """CLIP's zero-shot classifier (Radford et al. 2021, arXiv 2103.00020), whose classes are their texts.

    The probabilities over P templates' class embeddings (P, C, D) are averaged (ActionCLIP's test, arXiv 2109.08472),
    and the logits are the logarithm of the mean. `text`, one of framebank.heads.TEXTS, says what is learned about the
    class embeddings; nothing by default. The logit scale is learned unless `learn_scale` is false, and starts at the
    encoder's scale, or at `scale`. A learned `threshold`, which starts at the given value, is subtracted from each
    cosine first, so that the sigmoid of a score is the probability of that label. The softmax is the same with and
    without it.
    """

    traits = ClassifierTraits(reads_texts=True)
    embeddings: Tensor
    text: LearnedText

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts,
        *,
        text: LearnedText | None = None,
        learn_scale: bool = True,
        scale: float = 0.0,
        threshold: float = 0.0,
    ) -> None:
        super().__init__()
        self.register_buffer("embeddings", texts.matrix)
        self.text = text or Fixed(dim, num_classes)
        start = torch.tensor(math.log(scale or texts.logit_scale))
        self.log_scale = nn.Parameter(start, requires_grad=learn_scale)
        self.threshold = nn.Parameter(torch.tensor(threshold)) if threshold else None

    @property
    def logit_scale(self) -> Tensor:
        """The factor of a cosine."""
        return self.log_scale.exp()

    @torch.no_grad()
    def bound_scale(self) -> None:
        """Bring the scale back to CLIP's bound of 100 if a training step took it above.

        A clamp in the forward pass would have no gradient there, and CLIP's scale starts at the bound.
        """
        self.log_scale.clamp_(max=math.log(MAX_LOGIT_SCALE))

    def set_texts(self, texts: ClassTexts) -> None:
        """Score other classes, or the same by other texts. ValueError if what was learned is bound to its own."""
        self.text.require_classes(len(texts))
        self.embeddings = texts.matrix.to(self.embeddings.device)

    def class_embeddings(self) -> Tensor:
        """Return the embeddings to score with, unit, (P, C, D)."""
        classes = torch.arange(self.embeddings.shape[1], device=self.embeddings.device)
        return F.normalize(self.text(self.embeddings, classes), dim=-1)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        unit = F.normalize(embeddings, dim=-1)
        cosines = torch.einsum("bd,pcd->pbc", unit, self.class_embeddings())  # (P, B, C)
        if self.threshold is not None:
            return self.logit_scale * (cosines - self.threshold).mean(0)  # (B, C)
        logits = self.logit_scale * cosines
        if len(logits) == 1:
            return logits[0]
        return logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))  # (B, C)
