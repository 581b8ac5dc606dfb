"""LinearStack: copies of one linear classifier with weights of their own, as a matrix for each set of them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.model import Model
from framebank.heads.training.pooled import OneFrame, ScaledLinear
from framebank.heads.training.set_adamw import SetAdamW
from framebank.heads.training.set_batch import SetBatch, scores_of

WEIGHT, BIAS = "classifier.linear.weight", "classifier.linear.bias"
ALIGNED = 16  # rows of a multiple of so many numbers are multiplied faster


def is_linear(model: Model) -> bool:
    """Return whether a model is a linear classifier of videos that were pooled and scaled before."""
    return isinstance(model.head, OneFrame) and type(model.classifier) is ScaledLinear


class LinearStack:
    """S sets of P copies of a linear classifier of pooled videos, which start with its weights.

    The copies of a set read the same rows, and each set reads rows of its own. So the weights of a set, with their bias
    as a further column, are one matrix (P * C, W), where W is D + 1 filled up with zeros: a step of all is one batched
    product forward and one backward, one softmax, and AdamW on those matrices. The gradient of the cross-entropy is
    written out: the probabilities minus the shares of the label, times the rows. A stack of one set has the interface
    of `Stack`. With the whitener of each set, (S, D, D), its steps are whitened (`whitener_of`): AdamW moves the turned
    gradient, and the numbers of a class have one scale, so that the steps do not depend on the basis of the rows.
    """

    def __init__(self, model: Model, *, weight_decays: Tensor, sets: int = 1, whitener: Tensor | None = None) -> None:
        own = model.state_dict()
        self._dim = own[WEIGHT].shape[1]
        joined = _filled(torch.cat([own[WEIGHT], own[BIAS][:, None]], dim=1).detach())  # (C, W)
        weights = joined.repeat(sets, len(weight_decays), 1, 1)  # (S, P, C, W)
        decays = weight_decays[:, None, None] * torch.ones_like(weights)
        decays[..., self._dim] = 0  # a bias does not decay
        self.adamw = SetAdamW(weights, decays=decays)
        self._whitener = None if whitener is None else _with_bias(whitener, width=joined.shape[1])  # (S, W, W)
        self.training = True  # nothing is drawn: both are the same

    @property
    def weights(self) -> Tensor:
        """The matrices of all copies, (S, P, C, W)."""
        return self.adamw.weights

    def logits(self, x: Tensor, mask: Tensor) -> Tensor:
        """Score the same videos with each copy of the only set: x (B, 1, D), mask (B, 1) -> (P, B, C)."""
        return self.scores(read_rows(x)[None])[0].transpose(0, 1)

    def scores(self, rows: Tensor) -> Tensor:
        """Score rows (S, B, W) with each copy of their set -> (S, B, P, C), or rows (N, W) with all -> (N, S, P, C)."""
        return scores_of(rows, self.weights)

    def step(self, x: Tensor, mask: Tensor, labels: Tensor, *, lr: Tensor, smoothing: float, precision: str) -> Tensor:
        """Make one step in each copy of the only set, lr (P,), on videos as `logits` takes them, labels (B,).

        Returns the losses before it, (P,). The classifier computes in float32 whatever the `precision` is, as in every
        training.
        """
        shares = torch.full((1, len(x)), 1 / len(x), device=x.device)
        return self.step_sets(SetBatch(read_rows(x)[None], labels[None], shares), lr=lr, smoothing=smoothing)[0]

    @torch.no_grad()
    def step_sets(self, batch: SetBatch, *, lr: Tensor, smoothing: float) -> Tensor:
        """Make one step in each copy, lr (P,), and return the losses before it, (S, P)."""
        losses, slopes = batch.cross_entropy(self.scores(batch.rows), smoothing=smoothing)
        grad, squares = batch.slopes(slopes, self.weights), None
        if self._whitener is not None:
            turned = (grad.flatten(1, 2) @ self._whitener).view_as(grad)
            squares = grad.mul_(turned)
            squares[..., : self._dim] = squares[..., : self._dim].mean(-1, keepdim=True).clamp_(min=0)
            grad = turned
        self.adamw.move(grad, lr[:, None, None], squares=squares)
        return losses

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the copies of each set alone, in this order."""
        self.adamw.keep(places)

    def state(self, place: int) -> dict[str, Tensor]:
        """Return a copy of the weights of one copy of the only set."""
        return self.named(self.weights[0, place])

    def named(self, weights: Tensor) -> dict[str, Tensor]:
        """Return a copy of the weights of one copy, (C, W), by name."""
        return {WEIGHT: weights[:, : self._dim].clone(), BIAS: weights[:, self._dim].clone()}


def read_rows(x: Tensor) -> Tensor:
    """Return what the matrices are multiplied with: x (B, 1, D) -> (B, W), the number after the last of x one."""
    return _filled(F.pad(x.squeeze(1), (0, 1), value=1.0))


def _with_bias(whitener: Tensor, *, width: int) -> Tensor:
    """Return whiteners (S, D, D) that leave a bias as it is, filled up with zeros: (S, W, W)."""
    more = width - whitener.shape[-1]
    found = F.pad(whitener, (0, more, 0, more))
    found[:, -more, -more] = 1
    return found


def _filled(rows: Tensor) -> Tensor:
    return F.pad(rows, (0, -rows.shape[-1] % ALIGNED))
