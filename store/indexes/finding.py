"""Finder: the hits of a query among the videos of an index, or among their rows, and among what was enrolled."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from framebank.store.indexes.hit import FoundHits, Hit, ranked
from framebank.store.indexes.nearest import NearestVectors
from framebank.store.indexes.searched import Searched
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.video import Video

MOST_EXACT = 200_000  # rows left by a filter that are searched exactly, whatever the type of the index
OF_A_VIDEO = 4  # times as many rows are asked for at first, where several may be of one video


class Finder:
    """Finds in own videos and their unit `vectors` (V, D), by what is `searched`, and in enrolled videos (E, D)."""

    def __init__(
        self,
        own: VideoColumns,
        vectors: np.ndarray,
        searched: Searched,
        enrolled: Sequence[Video],
        enrolled_vectors: np.ndarray | None,
        device: str,
    ) -> None:
        self.own = own
        self.vectors = vectors
        self.searched = searched
        self.enrolled = enrolled
        self.enrolled_vectors = None if enrolled_vectors is None else NearestVectors(enrolled_vectors)
        self.device = device
        self.whole = NearestVectors(vectors, device=device)
        self.rows = NearestVectors(searched.rows.vectors, device=device) if searched.rows else self.whole
        self.is_plain = searched.rows is None and enrolled_vectors is None and len(vectors) > 0

    def serves(self, vectors: np.ndarray, searched: Searched, device: str) -> bool:
        """Return whether it was made for these."""
        return self.vectors is vectors and self.searched is searched and self.device == device

    def find(self, queries: np.ndarray, k: int, *, among: np.ndarray | None = None) -> list[Sequence[Hit]]:
        """Return the k best hits of each unit query (Q, D); `among` is a mask (V,) of the videos that may be hits."""
        if among is None and self.is_plain:
            return self._hits(self.nearest(queries, min(k, len(self.vectors)), among=None))
        found = self._best_rows(queries, k, among)
        if self.enrolled_vectors is not None and among is None:
            found = [self._with_enrolled(query, pairs, k) for query, pairs in zip(queries, found, strict=True)]
        return [[self._hit(row, -score) for score, row in pairs] for pairs in found]

    def find_whole(self, queries: np.ndarray, k: int) -> list[Sequence[Hit]]:
        """Return the k nearest own whole videos of each query (Q, D)."""
        return self._hits(self.whole.search(queries, min(k, len(self.vectors))))

    def _hits(self, found: tuple[np.ndarray, np.ndarray]) -> list[Sequence[Hit]]:
        """Return the whole videos of some scores and rows (Q, K) as hits, which are made when they are looked at."""
        make = partial(Hit.of_rows, self.own)
        return [FoundHits(make, found, query) for query in range(len(found[0]))]

    def nearest_of(self, query: np.ndarray, k: int, among: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the cosines and the rows (K,) of the k rows nearest to one query (1, D); `among` as in `find`."""
        allowed = self._rows_among(among)
        there = len(self.rows.vectors) if allowed is None else len(allowed)
        scores, rows = self.nearest(query, min(k, there), among=allowed)
        found = rows[0] >= 0
        return scores[0][found], rows[0][found]

    def _rows_among(self, among: np.ndarray | None) -> np.ndarray | None:
        """Return the rows (N,) int64 of some videos, a mask (V,); None for all."""
        if among is None:
            return None
        videos = np.flatnonzero(among)
        return self.searched.rows.rows_of(videos) if self.searched.rows else videos

    def nearest(self, queries: np.ndarray, k: int, *, among: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores and the rows (Q, K) of the k nearest rows; row -1 where there are no more.

        `among` (N,) int64 are the rows that may be found. If they are few they are compared one by one, so that a
        filter never costs a neighbour.
        """
        near = self.searched.near
        if among is None:
            return self.rows.search(queries, k) if near is None else near.search(self.rows, queries, k)
        if near is None or len(among) <= MOST_EXACT:
            return self.rows.search_among(queries, k, among)
        mask = np.zeros(len(self.rows.vectors), dtype=bool)
        mask[among] = True
        return near.search(self.rows, queries, k, among=mask)

    def _best_rows(self, queries: np.ndarray, k: int, among: np.ndarray | None) -> list[list[tuple[float, int]]]:
        """Return (-score, row) of the best row of each of the k best videos, best first, for each query."""
        rows, allowed = self.searched.rows, self._rows_among(among)
        there = len(self.rows.vectors) if allowed is None else len(allowed)
        if rows is None:
            return _pairs(*self.nearest(queries, min(k, there), among=allowed)) if there else [[] for _ in queries]
        k = min(k, len(rows.ends) if among is None else int(np.count_nonzero(among)))  # more videos are not there
        count = min(there, OF_A_VIDEO * k)
        found: list[list[tuple[float, int]]] = [[] for _ in queries]
        left = list(range(len(queries))) if there else []
        while left:
            pairs = _pairs(*self.nearest(queries[left], count, among=allowed))
            for number, own in zip(left, pairs, strict=True):
                found[number] = _one_a_video(own, rows.video_of)[:k]
            left = [number for number in left if len(found[number]) < k] if count < there else []
            count = min(there, 8 * count)
        return found

    def _with_enrolled(self, query: np.ndarray, pairs: list[tuple[float, int]], k: int) -> list[tuple[float, int]]:
        """Return the k best of what was found and of what was enrolled, whose rows come after all others."""
        enrolled = self.enrolled_vectors
        assert enrolled is not None
        first = len(self.rows.vectors)
        scores, rows = enrolled.search(query[None], min(k, len(enrolled.vectors)))
        more = [(-score, first + row) for score, row in zip(scores[0].tolist(), rows[0].tolist(), strict=True)]
        return sorted(pairs + more)[:k]

    def _hit(self, row: int, score: float) -> Hit:
        if row >= len(self.rows.vectors):
            video = self.enrolled[row - len(self.rows.vectors)]
            return Hit(video.video_id, score, video.label, video.start, video.end, True, video.path)
        rows = self.searched.rows
        if rows is None:
            return Hit.of_rows(self.own, [row], [score])[0]
        return Hit.of_rows(self.own, [int(rows.video_of[row])], [score], [rows.spans[row].tolist()])[0]

    def vector_of(self, hit: Hit, row: int) -> np.ndarray:
        """Return the unit vector (D,) that a hit was found by; `row` is its video, counted with the enrolled ones."""
        if row >= len(self.vectors):
            assert self.enrolled_vectors is not None
            found: np.ndarray = self.enrolled_vectors.vectors[row - len(self.vectors)]
            return found
        rows = self.searched.rows
        if rows is None:
            whole: np.ndarray = self.vectors[row]
            return whole
        own = rows.rows_of([row])
        best: np.ndarray = rows.vectors[own[int(np.abs(rows.spans[own, 0] - (hit.start or 0.0)).argmin())]]
        return best.astype(np.float32, copy=False)


def _pairs(scores: np.ndarray, rows: np.ndarray) -> list[list[tuple[float, int]]]:
    """Return what each query found (Q, K), as `ranked`."""
    return [ranked(*own) for own in zip(scores, rows, strict=True)]


def _one_a_video(pairs: list[tuple[float, int]], video_of: np.ndarray) -> list[tuple[float, int]]:
    """Return the first pair of each video."""
    first: dict[int, tuple[float, int]] = {}
    for pair, video in zip(pairs, video_of[[row for _, row in pairs]].tolist() if pairs else [], strict=True):
        first.setdefault(video, pair)
    return list(first.values())
