"""Rows of a report: one unit vector for each of some videos of a store, and the norms of their rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framebank.store.features import FeatureStore
from framebank.store.vectors import has_direction, unit

AT_ONCE = 1024  # videos whose rows are in memory together


@dataclass(frozen=True, eq=False)
class PooledVideos:
    """The videos at `places` (V,) of a list, each as the mean of its unit rows, a unit vector (V, D).

    `norms` are those of all rows that were read, `broken` counts rows that are zero or hold a value that is not a
    number; a video whose rows are all broken is left out.
    """

    places: np.ndarray
    vectors: np.ndarray
    norms: np.ndarray
    broken: int


def pooled_videos(store: FeatureStore, ids: Sequence[str]) -> PooledVideos:
    """Read the rows of some videos of a store, a part at a time, and pool each video."""
    places, vectors, norms, broken = [], [], [], 0
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        data, _, ends = store.read_some(some, "frame")
        good = has_direction(data)
        broken += int((~good).sum())
        rows = np.where(good[:, None], unit(np.where(good[:, None], data, 0)), 0)
        sums = np.add.reduceat(rows, np.append([0], ends[:-1]))  # (V, D)
        kept = has_direction(sums)
        places.append(start + np.flatnonzero(kept))
        vectors.append(unit(sums[kept]))
        norms.append(np.linalg.norm(data[good].astype(np.float32), axis=1))
    return PooledVideos(np.concatenate(places), np.concatenate(vectors), np.concatenate(norms), broken)


def drawn(count: int, *, most: int, seed: int = 0) -> np.ndarray:
    """Return all places below `count`, or `most` of them drawn by seed, ascending: (N,)."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])
