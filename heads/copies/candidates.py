"""Candidates: the pairs of videos that have rows so near each other that one may be a copy of the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from framebank.heads.copies.rows import PackedRows
from framebank.store.vectors import unit

CELL = 400  # rows that are compared with each other, of about this many
WHOLE = 12_000  # so few rows are all compared
BLOCK = 4096  # rows at once
NEAREST = 8  # matches of each row, in the mean
MOST = 40_000  # pairs of videos
JUDGES, ROWS_OF_JUDGE = 200, 24  # videos whose rows say what is a usual cosine
RIVAL = 8  # the video among them, from the nearest on, whose cosine counts as usual
HIGHEST = 0.95  # what counts as usual at the most, so that a row can still say something


@dataclass(frozen=True, repr=False)
class Judges:
    """Some rows (N, D) of up to JUDGES videos, `ids` (J,); those of the j-th begin at `begins` (J,)."""

    rows: np.ndarray
    ids: np.ndarray
    begins: np.ndarray

    @classmethod
    def of(cls, packs: PackedRows) -> "Judges":
        """Choose them evenly from all videos."""
        ids = np.unique(np.linspace(0, len(packs) - 1, min(JUDGES, len(packs))).astype(np.int64))
        chosen = [
            np.unique(np.linspace(start, end - 1, min(ROWS_OF_JUDGE, end - start)).astype(np.int64))
            for start, end in zip(packs.starts[ids], packs.ends[ids], strict=True)
        ]
        return cls(packs.rows[np.concatenate(chosen)], ids, np.cumsum([0, *map(len, chosen[:-1])]))

    def usual(self, rows: np.ndarray, video_of: np.ndarray) -> np.ndarray:
        """Return for some rows (N, D) of videos (N,) the cosine (N,) of the nearest row of the RIVAL-th nearest video.

        A video that has a few copies still has other videos as rivals.
        """
        rank = min(RIVAL, max(1, len(self.ids) // 2))
        nearest = np.maximum.reduceat(rows @ self.rows.T, self.begins, axis=1)  # (N, J)
        nearest[video_of[:, None] == self.ids[None, :]] = -1.0
        found: np.ndarray = np.minimum(np.partition(nearest, -rank, axis=1)[:, -rank], HIGHEST)
        return found


def near_pairs_of_videos(packs: PackedRows, *, split_at: int = 0, level: float) -> np.ndarray:
    """Return pairs (N, 2) of videos with rows nearer than `level`, those with the most votes for one offset first.

    With `split_at`, one video of a pair is before it and the other is not. At most MOST pairs.
    """
    video_of = packs.video_of
    firsts, seconds, says = [], [], []
    for own in _cells(packs.rows):
        first, second, cosines = _matches(packs.rows[own], video_of[own], split_at=split_at, level=level)
        firsts.append(own[first])
        seconds.append(own[second])
        says.append((cosines - level) / (1 - level))
    first, second, told = (np.concatenate(one) for one in (firsts, seconds, says))
    _, once = np.unique(first * len(packs.rows) + second, return_index=True)  # two cells may share both rows
    return _voted(packs, video_of, first[once], second[once], told[once])


def _cells(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield groups of rows (R, D), by their places, in which near rows are together; a row is in two of them."""
    if len(rows) <= WHOLE:
        yield np.arange(len(rows))
        return
    count = max(2, 2 * len(rows) // CELL)
    centres = rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]
    some = rows[:: max(1, len(rows) // (40 * count))]
    nearest = np.concatenate([(some[at : at + BLOCK] @ centres.T).argmax(1) for at in range(0, len(some), BLOCK)])
    sums = np.zeros_like(centres)
    np.add.at(sums, nearest, some)
    centres = np.where(np.linalg.norm(sums, axis=1, keepdims=True) > 0, unit(sums), centres)
    cells = np.concatenate([_two_nearest(rows[at : at + BLOCK], centres) for at in range(0, len(rows), BLOCK)])
    places = np.repeat(np.arange(len(rows)), 2)
    order = np.argsort(cells.reshape(-1), kind="stable")
    ends = np.searchsorted(cells.reshape(-1)[order], np.arange(count + 1))
    for start, end in pairwise(ends.tolist()):
        own = np.sort(places[order[start:end]])
        if len(own) > 1:
            yield own


def _two_nearest(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    cosines = rows @ centres.T
    best = cosines.argmax(1)
    cosines[np.arange(len(rows)), best] = -2.0
    return np.stack([best, cosines.argmax(1)], axis=1)


def _matches(
    rows: np.ndarray, video_of: np.ndarray, *, split_at: int, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places (N,) of rows of two videos that are nearer than `level`, and their cosines (N,)."""
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for at in range(0, len(rows), BLOCK):
        part = slice(at, at + BLOCK)
        cosines = rows[part] @ rows.T
        first, second = np.nonzero(cosines > level)
        values = cosines[first, second]
        first = first + at
        other = video_of[first] < video_of[second]  # each pair once, the earlier video first
        if split_at:
            other &= (video_of[first] < split_at) & (video_of[second] >= split_at)
        first, second, values = first[other], second[other], values[other]
        most = NEAREST * len(cosines)
        if len(values) > most:
            best = np.argpartition(-values, most)[:most]
            first, second, values = first[best], second[best], values[best]
        found.append((first, second, values))
    first, second, values = (np.concatenate(one) for one in zip(*found, strict=True))
    return first, second, values


def _voted(
    packs: PackedRows, video_of: np.ndarray, first: np.ndarray, second: np.ndarray, says: np.ndarray
) -> np.ndarray:
    """Return the pairs of videos (N, 2), those with the most votes for one offset first."""
    if not len(first):
        return np.empty((0, 2), dtype=np.int64)
    pairs = video_of[first] * len(packs) + video_of[second]
    width = 4 * np.maximum(np.maximum(packs.steps[video_of[first]], packs.steps[video_of[second]]), 1e-3)
    bins = np.floor((packs.times[second] - packs.times[first]) / width).astype(np.int64)
    order = np.lexsort((bins, pairs))
    pairs, bins, says = pairs[order], bins[order], says[order]
    begins = np.flatnonzero(np.concatenate([[True], (pairs[1:] != pairs[:-1]) | (bins[1:] != bins[:-1])]))
    votes = np.add.reduceat(says, begins)
    named = pairs[begins]
    firsts = np.flatnonzero(np.concatenate([[True], named[1:] != named[:-1]]))
    best = np.maximum.reduceat(votes, firsts)
    chosen = named[firsts][np.argsort(-best, kind="stable")[:MOST]]
    return np.stack([chosen // len(packs), chosen % len(packs)], axis=1)
