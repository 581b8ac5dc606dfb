"""Froster: a small residual keeps the output of the head near that of the frozen encoder."""

import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step

SHARE = 0.1  # of the residual, FROSTER's alpha
WEIGHT = 2.0  # FROSTER's weight of the loss


class Froster(nn.Module):
    """FROSTER's residual feature distillation (Huang et al. 2024, arXiv 2402.03241).

    The loss is 2 (1 - cos(z', mean of the frames)), with z' = z + 0.1 proj(z) for the unit pooled embedding z. The
    residual takes up what z learned for the task, so that z' can stay near the frozen encoder. As published, proj is
    two linear layers without biases and a GELU between them, and the second is zero at first. If class embeddings are
    learned, the same loss is added for them, with a separate projection, against the embeddings of the text tower.
    FROSTER distils each frame of a trained encoder; here the frames are frozen, so only the pooled video can drift, and
    it is held.
    """

    traits = LossTraits()

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.video, self.text = _projection(dim), _projection(dim)

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        loss = _distance(step.pooled, step.mean, self.video)
        classifier = step.model.classifier
        if isinstance(classifier, TextClassifier) and any(each.requires_grad for each in classifier.text.parameters()):
            loss = loss + _distance(classifier.class_embeddings(), classifier.embeddings, self.text)
        return WEIGHT * loss


def _distance(learned: Tensor, frozen: Tensor, projection: nn.Module) -> Tensor:
    """Return 1 - cosine of learned and frozen (..., D), averaged."""
    unit = F.normalize(learned, dim=-1)
    return 1 - F.cosine_similarity(unit + SHARE * projection(unit), frozen.detach(), dim=-1).mean()


def _projection(dim: int) -> nn.Module:
    first, second = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
    nn.init.kaiming_normal_(first.weight)
    nn.init.zeros_(second.weight)
    return nn.Sequential(first, nn.GELU(), second)
