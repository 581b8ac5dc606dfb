"""Targets: the labels that a classifier is fitted to, and which of the videos it holds out to choose by."""

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.store.errors import DataError


def label_matrix(target: Tensor, num_classes: int) -> Tensor:
    """Return 1 for each label of each video, else 0: target (V,), or (V, C) of several labels -> (V, C) float64."""
    return target.double() if target.ndim == 2 else F.one_hot(target, num_classes).double()


def require_single_labels(target: Tensor, *, name: str) -> None:
    """Refuse videos of several labels, target (V, C): DataError."""
    if target.ndim != 1:
        raise DataError(
            f"the classifier {name!r} learns from one label for each video; expected ridge where videos have several"
        )


def held_out(target: Tensor, *, share: float = 0.2) -> Tensor:
    """Draw the videos to choose by, always the same: target (V,) or (V, C) -> (V,) true where held out.

    A share of each class's videos, at least one, but none of a class of one video; of several labels a share of all.
    """
    generator = torch.Generator().manual_seed(0)
    held = torch.zeros(len(target), dtype=torch.bool)
    classes = target if target.ndim == 1 else torch.zeros(len(target), dtype=torch.long)
    for number in classes.unique():
        own = (classes == number).nonzero().flatten()
        count = max(1, round(share * len(own))) if len(own) > 1 else 0
        held[own[torch.randperm(len(own), generator=generator)[:count]]] = True
    return held
