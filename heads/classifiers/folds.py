"""Folds: parts of the training videos, each of which judges what was learned from all others."""

import torch
from torch import Tensor

FOLDS = 5


def fold_numbers(target: Tensor, groups: Tensor | None = None, *, most: int = FOLDS) -> Tensor:
    """Return the fold of each video, always the same: target (V,) -> (V,) int64, or -1 where it judges in no fold.

    Each class is spread over the folds, no more of them than the class with the most groups has. No group of `groups`
    (V,) is divided; without them each video is its own. A class of one group is always trained on, never judged.

    >>> fold_numbers(torch.tensor([0, 0, 1, 1, 2])).tolist()
    [0, 1, 1, 0, -1]
    """
    groups = torch.arange(len(target)) if groups is None else groups
    generator = torch.Generator().manual_seed(0)
    owned = [groups[target == number].unique() for number in target.unique().tolist()]
    count = min(most, max((len(own) for own in owned), default=0))
    taken: dict[int, int] = {}
    used = torch.zeros(max(count, 1), dtype=torch.long)  # groups in each fold
    for own in owned:
        here = torch.zeros_like(used)  # groups of this class in each fold
        for group in own[torch.randperm(len(own), generator=generator)].tolist():
            if group not in taken:
                order = here * (len(groups) + 1) + used  # the fold that has the fewest of the class, and then of all
                taken[group] = int(order.argmin())
                used[taken[group]] += 1
            here[taken[group]] += 1
    fold = torch.tensor([taken[group] for group in groups.tolist()], dtype=torch.long)
    alone = [number for number in target.unique().tolist() if len(fold[target == number].unique()) < 2]
    kept = torch.isin(groups, groups[torch.isin(target, torch.tensor(alone, dtype=target.dtype))])
    return fold.masked_fill(kept, -1)
