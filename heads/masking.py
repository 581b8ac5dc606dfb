"""Masks: which frames of a batch are real, and the operations on them that every head needs."""

import torch
from torch import Tensor


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Average the real frames: x (B, T, D), mask (B, T) true where real -> (B, D)."""
    weights = mask.to(x.dtype).unsqueeze(-1)  # (B, T, 1)
    return (x * weights).sum(1) / weights.sum(1).clamp(min=1)


def if_any_real(made: Tensor, mask: Tensor) -> Tensor:
    """Return what was made of the mean of the real frames, (B, D); zero for a video that has none, as its mean is."""
    return made * mask.any(1, keepdim=True).to(made.dtype)


def drop_frames(mask: Tensor, share: float) -> Tensor:
    """Mask out each frame with probability `share`, but never all frames of a video: (B, T) -> (B, T)."""
    kept = mask & (torch.rand(mask.shape, device=mask.device) >= share)
    return torch.where(kept.any(1, keepdim=True), kept, mask)


def pack(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move the real frames to the front, in order, and set the rest to zero: (B, T, D), (B, T) -> the same shapes.

    A head that depends on the order starts with this, so that padding never changes a result, wherever it lies.
    """
    index, real = packing(mask)
    return x.flatten(0, 1)[index] * real.unsqueeze(-1).to(x.dtype), real


def packing(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return which of the B * T frames move where so that the real ones come first, (B, T), and the new mask (B, T)."""
    # The new place of each frame, (B, T). A stable sort would do the same, but ONNX has none.
    rank = torch.where(mask, mask.cumsum(1), mask.sum(1, keepdim=True) + (~mask).cumsum(1)) - 1
    old = torch.arange(mask.numel(), device=mask.device).view_as(rank)
    return torch.zeros_like(rank).scatter(1, rank, old), torch.zeros_like(mask).scatter(1, rank, mask)
