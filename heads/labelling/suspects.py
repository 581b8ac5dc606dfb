"""Suspects: how much likelier another label of a video is than its own, by a probe and neighbours that never saw it."""

import numpy as np
import torch
from torch import Tensor

from framebank.heads.classifiers.folds import held_parts
from framebank.heads.classifiers.knn import KnnClassifier
from framebank.heads.classifiers.ridge import RidgeClassifier

AT_ONCE = 1024  # videos that are judged together, or fewer where they are compared with many
CELLS = 1 << 22  # cosines that are in memory at once
NEIGHBOURS = 10
PENALTY = 1.0


def out_of_fold(vectors: np.ndarray, target: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the probability of each class for each video by the videos of the other folds: (V, D) -> (V, C).

    It is the mean of a ridge probe's and of 10 neighbours'. No group of `groups` (V,) is divided. The rows of a video
    that no fold can judge, because its class has videos of one group only, are NaN. target (V,) has classes from 0 on.
    """
    x, y = torch.from_numpy(vectors.astype(np.float32)), torch.from_numpy(target.astype(np.int64))
    found = torch.full((len(y), int(y.max()) + 1), torch.nan, dtype=torch.double)
    for own in held_parts(y, torch.from_numpy(groups)):
        found[own] = _judged(x[~own], y[~own], x[own], num_classes=found.shape[1])
    return np.asarray(found.numpy())


@torch.no_grad()
def _judged(x: Tensor, y: Tensor, asked: Tensor, *, num_classes: int) -> Tensor:
    """The mean probabilities (Q, C) of both classifiers for `asked` (Q, D), which learn from x (V, D), y (V,)."""
    dim = x.shape[1]
    probe = RidgeClassifier(dim, num_classes, penalty=PENALTY, standardise=True)
    judges = (probe, KnnClassifier(dim, num_classes, k=NEIGHBOURS))
    for judge in judges:
        judge.fit(x[:, None], y, val=None)
    at_once = max(1, min(AT_ONCE, CELLS // max(1, len(x))))
    each = [[judge(some).double().softmax(1) for judge in judges] for some in asked.split(at_once)]
    return torch.cat([torch.stack(found).mean(0) for found in each])


def doubts(probabilities: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the likeliest other class (V,), its share of both classes (V,), and for which that is confident (V,).

    A share above a half says that the other class is likelier. That is confident (V,) by confident learning (Northcutt
    et al. 2021, arXiv 1911.00068): a class counts if its probability is at least the mean that its own videos have, and
    the likeliest class that counts is not the own one. A row of NaN has the share 0.
    """
    found = np.nan_to_num(probabilities, nan=0.0)
    rows = np.arange(len(target))
    own = found[rows, target]
    others = found.copy()
    others[rows, target] = -1.0
    best = others.argmax(1)
    share = np.maximum(others[rows, best], 0.0) / np.maximum(own + others[rows, best], 1e-12)
    known = ~np.isnan(probabilities).any(1)
    usual = np.full(found.shape[1], np.inf)
    for place in np.unique(target[known]).tolist():
        usual[place] = own[known & (target == place)].mean()
    counting = np.where(found >= usual, found, -1.0)
    confident = known & (counting.max(1) >= 0) & (counting.argmax(1) != target)
    return best, np.where(known, share, 0.0), confident
