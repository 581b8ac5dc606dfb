"""SetAdamW: AdamW over the weights of several sets of copies, in one tensor."""

from collections.abc import Sequence

import torch
from torch import Tensor

from framebank.heads.training.optimizer import BETAS, EPS


class SetAdamW:
    """AdamW for S sets of P copies as `build_optimizer` makes it for one: weights (S, P, ...), moved in place.

    `decays` (S, P, ...) are the weight decays, 0 where a number does not decay. `taken` steps are behind it.
    """

    def __init__(self, weights: Tensor, *, decays: Tensor) -> None:
        self.weights = weights
        self._decays = decays
        self._mean = torch.zeros_like(weights)
        self._square = torch.zeros_like(weights)
        self.taken = 0

    def move(self, grad: Tensor, lr: Tensor, *, squares: Tensor | None = None) -> None:
        """Make a step by the gradient (S, P, ...), with rates lr (P, ...) of as many dimensions but the first.

        The `squares` (S, P, ...) may be given, if they are not those of the gradient.
        """
        self.taken += 1
        first, second = (1 - beta**self.taken for beta in BETAS)
        self.weights.addcmul_(self.weights, self._decays * lr, value=-1)
        if squares is None:
            self._square.mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
        else:
            self._square.mul_(BETAS[1]).add_(squares, alpha=1 - BETAS[1])
        self._mean.lerp_(grad, 1 - BETAS[0])
        size = self._square.sqrt().div_(second**0.5).add_(EPS)
        self.weights.sub_(self._mean.div(size).mul_(lr / first))

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the copies of each set alone, in this order."""
        for name in ("weights", "_decays", "_mean", "_square"):
            setattr(self, name, getattr(self, name)[:, list(places)])

    def moving(self) -> dict[str, Tensor]:
        """Return what a step changes, by name, without a copy; the number of steps `taken` is the rest."""
        return {"weights": self.weights, "mean": self._mean, "square": self._square}
