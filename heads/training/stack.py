"""Stack: copies of one model with weights of their own, computed together and moved by AdamW together."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from framebank.heads.model import Model
from framebank.heads.training.optimizer import optimizer_of, set_lr


class Stack:
    """P copies of a model, which start with its weights: the weights are stacked, (P, ...) by name.

    Each copy has its own weight decay (P,), on matrices alone, as `build_optimizer` has it.
    """

    def __init__(self, model: Model, *, weight_decays: Tensor) -> None:
        count = len(weight_decays)
        copies = [copy.deepcopy(model) for _ in range(count)]
        parameters, self._buffers = stack_module_state(copies)
        own = dict(model.named_parameters())
        self._learned = {name: stacked for name, stacked in parameters.items() if own[name].requires_grad}
        self._fixed = {name: stacked.detach() for name, stacked in parameters.items() if name not in self._learned}
        self._learned = {name: stacked.detach().requires_grad_() for name, stacked in self._learned.items()}
        learned = self._learned.items()
        # The weights of one copy lie in the stack: a step of its optimizer moves the stack.
        self._parts = [{name: stacked.detach()[place] for name, stacked in learned} for place in range(count)]
        self._movers = [
            optimizer_of(parts.values(), weight_decay=decay)
            for parts, decay in zip(self._parts, weight_decays.tolist(), strict=True)
        ]
        self._shell = copies[0]  # its own weights are not read
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
        return self._learned | self._fixed | self._buffers

    def step(self, x: Tensor, mask: Tensor, labels: Tensor, *, lr: Tensor, smoothing: float, precision: str) -> Tensor:
        """Make one step of AdamW in each copy, lr (P,), on videos as `logits` takes them, labels (B,).

        Returns the cross-entropies before the step, (P,). The model computes in `precision`, "fp32" or "bf16".
        """
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = self.logits(x, mask)
        losses = losses_of(logits.float(), labels, smoothing=smoothing)
        # The fused optimizer reads numbers in the order of memory, which must be that of the weights.
        grads = [grad.contiguous() for grad in torch.autograd.grad(losses.sum(), list(self._learned.values()))]
        for place, (mover, rate) in enumerate(zip(self._movers, lr.tolist(), strict=True)):
            for name, grad in zip(self._learned, grads, strict=True):
                self._parts[place][name].grad = grad[place]
            set_lr(mover, rate)
            mover.step()
        return losses.detach()

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the copies alone, in this order; their optimizers go on with them."""
        for stacks in (self._learned, self._fixed, self._buffers):
            for name, stacked in stacks.items():
                stacks[name] = stacked.detach()[list(places)].requires_grad_(stacked.requires_grad)
        self._movers = [self._movers[place] for place in places]
        self._parts = [self._parts[place] for place in places]
        for place, parts in enumerate(self._parts):
            for name, part in parts.items():
                part.data = self._learned[name].detach()[place]

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
