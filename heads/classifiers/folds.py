"""Folds: parts of the training videos. Each part judges what was learned from all the others."""

import torch
from torch import Tensor

FOLDS = 5


def fold_parts(
    pooled: Tensor, answers: Tensor, target: Tensor, groups: Tensor | None
) -> tuple[list[tuple[Tensor, Tensor, Tensor]], Tensor]:
    """Return what each fold is judged by, and the target (J,) of the videos that judge, fold by fold.

    A part has pooled training videos (N, G, D), their `answers` (N, ...), and the pooled videos that are held out of
    it. They are divided by `fold_numbers` of target (V,). There is no part if no video can judge.
    """
    fold = fold_numbers(target, groups)
    numbers = range(int(fold.max()) + 1)
    parts = [(pooled[fold != number], answers[fold != number], pooled[fold == number]) for number in numbers]
    return parts, torch.cat([target[:0], *(target[fold == number] for number in numbers)])


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
    owned = [groups[target == number].unique() for number in target.unique().tolist()]
    count = min(most, max((len(own) for own in owned), default=0))
    taken: dict[int, int] = {}
    used = torch.zeros(max(count, 1), dtype=torch.long)  # groups in each fold
    for own in owned:
        here = torch.zeros_like(used)  # groups of this class in each fold
        for group in own[torch.randperm(len(own), generator=generator)].tolist():
            if group not in taken:
                order = here * (len(groups) + 1) + used  # the fold with the fewest of the class, then of all
                taken[group] = int(order.argmin())
                used[taken[group]] += 1
            here[taken[group]] += 1
    fold = torch.tensor([taken[group] for group in groups.tolist()], dtype=torch.long)
    alone = [number for number in target.unique().tolist() if len(fold[target == number].unique()) < 2]
    kept = torch.isin(groups, groups[torch.isin(target, torch.tensor(alone, dtype=target.dtype))])
    return fold.masked_fill(kept, -1)
