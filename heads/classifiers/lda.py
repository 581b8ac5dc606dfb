"""LdaClassifier: linear discriminant analysis, frozen or as the start of a training."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ClassifierTraits, Fitted
from framebank.heads.classifiers.targets import require_single_labels
from framebank.store.errors import DataError


@final
class LdaClassifier(nn.Module, Fitted):
    """Text4Vis's LDA classifier (Wu et al. 2022, arXiv 2207.01297): the discriminants of unit embeddings.

    All classes share one covariance within the class. It is shrunk towards a multiple of the identity by `shrinkage`,
    or, if that is 0, by the amount that Ledoit and Wolf (2004, JMVA 88:365-411) found best. The logits are the
    logarithms of the posterior, up to a number that all classes share. Each view and clip is a row.

    The weights (C, D) and bias (C,) stay as fitted, as in the paper, which trains the encoder with them; here only a
    head can be trained. With `learn_weights` they are trained further. The paper fits 60 videos of each class with
    scikit-learn's LDA; here all training videos are fitted.
    """

    traits = ClassifierTraits()

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts | None = None,
        *,
        learn_weights: bool = False,
        shrinkage: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= shrinkage <= 1:
            raise DataError(f"shrinkage is {shrinkage}; expected more than 0 and at most 1, or 0 to have it computed")
        self.shrinkage = shrinkage
        self.weight = nn.Parameter(torch.zeros(num_classes, dim), requires_grad=learn_weights)
        self.bias = nn.Parameter(torch.zeros(num_classes), requires_grad=learn_weights)

    @torch.no_grad()
    def fit(
        self, pooled: Tensor, target: Tensor, *, val: tuple[Tensor, Tensor] | None, groups: Tensor | None = None
    ) -> None:
        """Take pooled (V, G, D), one row for each view and clip, and target (V,). The validation videos are not used.

        DataError if videos have several labels, or if no class has two rows.
        """
        require_single_labels(target, name="lda")
        rows = F.normalize(pooled.double(), dim=-1).flatten(0, 1)  # (R, D)
        owner = target.repeat_interleave(pooled.shape[1])  # (R,)
        count = owner.bincount(minlength=len(self.bias)).double()  # (C,)
        means = rows.new_zeros(self.weight.shape).index_add(0, owner, rows) / count.clamp(min=1).unsqueeze(1)  # (C, D)
        spread = rows - means[owner]  # (R, D)
        if float(spread.square().mean()) < 1e-16:
            raise DataError("the classifier 'lda' needs several different videos of a class; expected more shots")
        weight = torch.linalg.solve(shrunk_covariance(spread, shrinkage=self.shrinkage), means.T).T  # (C, D)
        prior = (count / count.sum()).clamp(min=1e-12).log()
        self.weight.copy_(weight)
        self.bias.copy_(prior - 0.5 * (weight * means).sum(1))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        return F.linear(F.normalize(embeddings, dim=-1), self.weight, self.bias)


def shrunk_covariance(spread: Tensor, *, shrinkage: float = 0.0) -> Tensor:
    """Return the covariance of centred rows (R, D), shrunk towards its mean variance -> (D, D).

    If the shrinkage is 0, it is Ledoit and Wolf's: the expected error of the covariance over its distance from the
    identity.
    """
    num_rows, dim = spread.shape
    covariance = spread.T @ spread / num_rows
    target = torch.eye(dim, dtype=spread.dtype, device=spread.device) * covariance.trace() / dim
    if not shrinkage:
        distance = (covariance - target).square().sum()
        error = (spread.square().sum(1).square().mean() - covariance.square().sum()) / num_rows
        shrinkage = float((error / distance.clamp(min=1e-300)).clamp(0, 1))
    return covariance.lerp(target, shrinkage)
