"""Optimizer: AdamW as every training here uses it, and the learning rate of each step."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

BETAS, EPS = (0.9, 0.98), 1e-8


def build_optimizer(*modules: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW over the parameters of the modules that learn, as `optimizer_of`."""
    learned = [p for module in modules for p in module.parameters() if p.requires_grad]
    return optimizer_of(learned, weight_decay=weight_decay)


def optimizer_of(learned: Iterable[Tensor], *, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW over parameters. Matrices decay; biases, norms and the logit scale do not.

    Its learning rate is 0 until `set_lr` is called.
    """
    learned = list(learned)
    groups = [
        {"params": [p for p in learned if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in learned if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=EPS, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def warmup_cosine(step: int, *, total: int, warmup: float) -> float:
    """Return the share of the learning rate at a step: a linear rise over `warmup` of all steps, then a half cosine."""
    rise = max(1, round(warmup * total)) if warmup > 0 else 0
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))
