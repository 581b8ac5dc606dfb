"""Masks: which frames of a batch are real, and the two operations every head needs for it."""

import torch
from torch import Tensor


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Average the real frames: x (B, T, D), mask (B, T) true where real -> (B, D)."""
    weights = mask.to(x.dtype).unsqueeze(-1)  # (B, T, 1)
    return (x * weights).sum(1) / weights.sum(1).clamp(min=1)


def drop_frames(mask: Tensor, share: float) -> Tensor:
    """Mask out each frame with a chance of `share`, but never all of a video: (B, T) -> (B, T)."""
    kept = mask & (torch.rand(mask.shape, device=mask.device) >= share)
    return torch.where(kept.any(1, keepdim=True), kept, mask)


def pack(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move the real frames to the front in their order, and zero the rest: (B, T, D), (B, T) -> the same shapes.

    A head for which order matters starts with this, so that padding, wherever it lies, never changes a result.
    """
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)  # (B, T)
    mask = mask.gather(1, order)
    x = x.gather(1, order.unsqueeze(-1).expand_as(x))
    return x * mask.unsqueeze(-1).to(x.dtype), mask
