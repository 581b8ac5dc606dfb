"""Stack: copies of one model with weights of their own, computed together and moved by AdamW together."""

import copy
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from framebank.heads.model import Model
from framebank.heads.training.optimizer import BETAS, EPS


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
        self._decays = {name: weight_decays if own[name].ndim >= 2 else 0 * weight_decays for name in self._learned}
        self._mean = {name: torch.zeros_like(stacked) for name, stacked in self._learned.items()}
        self._square = {name: torch.zeros_like(stacked) for name, stacked in self._learned.items()}
        self._taken = 0
        self._shell = copies[0]  # its own weights are not read
        self.training = True

    def logits(self, x: Tensor, mask: Tensor) -> Tensor:
        """Score the same videos with each copy: x (B, T, D), mask (B, T) -> (P, B, C)."""

        def score(weights: dict[str, Tensor]) -> Any:
            return functional_call(self._shell, weights, (x, mask))

        self._shell.train(self.training)
        with sdpa_kernel(SDPBackend.MATH):  # the others have no rule for a stack, and would take the copies one by one
            found: Tensor = vmap(score, randomness="same")(self._learned | self._fixed | self._buffers)
        return found

    def step(self, losses: Tensor, *, lr: Tensor) -> None:
        """Make one step of AdamW in each copy: losses (P,), lr (P,)."""
        grads = torch.autograd.grad(losses.sum(), list(self._learned.values()))
        self._taken += 1
        first, second = (1 - beta**self._taken for beta in BETAS)
        with torch.no_grad():
            for (name, weights), grad in zip(self._learned.items(), grads, strict=True):
                shape = (-1, *[1] * (weights.ndim - 1))
                weights.mul_((1 - lr * self._decays[name]).view(shape))
                mean, square = self._mean[name], self._square[name]
                mean.lerp_(grad, 1 - BETAS[0])
                square.mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
                size = square.sqrt().div_(second**0.5).add_(EPS)
                weights.sub_(size.reciprocal_().mul_(mean).mul_((lr / first).view(shape)))

    def state(self, place: int) -> dict[str, Tensor]:
        """Return a copy of the weights of one copy."""
        found = self._learned | self._fixed | self._buffers
        return {name: stacked.detach()[place].clone() for name, stacked in found.items()}
