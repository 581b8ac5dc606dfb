"""LogisticClassifier: multinomial logistic regression, solved to its only minimum."""

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ClassifierTraits, Fitted
from framebank.heads.classifiers.targets import require_single_labels
from framebank.store.errors import DataError

STEPS = 500  # of L-BFGS, at the most; a few dozen are usual
TOLERANCE = 1e-7  # of the gradient, for each row


@final
class LogisticClassifier(nn.Module, Fitted):
    """Logistic regression over unit embeddings, as MVEB and MTEB test embeddings (arXiv 2606.14958, 2210.07316).

    The weights minimise the sum of the cross-entropies of all rows plus half of `penalty` times the squared weights, as
    scikit-learn's LogisticRegression with C = 1 / `penalty`; the bias is not penalised. Each view and clip of a video
    is a row. The minimum is unique, so no seed and no validation video has a part in it. MTEB stops after 100
    iterations and takes embeddings as they are; here they have length one, and the minimum is reached.

    It needs no epoch (`epochs = 0`). Its weights (C, D) and bias (C,) are parameters: with epochs, they and a head
    before it are trained further from there.
    """

    traits = ClassifierTraits()

    def __init__(self, dim: int, num_classes: int, texts: ClassTexts | None = None, *, penalty: float = 1.0) -> None:
        super().__init__()
        if not 0 < penalty < math.inf:
            raise DataError(f"penalty is {penalty}; expected more than 0")
        self.penalty = penalty
        self.weight = nn.Parameter(torch.zeros(num_classes, dim))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def fit(
        self, pooled: Tensor, target: Tensor, *, val: tuple[Tensor, Tensor] | None, groups: Tensor | None = None
    ) -> None:
        """Take pooled (V, G, D) of target (V,). The validation videos are not used. DataError for several labels."""
        require_single_labels(target, name="logistic")
        rows = F.normalize(pooled.double(), dim=-1).flatten(0, 1)  # (R, D)
        own = target.repeat_interleave(pooled.shape[1])  # (R,)
        weight, bias = _minimum(rows, own, classes=len(self.bias), penalty=self.penalty)
        with torch.no_grad():
            self.weight.copy_(weight)
            self.bias.copy_(bias)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        return F.linear(F.normalize(embeddings, dim=-1), self.weight, self.bias)


@torch.enable_grad()
def _minimum(rows: Tensor, target: Tensor, *, classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    """Return the weights (C, D) and the bias (C,) of the minimum, in float64."""
    weight = torch.zeros(classes, rows.shape[1], dtype=torch.double, device=rows.device, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.double, device=rows.device, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias],
        max_iter=STEPS,
        tolerance_grad=TOLERANCE,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        solver.zero_grad()
        fit = F.cross_entropy(F.linear(rows, weight, bias), target, reduction="sum")
        value = (fit + penalty / 2 * weight.square().sum()) / len(rows)
        torch.autograd.backward(value)
        return value

    solver.step(loss)
    bias = bias.detach()
    return weight.detach(), bias - bias.mean()
