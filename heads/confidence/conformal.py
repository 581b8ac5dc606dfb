"""Conformal: sets of labels that hold the true label as often as the caller asked for.

The method is split conformal prediction with least ambiguous sets (Sadinle et al. 2019, arXiv 1609.00451).
"""

import math
from collections.abc import Sequence

import numpy as np

from framebank.heads.confidence.scaling import FEWEST
from framebank.store.counts import counted
from framebank.store.errors import DataError


def label_sets(
    scores: np.ndarray,
    *,
    level: float,
    known: Sequence[float],
    classes: Sequence[int] = (),
    where: object = "the run",
) -> np.ndarray:
    """Return which labels are in the set of each video, (V, C): those with a probability that is high enough.

    `known` (N,) are 1 - p of the true class of validation videos. The sets hold the true label for `level` of the
    videos, over draws of such videos (split conformal, least ambiguous sets). A set may be empty if no class is likely
    enough, and it may hold every class. If `classes` (N,) of the validation videos are given, this holds for each class
    separately, and a class with too few videos is in every set. DataError if there are too few validation videos.
    """
    if not 0 < level < 1:
        raise DataError(f"the level of the sets is {level}; expected a share between 0 and 1, such as 0.9")
    needed = fewest(level)
    if len(known) < needed:
        raise DataError(
            f"{where}: keeps the scores of {counted(len(known), 'validation video')} to make sets by; expected "
            f"{needed} or more for {100 * level:g} %, by `framebank temperature RUN --split val`, or a larger "
            f"--val-fraction of `train`; both keep scores of {FEWEST} videos or more"
        )
    held = np.asarray(known, dtype=np.float64)
    if not len(classes):
        return np.asarray(1 - scores <= _quantile(held, level))
    own = np.asarray(classes)
    ends = np.array([_quantile(held[own == place], level) for place in range(scores.shape[1])])
    return np.asarray(1 - scores <= ends)


def fewest(level: float) -> int:
    """Return how many validation videos sets of that level need, of each class if they are by class.

    >>> fewest(0.9), fewest(0.99)
    (9, 99)
    """
    return math.ceil(level / (1 - level) - 1e-9)


def _quantile(known: np.ndarray, level: float) -> float:
    """Return the score that `level` of further scores do not exceed; infinity if there are too few to tell."""
    rank = math.ceil((len(known) + 1) * level - 1e-9)
    return float(np.sort(known)[rank - 1]) if rank <= len(known) else math.inf
