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
    # Where each frame goes, (B, T): a stable sort would do it too, but has no form in ONNX.
    rank = torch.where(mask, mask.cumsum(1), mask.sum(1, keepdim=True) + (~mask).cumsum(1)) - 1
    x = x * mask.unsqueeze(-1).to(x.dtype)
    packed = torch.zeros_like(x).scatter(1, rank.unsqueeze(-1).expand_as(x), x)
    return packed, torch.zeros_like(mask).scatter(1, rank, mask)
