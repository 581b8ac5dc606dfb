"""Nearest pairs of a report: videos of different splits that look alike, which make a test easier than it says."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.store.errors import DataError

ALIKE = 0.99  # cosine from which two videos are called near-duplicates
FEWEST, SHOWN = 10, 60  # pairs in the list: the nearest ten, and further ones that are alike
AT_ONCE = 512  # videos of the asked split
MOST = 20_000  # videos on each side


@dataclass(frozen=True)
class NearPair:
    """Two videos of different splits, by their ids, and the cosine of their pooled embeddings."""

    first: str
    second: str
    first_split: str
    second_split: str
    cosine: float


@dataclass(frozen=True)
class NearPairs:
    """The nearest video in another split of each of `compared` videos: the nearest pairs.

    `alike` counts the pairs with a cosine of ALIKE or more. `compared` of `listed` videos were compared.
    """

    pairs: tuple[NearPair, ...]
    alike: int
    compared: int
    listed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return {"alike": self.alike, "compared": self.compared, "listed": self.listed}


def near_pairs_of(
    vectors: np.ndarray, splits: Sequence[str], ids: Sequence[str], *, asked: str, listed: int
) -> NearPairs:
    """Return the nearest video in another split of each video of the split `asked`: unit vectors (V, D).

    `listed` is how many videos that split has, if some were drawn. DataError if all videos are in one split.
    """
    names = np.array(splits)
    own, others = np.flatnonzero(names == asked), np.flatnonzero(names != asked)
    if not len(own) or not len(others):
        raise DataError("all videos are in one split")
    best = np.empty(len(own), dtype=np.float32)
    nearest = np.empty(len(own), dtype=np.int64)
    for start in range(0, len(own), AT_ONCE):
        cosines = vectors[own[start : start + AT_ONCE]] @ vectors[others].T
        nearest[start : start + AT_ONCE] = others[cosines.argmax(1)]
        best[start : start + AT_ONCE] = cosines.max(1)
    alike = int((best >= ALIKE).sum())
    order = np.argsort(-best, kind="stable")[: min(SHOWN, max(FEWEST, alike))]
    pairs = tuple(
        NearPair(ids[own[row]], ids[nearest[row]], splits[own[row]], splits[nearest[row]], min(1.0, float(best[row])))
        for row in order.tolist()
    )
    return NearPairs(pairs, alike, len(own), listed)


def near_pairs_across(vectors: np.ndarray, splits: Sequence[str], ids: Sequence[str], *, listed: int) -> NearPairs:
    """Return the nearest video in another split of each video that is not in the largest split.

    DataError if all videos are in one split.
    """
    sizes = Counter(splits)
    largest = max(sizes, key=lambda name: (sizes[name], name))
    if len(sizes) < 2:
        raise DataError("all videos are in one split")
    found = [near_pairs_of(vectors, splits, ids, asked=name, listed=listed) for name in sizes if name != largest]
    nearest: dict[frozenset[str], NearPair] = {}
    for pair in sorted((pair for one in found for pair in one.pairs), key=lambda pair: -pair.cosine):
        nearest.setdefault(frozenset((pair.first, pair.second)), pair)
    alike = sum(one.alike for one in found)
    shown = list(nearest.values())[: min(SHOWN, max(FEWEST, alike))]
    return NearPairs(tuple(shown), alike, sum(one.compared for one in found), listed)
