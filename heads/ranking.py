"""Ranking: classes from the likeliest down. If scores are equal, the class that comes first in the list wins."""

import torch
from torch import Tensor


def rank_classes(scores: Tensor) -> Tensor:
    """Return the classes of each video, the likeliest first: scores (..., C) -> (..., C) int64."""
    return scores.argsort(dim=-1, descending=True, stable=True)


def best_class(scores: Tensor) -> Tensor:
    """Return the likeliest class of each video, the first that `rank_classes` gives: scores (..., C) -> (...)."""
    return scores.argmax(dim=-1)  # torch gives the first of equal values


def rank_of_target(scores: Tensor, target: Tensor) -> Tensor:
    """Return how many classes come before the true one: scores (V, C), target (V,) -> (V,) int64.

    It is 0 if `best_class` is right, and below 5 if the target is among the first five of `rank_classes`.
    """
    own = scores.gather(1, target[:, None])  # (V, 1)
    is_earlier = torch.arange(scores.shape[1], device=scores.device) < target[:, None]  # (V, C)
    return ((scores > own) | ((scores == own) & is_earlier)).sum(1)


def nearest_rows(cosines: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k highest values of each row and their places, highest first: (B, R) -> (B, K) and (B, K).

    If values are equal, the first place wins; this also decides which of them are among the k.
    """
    k = min(k, cosines.shape[1])
    values, places = cosines.topk(k, dim=1)
    if k == 0 or torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():
        return values, places  # ONNX takes the first of equal values anyway
    # topk picks any of several equal values. Sort the whole row if the last chosen value occurs more often.
    is_open = (cosines == values[:, -1:]).sum(1) > (values == values[:, -1:]).sum(1)  # (B,)
    if is_open.any():
        places[is_open] = rank_classes(cosines[is_open])[:, :k]
    places = places.sort(dim=1).values
    order = rank_classes(cosines.gather(1, places))
    places = places.gather(1, order)
    return cosines.gather(1, places), places
