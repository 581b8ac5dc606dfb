"""Stack: copies of one model with weights of their own, computed together and moved by AdamW together."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from framebank.heads.model import Model
from framebank.heads.training.stacked_adamw import StackedAdamW


class Stack:
    """P copies of a model, which start with its weights: the weights are stacked, (P, ...) by name.

    Each copy has its own weight decay (P,), on matrices alone, as `build_optimizer` has it.
    """

    def __init__(self, model: Model, *, weight_decays: Tensor) -> None:
        def stacked(values: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
            return {name: own.detach().repeat(len(weight_decays), *[1] * own.ndim) for name, own in values}

        parameters = list(model.named_parameters())
        learned = stacked((name, own) for name, own in parameters if own.requires_grad)
        self._fixed = stacked((name, own) for name, own in parameters if not own.requires_grad)
        self._fixed |= stacked(model.named_buffers())
        self._adam = StackedAdamW(learned, weight_decays=weight_decays)
        self._learned = {name: self._adam[name][0].detach().requires_grad_() for name in learned}
        self._shell = copy.deepcopy(model)  # its own weights are not read
        self.training = True

    def logits(self, x: Tensor, mask: Tensor) -> Tensor:
        """Score the same videos with each copy: x (B, T, D), mask (B, T) -> (P, B, C)."""

        def score(weights: dict[str, Tensor]) -> Any:
            return functional_call(self._shell, weights, (x, mask))

        self._shell.train(self.training)
        with sdpa_kernel(SDPBackend.MATH):  # the others have no rule for a stack, and would take the copies one by one
            found: Tensor = vmap(score, randomness="same")(self.weights)
        return found

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights and buffers of all copies by name, each (P, ...)."""
        return self._learned | self._fixed

    def step(self, x: Tensor, mask: Tensor, labels: Tensor, *, lr: Tensor, smoothing: float, precision: str) -> Tensor:
        """Make one step of AdamW in each copy, lr (P,), on videos as `logits` takes them, labels (B,).

        Returns the cross-entropies before the step, (P,). The model computes in `precision`, "fp32" or "bf16".
        """
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = self.logits(x, mask)
        losses = losses_of(logits.float(), labels, smoothing=smoothing)
        self._adam.begin(lr)
        grads = torch.autograd.grad(losses.sum(), list(self._learned.values()), allow_unused=True)
        self._adam.move({name: grad for name, grad in zip(self._learned, grads, strict=True) if grad is not None})
        return losses.detach()

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the copies alone, in this order; their optimizers go on with them."""
        self._adam.keep(places)
        self._learned = {name: self._adam[name][0].detach().requires_grad_() for name in self._learned}
        self._fixed = {name: stacked[list(places)] for name, stacked in self._fixed.items()}

    def state(self, place: int) -> dict[str, Tensor]:
        """Return a copy of the weights of one copy."""
        return {name: stacked.detach()[place].clone() for name, stacked in self.weights.items()}


def losses_of(logits: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy of each copy: logits (P, B, C), labels (B,) -> (P,)."""
    count, size = logits.shape[:2]
    each = F.cross_entropy(
        logits.flatten(0, 1), labels.repeat(count), reduction="none", label_smoothing=smoothing
    )  # (P * B,)
    losses: Tensor = each.unflatten(0, (count, size)).mean(1)
    return losses
