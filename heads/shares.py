"""Shares: how much of a video belongs to each class."""

import torch.nn.functional as F
from torch import Tensor


def class_shares(target: Tensor, num_classes: int) -> Tensor:
    """Return the class shares of each video (V, C) float32, from classes (V,), -1 for none, or from (V, C) shares."""
    if target.ndim == 2:
        return target
    return F.one_hot(target.clamp(min=0), num_classes).float() * (target >= 0).unsqueeze(1)
