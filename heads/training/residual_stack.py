"""ResidualStack: copies of one text classifier that learn a vector for each text, as a matrix for each set of them."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.logit_scale import MAX_LOGIT_SCALE
from framebank.heads.model import Model
from framebank.heads.texts.residual import Residual
from framebank.heads.training.set_adamw import SetAdamW
from framebank.heads.training.set_batch import SetBatch, scores_of

OFFSETS, SCALE = "classifier.text.offsets", "classifier.log_scale"


class ResidualStack:
    """S sets of P copies of a text classifier of pooled videos with the text `Residual`, which start with its weights.

    Each class has one embedding, and rows are unit. The weights of a copy are the vectors of its C classes with the
    logarithm of the scale, the first number of a further row: (C + 1, D). So a step is what it is in a `LinearStack`,
    with the unit texts in place of the matrices. The gradient is written out: what moves a unit text along itself has
    no effect, and the rest is divided by the length that the text had.
    """

    def __init__(self, model: Model, *, weight_decays: Tensor, sets: int = 1) -> None:
        classifier = model.classifier
        if not (isinstance(classifier, TextClassifier) and isinstance(classifier.text, Residual)):
            raise ValueError(f"a stack of texts that learn vectors was asked for, got {type(classifier).__name__}")
        self._fixed = {name: own for name, own in model.state_dict().items() if name not in (OFFSETS, SCALE)}
        self._texts, self._alpha = classifier.embeddings[0], classifier.text.alpha
        offsets, scale = classifier.text.offsets.detach(), classifier.log_scale.detach()
        joined = F.pad(offsets, (0, 0, 0, 1))  # (C + 1, D)
        joined[-1, 0] = scale
        weights = joined.repeat(sets, len(weight_decays), 1, 1)  # (S, P, C + 1, D)
        decays = weight_decays[:, None, None] * torch.ones_like(weights)
        decays[..., -1, :] = 0  # the scale does not decay
        self.adamw = SetAdamW(weights, decays=decays)

    @property
    def weights(self) -> Tensor:
        """The vectors and scales of all copies, (S, P, C + 1, D)."""
        return self.adamw.weights

    def scores(self, rows: Tensor) -> Tensor:
        """Score unit rows (S, B, D) with each copy of their set -> (S, B, P, C), or rows (N, D) with all."""
        texts = self._moved()
        return scores_of(rows, texts.unit) * texts.scale(rows)

    @torch.no_grad()
    def step_sets(self, batch: SetBatch, *, lr: Tensor, smoothing: float) -> Tensor:
        """Make one step in each copy, lr (P,), and return the losses before it, (S, P)."""
        texts = self._moved()
        scale = texts.scale(batch.rows)
        scores = scores_of(batch.rows, texts.unit) * scale
        losses, slopes = batch.cross_entropy(scores, smoothing=smoothing)
        grad = torch.zeros_like(self.weights)
        grad[..., -1, 0] = batch.sum((slopes * scores).sum(-1))
        outward = batch.slopes(slopes.mul_(scale), texts.unit)  # (S, P, C, D), by the unit texts
        outward -= (outward * texts.unit).sum(-1, keepdim=True) * texts.unit
        torch.div(outward, texts.lengths / self._alpha, out=grad[..., :-1, :])
        self.adamw.move(grad, lr[:, None, None])
        self.weights[..., -1, 0].clamp_(max=math.log(MAX_LOGIT_SCALE))
        return losses

    def named(self, weights: Tensor) -> dict[str, Tensor]:
        """Return a copy of the weights of one copy, (C + 1, D), by name, with what all share."""
        return {**self._fixed, OFFSETS: weights[:-1].clone(), SCALE: weights[-1, 0].clone()}

    def _moved(self) -> "_MovedTexts":
        moved = torch.add(self._texts, self.weights[..., :-1, :], alpha=self._alpha)  # (S, P, C, D)
        lengths = moved.norm(dim=-1, keepdim=True).clamp_(min=1e-12)
        return _MovedTexts(moved.div_(lengths), lengths, self.weights[..., -1, 0].exp())


@dataclass(frozen=True)
class _MovedTexts:
    """The unit texts of all copies (S, P, C, D), the lengths they had (S, P, C, 1), and the scales (S, P)."""

    unit: Tensor
    lengths: Tensor
    scales: Tensor

    def scale(self, rows: Tensor) -> Tensor:
        """Return the factor of the cosines of rows as `scores_of` gives them: (S, 1, P, 1), or (1, S, P, 1)."""
        return self.scales[..., None] if rows.ndim == 2 else self.scales[:, None, :, None]
