"""LogisticClassifier: multinomial logistic regression, solved to its only minimum."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.classifier import ChoosesOptions, ClassifierTraits, Fitted
from framebank.heads.classifiers.folds import held_parts
from framebank.heads.classifiers.targets import require_single_labels
from framebank.store.errors import DataError

STEPS = 500  # of L-BFGS, at the most; a few dozen are usual
TOLERANCE = 1e-7  # of the gradient, for each row
ROUGH = 1e-4  # the tolerance that is enough to choose a penalty, with sums of float32
PENALTIES = tuple(10.0 ** (power / 2) for power in range(2, -9, -1))  # 10 to 1e-4, to choose from
PENALTY = 1e-2  # if no video can be held out
WORSE = 2  # penalties in a row after which no smaller one is tried


@final
class LogisticClassifier(nn.Module, Fitted, ChoosesOptions):
    """Logistic regression over unit embeddings, as MVEB and MTEB test embeddings (arXiv 2606.14958, 2210.07316).

    The weights minimise the sum of the cross-entropies of all rows plus half of `penalty` times the squared weights, as
    scikit-learn's LogisticRegression with C = 1 / `penalty`; the bias is not penalised. Each view and clip of a video
    is a row. The minimum is unique, so no seed has a part in it. MTEB stops after 100 iterations and takes embeddings
    as they are; here they have length one, and the minimum is reached. With `standardise`, each channel is brought to
    the same spread over the training videos, and the weights that come out serve the embeddings as they are.

    If `penalty` is 0, it is chosen, as in CLIP's linear probe (Radford et al. 2021, arXiv 2103.00020): the one with the
    least cross-entropy on the validation videos or, without these, on folds of the training videos (`fold_numbers`).
    CLIP takes the one of the highest top-1. If `standardise` is None then, both are tried, as in ridge. With one video
    for each class nothing can be held out: 0.01, and no channel is brought to another spread.

    It needs no epoch (`epochs = 0`). Its weights (C, D) and bias (C,) are parameters: with epochs, they and a head
    before it are trained further from there.
    """

    traits = ClassifierTraits(chooses=True, needs_no_val="penalty")

    def __init__(
        self,
        dim: int,
        num_classes: int,
        texts: ClassTexts | None = None,
        *,
        penalty: float = 1.0,
        standardise: bool | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= penalty < math.inf:
            raise DataError(f"penalty is {penalty}; expected more than 0, or 0 to have it chosen")
        self.penalty = penalty
        self.standardise = standardise
        self.chosen = (penalty, bool(standardise))  # `fit` sets them if no penalty was given
        self.weight = nn.Parameter(torch.zeros(num_classes, dim))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    @property
    def chosen_options(self) -> Mapping[str, Any]:
        """The penalty in use, and whether each channel is brought to the same spread."""
        return {"penalty": self.chosen[0], "standardise": self.chosen[1]}

    def fit(
        self, pooled: Tensor, target: Tensor, *, val: tuple[Tensor, Tensor] | None, groups: Tensor | None = None
    ) -> None:
        """Take pooled (V, G, D) of target (V,), and choose the penalty if none is given. DataError for several labels.

        The validation videos judge it, or folds of the training videos that divide no source of `groups` (V,).
        """
        require_single_labels(target, name="logistic")
        if not self.penalty:
            self.chosen = self._choose(pooled, target, val=val, groups=groups)
        penalty, standardise = self.chosen
        weight, bias = next(self._minima(pooled, target, (penalty,), standardise, tolerance=TOLERANCE))
        with torch.no_grad():
            self.weight.copy_(weight)
            self.bias.copy_(bias)

    def _choose(
        self, pooled: Tensor, target: Tensor, *, val: tuple[Tensor, Tensor] | None, groups: Tensor | None
    ) -> tuple[float, bool]:
        """Return the penalty, and whether with the spread, of the least cross-entropy on held-out videos."""
        held = [] if val else held_parts(target, groups)
        parts = [(pooled, target, val[0])] if val else [(pooled[~own], target[~own], pooled[own]) for own in held]
        judged = val[1] if val else torch.cat([target[:0], *(target[own] for own in held)])
        if not parts:
            return PENALTY, bool(self.standardise)
        found = []
        for standardise in (False, True) if self.standardise is None else (self.standardise,):
            losses: list[float] = []
            for logits in zip(*(self._scores(*part, standardise) for part in parts), strict=True):
                losses.append(float(F.cross_entropy(torch.cat(logits), judged)))
                if len(losses) - losses.index(min(losses)) > WORSE:
                    break
            found.append((min(losses), PENALTIES[losses.index(min(losses))], standardise))
        return min(found)[1:]

    def _scores(self, pooled: Tensor, target: Tensor, held: Tensor, standardise: bool) -> Iterator[Tensor]:
        """Yield the mean logits (J, C) of held-out videos (J, G, D) with each penalty."""
        judged = F.normalize(held.float(), dim=-1)
        for weight, bias in self._minima(pooled, target, PENALTIES, standardise, tolerance=ROUGH):
            yield F.linear(judged, weight, bias).mean(1)

    def _minima(
        self, pooled: Tensor, target: Tensor, penalties: Sequence[float], standardise: bool, *, tolerance: float
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the weights (C, D) and the bias (C,) of the minimum of each penalty, which starts from the one before.

        The pooled videos are (V, G, D). The weights lie in the span of their unit rows without the mean. If these are
        fewer than their channels, they are brought to a basis of that span, (R, R), where the minimum is the same.
        """
        exact = torch.float if tolerance == ROUGH else torch.double
        rows = F.normalize(pooled.to(exact), dim=-1).flatten(0, 1)  # (R, D)
        mean, spread = rows.mean(0), rows.std(0, correction=0)
        usual = spread.square().mean().sqrt()
        # A channel that varies by rounding only says nothing. Without the spread, rows stay as they are.
        scale = torch.where(spread < 1e-6, 0, usual / spread) if standardise else torch.ones_like(spread)
        near, basis = (rows - mean) * scale, None
        if len(rows) < rows.shape[1]:
            basis, triangle = torch.linalg.qr(near.T)  # (D, R), (R, R)
            near = triangle.T.contiguous()
        own = target.repeat_interleave(pooled.shape[1])  # (R,)
        weight, bias = near.new_zeros(len(self.bias), near.shape[1]), near.new_zeros(len(self.bias))
        for penalty in penalties:
            weight, bias = _minimum(near, own, (weight, bias), penalty=penalty, tolerance=tolerance)
            full = (weight if basis is None else weight @ basis.T) * scale  # (C, D)
            yield full, bias - bias.mean() - full @ mean

    def forward(self, embeddings: Tensor) -> Tensor:
        """Score embeddings (B, D) -> logits (B, C)."""
        return F.linear(F.normalize(embeddings, dim=-1), self.weight, self.bias)


@torch.enable_grad()
def _minimum(
    rows: Tensor, target: Tensor, start: tuple[Tensor, Tensor], *, penalty: float, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Return the weights (C, D) and the bias (C,) of the minimum, from a start of these shapes."""
    weight, bias = (part.clone().requires_grad_() for part in start)
    solver = torch.optim.LBFGS(
        [weight, bias],
        max_iter=STEPS,
        tolerance_grad=tolerance,
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
    return weight.detach(), bias.detach()
