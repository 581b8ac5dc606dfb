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
OF_A_CELL = 50_000  # pairs of videos that one block of a cell gives
MOST, MOST_EACH = 2000, 2  # pairs of videos: so many, and so many more for each video
JUDGES, ROWS_OF_JUDGE = 200, 8  # videos whose rows say what is a usual cosine
RIVAL = 8  # the video among them, from the nearest on, whose cosine counts as usual
HIGHEST = 0.95  # what counts as usual at the most, so that a row can still say something


@dataclass(frozen=True, repr=False)
class Judges:
    """Some rows of up to JUDGES videos, `ids` (J,): `rows` (ROWS_OF_JUDGE * J, D), first the first one of each video.

    A video that has fewer rows gives some of them twice.
    """

    rows: np.ndarray
    ids: np.ndarray

    @classmethod
    def of(cls, packs: PackedRows) -> "Judges":
        """Choose them evenly from all videos."""
        ids = np.unique(np.linspace(0, len(packs) - 1, min(JUDGES, len(packs))).astype(np.int64))
        chosen = np.linspace(packs.starts[ids], packs.ends[ids] - 1, ROWS_OF_JUDGE).astype(np.int64)
        return cls(packs.rows[chosen.reshape(-1)], ids)

    def usual(self, rows: np.ndarray, video_of: np.ndarray) -> np.ndarray:
        """Return for some rows (N, D) of videos (N,) the cosine (N,) of the nearest row of the RIVAL-th nearest video.

        A video that has a few copies still has other videos as rivals.
        """
        rank = min(RIVAL, max(1, len(self.ids) // 2))
        nearest = (rows @ self.rows.T).reshape(len(rows), ROWS_OF_JUDGE, -1).max(axis=1)  # (N, J)
        nearest[video_of[:, None] == self.ids[None, :]] = -1.0
        found: np.ndarray = np.minimum(np.partition(nearest, -rank, axis=1)[:, -rank], HIGHEST)
        return found


def near_pairs_of_videos(packs: PackedRows, *, split_at: int = 0, level: float) -> np.ndarray:
    """Return pairs (N, 2) of videos with rows nearer than `level`, those with the most votes first.

    There are MOST pairs at most, and MOST_EACH more for each video. A row of the one gives one vote to each other
    video, by its nearest row there. With `split_at`, one video of a pair is before it and the other is not.
    """
    video_of = packs.video_of
    pairs: list[np.ndarray] = []
    votes: list[np.ndarray] = []
    for own in _cells(packs.rows):
        for first, second, told in _votes(packs.rows[own], video_of[own], level=level):
            keep = (first < split_at) & (second >= split_at) if split_at else first < second
            first, second, told = first[keep], second[keep], told[keep]
            if len(told) > OF_A_CELL:
                best = np.argpartition(-told, OF_A_CELL)[:OF_A_CELL]
                first, second, told = first[best], second[best], told[best]
            pairs.append(first * len(packs) + second)
            votes.append(told)
    named, places = np.unique(np.concatenate(pairs), return_inverse=True)  # cells share rows, and blocks share videos
    sums = np.bincount(places, weights=np.concatenate(votes), minlength=len(named))
    best = np.argsort(-sums, kind="stable")[: MOST + MOST_EACH * len(packs)]
    return np.stack([named[best] // len(packs), named[best] % len(packs)], axis=1)


def _votes(
    rows: np.ndarray, video_of: np.ndarray, *, level: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield pairs of videos, (N,) and (N,), with their votes (N,), from rows in the order of their videos."""
    begins, videos = _groups(video_of)
    for at in range(0, len(rows), BLOCK):
        nearest = np.maximum.reduceat(rows[at : at + BLOCK] @ rows.T, begins, axis=1)  # (B, V)
        firsts, own = _groups(video_of[at : at + BLOCK])
        told = np.add.reduceat(np.maximum(nearest - level, 0.0), firsts, axis=0)  # (own, V)
        first, second = np.nonzero(told)
        yield own[first], videos[second], told[first, second]


def _groups(video_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each video begins among rows in their order, and which video it is."""
    begins = np.flatnonzero(np.concatenate([[True], video_of[1:] != video_of[:-1]]))
    return begins, video_of[begins]


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
