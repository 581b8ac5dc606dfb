"""Frames of episodes: what several matchers do to them first."""

import torch
from torch import Tensor


def at_least_float(x: Tensor) -> Tensor:
    """Return a tensor in float32, or in double where it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def mean_frame(x: Tensor, mask: Tensor) -> Tensor:
    """Average the real frames: x (..., T, D), mask (..., T) -> (..., D)."""
    kept = x.masked_fill(~mask.unsqueeze(-1), 0)  # (..., T, D)
    return kept.sum(-2) / mask.sum(-1, keepdim=True).clamp(min=1)
