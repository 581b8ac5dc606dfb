"""Targets: the labels that a classifier is fitted to, and the videos that it holds out to choose by."""

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.store.errors import DataError


def label_matrix(target: Tensor, num_classes: int) -> Tensor:
    """Return 1 for each label of each video, else 0: target (V,), or (V, C) with several labels -> (V, C) float64."""
    return target.double() if target.ndim == 2 else F.one_hot(target, num_classes).double()


def require_single_labels(target: Tensor, *, name: str) -> None:
    """Raise DataError if videos have several labels, target (V, C)."""
    if target.ndim != 1:
        raise DataError(
            f"the classifier {name!r} learns from one label for each video; expected ridge where videos have several"
        )


def held_out(target: Tensor, groups: Tensor | None = None, *, share: float = 0.2) -> Tensor:
    """Draw the videos to choose by, always the same: target (V,) or (V, C) -> (V,), true if held out.

    It is a share of each class's videos, at least one, but none of a class with one video. With several labels it is a
    share of all videos. If the videos have `groups` (V,), whole groups are held out: in random order, those that bring
    a class nearer to its share, but never all groups of a class.
    """
    generator = torch.Generator().manual_seed(0)
    held = torch.zeros(len(target), dtype=torch.bool)
    classes = target if target.ndim == 1 else torch.zeros(len(target), dtype=torch.long)
    are_grouped = groups is not None and len(groups.unique()) < len(groups)
    for number in classes.unique():
        own = (classes == number).nonzero().flatten()
        count = max(1, round(share * len(own))) if len(own) > 1 else 0
        order = own[torch.randperm(len(own), generator=generator)]
        if are_grouped and groups is not None:
            _hold_out_groups(classes, groups, held, order, count)
        else:
            held[order[:count]] = True
    return held


def _hold_out_groups(classes: Tensor, groups: Tensor, held: Tensor, order: Tensor, count: int) -> None:
    """Hold out about `count` of the videos of a class. `order` lists these videos."""
    for group in dict.fromkeys(groups[order].tolist()):
        members = groups == group
        left = count - int(held[order].sum())
        rest = classes[~(held | members)]
        keeps_all = torch.isin(classes[members], rest).all()
        if keeps_all and left > 0 and (int(members[order].sum()) < 2 * left or left == count):
            held |= members
