"""LinearStack: copies of one linear classifier with weights of their own, as one matrix."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.classifiers.linear import LinearClassifier
from framebank.heads.model import Model
from framebank.heads.training.optimizer import BETAS, EPS
from framebank.heads.training.pooled import OneFrame

WEIGHT, BIAS = "classifier.linear.weight", "classifier.linear.bias"


def is_linear(model: Model) -> bool:
    """Return whether a model is a linear classifier of videos that were pooled before."""
    return isinstance(model.head, OneFrame) and type(model.classifier) is LinearClassifier


class LinearStack:
    """P copies of a linear classifier of pooled videos, which start with its weights; the interface is that of `Stack`.

    Every copy reads the same numbers. So the weights of all copies, with their bias as a last column, are one matrix
    (P * C, D + 1): a step is one product forward and one backward, one softmax, and AdamW on that matrix. The gradient
    of the cross-entropy is written out: the probabilities minus the shares of the label, times the numbers.
    """

    def __init__(self, model: Model, *, weight_decays: Tensor) -> None:
        own = model.state_dict()
        joined = torch.cat([own[WEIGHT], own[BIAS][:, None]], dim=1).detach()  # (C, D + 1)
        self._count = len(weight_decays)
        self._weights = joined.repeat(self._count, 1)  # (P * C, D + 1)
        self._decays = weight_decays.repeat_interleave(len(joined))[:, None] * torch.ones_like(self._weights)
        self._decays[:, -1] = 0  # a bias does not decay
        self._mean = torch.zeros_like(self._weights)
        self._square = torch.zeros_like(self._weights)
        self._taken = 0
        self.training = True  # nothing is drawn: both are the same

    def logits(self, x: Tensor, mask: Tensor) -> Tensor:
        """Score the same videos with each copy: x (B, 1, D), mask (B, 1) -> (P, B, C)."""
        return self._scores(self._read(x)).transpose(0, 1)

    @torch.no_grad()
    def step(self, x: Tensor, mask: Tensor, labels: Tensor, *, lr: Tensor, smoothing: float, precision: str) -> Tensor:
        """Make one step in each copy, lr (P,), on videos as `logits` takes them, labels (B,); losses before it (P,).

        The classifier computes in float32 whatever the `precision` is, as in every training.
        """
        rows = self._read(x)  # (B, D + 1)
        likely = self._scores(rows).log_softmax(-1)  # (B, P, C)
        share = torch.full((len(rows), 1, likely.shape[-1]), smoothing / likely.shape[-1], device=x.device)
        share.scatter_add_(2, labels[:, None, None], share.new_full((len(rows), 1, 1), 1 - smoothing))
        losses = (likely * share).sum(-1).mean(0).neg_()  # (P,)
        grad = likely.exp_().sub_(share).div_(len(rows)).flatten(1).T @ rows  # (P * C, D + 1)
        self._move(grad, lr.repeat_interleave(likely.shape[-1])[:, None])
        return losses

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the copies alone, in this order."""
        for name in ("_weights", "_decays", "_mean", "_square"):
            own = getattr(self, name).unflatten(0, (self._count, -1))  # (P, C, D + 1)
            setattr(self, name, own[list(places)].flatten(0, 1))
        self._count = len(places)

    def state(self, place: int) -> dict[str, Tensor]:
        """Return a copy of the weights of one copy."""
        own = self._weights.unflatten(0, (self._count, -1))[place]  # (C, D + 1)
        return {WEIGHT: own[:, :-1].clone(), BIAS: own[:, -1].clone()}

    @staticmethod
    def _read(x: Tensor) -> Tensor:
        """Return what the matrix is multiplied with: x (B, 1, D) -> (B, D + 1), the last number one."""
        return F.pad(F.rms_norm(x.squeeze(1), x.shape[-1:]), (0, 1), value=1.0)

    def _scores(self, rows: Tensor) -> Tensor:
        """Return rows (B, D + 1) -> (B, P, C)."""
        scores: Tensor = (rows @ self._weights.T).unflatten(1, (self._count, -1))
        return scores

    def _move(self, grad: Tensor, lr: Tensor) -> None:
        """Move all weights by AdamW: grad (P * C, D + 1), lr (P * C, 1)."""
        self._taken += 1
        first, second = (1 - beta**self._taken for beta in BETAS)
        self._weights.addcmul_(self._weights, self._decays * lr, value=-1)
        self._mean.lerp_(grad, 1 - BETAS[0])
        self._square.mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
        size = self._square.sqrt().div_(second**0.5).add_(EPS)
        self._weights.sub_(self._mean.div(size).mul_(lr / first))
