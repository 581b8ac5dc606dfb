"""Frames in order, for matchers that depend on it: packed to the front, with the transformer's positions."""

import math

import torch
from torch import Tensor

from framebank.heads.masking import pack
from framebank.heads.matchers.frames import mean_frame


def packed(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move each video's real frames to the front and zero the rest: x (..., T, D), mask (..., T) -> the same shapes."""
    lead = mask.shape[:-1]
    frames, real = pack(x.flatten(0, -3), mask.flatten(0, -2))  # (B, T, D), (B, T)
    return frames.unflatten(0, lead), real.unflatten(0, lead)


def mean_video(videos: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Average packed videos of a class frame by frame: (E, N, K, S, D), mask (E, N, K, S) -> (E, N, S, D), (E, N, S).

    A frame is the mean over the videos that are long enough to have it.
    """
    return mean_frame(videos.transpose(2, 3), mask.transpose(2, 3)), mask.any(2)


def sinusoid_like(x: Tensor, *, doubled: bool = False) -> Tensor:
    """Return the sine and cosine positions of Vaswani et al. 2017 (arXiv 1706.03762): x (..., T, D) -> (T, D).

    `doubled` gives those of HyRSM's code: the exponent for an even channel c is 2 c / D, where others have c / D.
    """
    num_frames, dim = x.shape[-2:]
    channel = torch.arange(dim, device=x.device)
    exponent = 2 * channel if doubled else channel - channel % 2
    rate = torch.exp(exponent.to(x.dtype) * (-math.log(10000.0) / dim))  # (D,)
    angle = torch.arange(num_frames, device=x.device)[:, None] * rate  # (T, D)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos())
