"""Diversity: the head's embedding of a part of a video should differ from that of the next part."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.losses.loss import LossTraits
from framebank.heads.losses.step import Step

NUM_WINDOWS = 4


class Diversity(nn.Module):
    """1 / (1 + C + V), of the head's embeddings of 4 windows of each video: C how they change, V how they vary.

    C is the mean absolute central difference, |next - previous| / 2, the first and last window standing in for what is
    beyond them; V the variance over the windows; both averaged over channels and videos. That is the motion loss in the
    code of EZ-CLIP (Ahmad et al. 2023, arXiv 2312.08010), which T2L (2025) continues: the formula of T2L's Temporal
    Feature Diversity itself was not read. They take it of the embeddings of frames, which are frozen here and have
    nothing to learn, so that windows pooled by the head are our reading. These are brought to a root mean square of 1:
    only what they point to can differ, not their length.
    """

    traits = LossTraits()

    def __init__(self, dim: int, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a batch."""
        masks = window_masks(step.mask, NUM_WINDOWS)  # (B, W, T)
        frames = step.frames.repeat_interleave(NUM_WINDOWS, dim=0)  # (B, T, D) -> (B*W, T, D)
        pooled = step.model.pool(frames, masks.flatten(0, 1)).unflatten(0, masks.shape[:2])  # (B, W, D)
        return motion_loss(F.rms_norm(pooled, pooled.shape[-1:]))


def motion_loss(x: Tensor) -> Tensor:
    """Return 1 / (1 + C + V) of x (B, W, D)."""
    around = torch.cat([x[:, :1], x, x[:, -1:]], dim=1)  # (B, W + 2, D)
    change = (around[:, 2:] - around[:, :-2]).abs().mean() / 2
    return 1 / (1 + change + x.var(1).mean())


def window_masks(mask: Tensor, count: int) -> Tensor:
    """Return which real frames are in each of `count` equal windows, mask (B, T) -> (B, count, T).

    A frame on an edge is in both windows. So each window has a frame, even if there are fewer frames than windows.
    """
    place = (mask.cumsum(1) - 1).unsqueeze(1)  # (B, 1, T)
    total = mask.sum(1)[:, None, None]
    window = torch.arange(count, device=mask.device)[None, :, None]
    inside = (place * count < (window + 1) * total) & ((place + 1) * count > window * total)
    return inside & mask.unsqueeze(1)
