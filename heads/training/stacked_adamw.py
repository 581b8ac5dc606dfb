"""StackedAdamW: AdamW over the weights of several copies of a model, each with its learning rate and weight decay."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from framebank.heads.training.optimizer import BETAS, EPS

Moved = tuple[Tensor, Tensor, Tensor]  # weights, and the means of their gradients and of the squares of these


class StackedAdamW:
    """AdamW for P copies as `build_optimizer` makes it for one: weights (P, ...) by name, weight decays (P,).

    Matrices decay; biases, norms and the logit scale do not. The weights are moved in place.
    """

    def __init__(self, weights: Mapping[str, Tensor], *, weight_decays: Tensor) -> None:
        self._decays: list[float] = weight_decays.tolist()
        self._rates = [0.0] * len(self._decays)
        self._moved: dict[str, Moved] = {
            name: (own.detach(), torch.zeros_like(own), torch.zeros_like(own)) for name, own in weights.items()
        }
        self._taken = torch.zeros((), device=weight_decays.device)
        self._rows = self._by_copy()

    def __getitem__(self, name: str) -> Moved:
        """Return weights (P, ...) and the two means that AdamW keeps of them."""
        return self._moved[name]

    def begin(self, lr: Tensor) -> None:
        """Begin a step with the learning rates (P,)."""
        self._rates = lr.tolist()
        self._taken += 1

    def move(self, grads: Mapping[str, Tensor]) -> None:
        """Move weights by their gradients (P, ...)."""
        for decay in (True, False):
            names = [name for name in grads if (self._moved[name][0].ndim > 2) == decay]
            # The optimizer reads numbers in the order of memory, which must be that of the weights.
            columns = [zip(self._rows[name], grads[name].contiguous(), strict=True) for name in names]
            for place, rows in enumerate(zip(*columns, strict=True)):
                self.move_one(place, [(*moved, grad) for moved, grad in rows], decay=decay)

    def move_one(self, place: int, rows: Sequence[Sequence[Tensor]], *, decay: bool = True) -> None:
        """Move weights of one copy: of each row its weights, their two means and their gradient."""
        weights, means, squares, grads = map(list, zip(*rows, strict=True))
        torch._fused_adamw_(
            weights,
            grads,
            means,
            squares,
            [],
            [self._taken] * len(rows),
            lr=self._rates[place],
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=self._decays[place] if decay else 0.0,
            eps=EPS,
            amsgrad=False,
            maximize=False,
        )

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the copies alone, in this order."""
        chosen = list(places)
        self._decays = [self._decays[place] for place in chosen]
        for name, (own, mean, square) in self._moved.items():
            self._moved[name] = (own[chosen], mean[chosen], square[chosen])
        self._rows = self._by_copy()

    def _by_copy(self) -> dict[str, list[tuple[Tensor, ...]]]:
        return {name: list(zip(*map(Tensor.unbind, moved), strict=True)) for name, moved in self._moved.items()}


def product(x: Tensor, moved: Moved, adam: StackedAdamW, *, flipped: bool = False) -> Tensor:
    """Multiply x (P, G, B, I) with matrices (P, G, O, I) of the copies -> (P, G, B, O), in the dtype of autocast.

    `flipped`: x (P, G, B, O) -> (P, G, B, I). No gradient of the matrices comes out: when the result is traced back,
    AdamW moves them at once, copy by copy. So a gradient is read where it was just written, in memory that all share.
    """
    answer: Tensor = _Product.apply(x, moved, adam, flipped)
    return answer


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, moved: Moved, adam: StackedAdamW, flipped: bool) -> Tensor:
        kind = x.device.type
        x = x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x
        ctx.save_for_backward(x)
        ctx.moved, ctx.adam, ctx.flipped = moved, adam, flipped
        weights = moved[0] if flipped else moved[0].mT
        out = x.new_empty(*x.shape[:-1], weights.shape[-1])
        for one, own, into in zip(x.unbind(), weights.unbind(), out.unbind(), strict=True):
            torch.bmm(one, own.to(x.dtype), out=into)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (x,), (grad,), weights = ctx.saved_tensors, grads, ctx.moved[0]
        found, step = torch.empty_like(x), x.new_empty(weights.shape[1:])
        left, right, across = (x, grad, weights.mT) if ctx.flipped else (grad, x, weights)
        parts = (grad, across, found, left.mT, right, *ctx.moved)
        for place, (one, own, into, rows, columns, *moved) in enumerate(zip(*map(Tensor.unbind, parts), strict=True)):
            torch.bmm(one, own.to(x.dtype), out=into)
            torch.bmm(rows, columns, out=step)
            ctx.adam.move_one(place, [(*moved, step.to(own.dtype))])
        return found, None, None, None
