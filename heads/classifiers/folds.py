"""Folds: parts of the training videos. Each part judges what was learned from all the others."""

import torch
from torch import Tensor

FOLDS = 5


def held_parts(target: Tensor, groups: Tensor | None) -> list[Tensor]:
    """Return which videos each fold of target (V,) holds out, (V,) bool each; no fold if no video can judge."""
    fold = fold_numbers(target, groups)
    return [fold == number for number in range(int(fold.max()) + 1)]


def fold_numbers(target: Tensor, groups: Tensor | None = None, *, most: int = FOLDS) -> Tensor:
    """Return the fold of each video, always the same: target (V,) -> (V,) int64, or -1 if it judges in no fold.

    Each class is spread over the folds. There are no more folds than the class with the most groups has groups. No
    group of `groups` (V,) is divided; without groups, each video is its own group. A class with one group is always
    trained on and never judged.

    >>> fold_numbers(torch.tensor([0, 0, 1, 1, 2])).tolist()
    [0, 1, 1, 0, -1]
    """
    groups = torch.arange(len(target)) if groups is None else groups
    generator = torch.Generator().manual_seed(0)
    pairs, pair_of = torch.stack([target, groups], 1).unique(dim=0, return_inverse=True)  # of a class and its group
    sizes = pairs[:, 0].unique_consecutive(return_counts=True)[1].tolist()
    owned = pairs[:, 1].split(sizes)
    count = min(most, max(sizes, default=0))
    taken: dict[int, int] = {}
    used = [0] * count  # groups in each fold
    alone: set[int] = set()  # groups of the classes that one fold has
    for own in owned:
        here = [0] * count  # groups of this class in each fold
        for group in own[torch.randperm(len(own), generator=generator)].tolist():
            if group not in taken:  # the fold with the fewest of the class, then of all
                taken[group] = min(range(count), key=lambda fold: (here[fold], used[fold]))
                used[taken[group]] += 1
            here[taken[group]] += 1
        if sum(map(bool, here)) < 2:
            alone.update(own.tolist())
    fold = torch.tensor([-1 if group in alone else taken[group] for group in pairs[:, 1].tolist()], dtype=torch.long)
    return fold[pair_of]
