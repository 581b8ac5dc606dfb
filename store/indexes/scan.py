"""Scan: exact search by matrix products. It reads vectors faster than one sum after the other does."""

import numpy as np

AT_ONCE = 65_536  # vectors that one product compares
FEW = 4  # fewer queries take a product each: one product of all of them takes longer


def scan(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k highest inner products of each query (Q, D) and their rows in `vectors` (V, D), both (Q, k).

    `vectors` are float32, or float16, which are copied a part at a time. The highest comes first; of equal ones, the
    one with the lower row. If there are fewer than k vectors, the rest is row -1 with a score of -inf.
    """
    best = [_Best(k) for _ in queries]
    for first in range(0, len(vectors), AT_ONCE):
        part = vectors[first : first + AT_ONCE].astype(np.float32, copy=False)
        if len(queries) < FEW:
            for one, query in zip(best, queries, strict=True):
                one.add(part @ query, first)
        else:
            for one, scores in zip(best, queries @ part.T, strict=True):
                one.add(scores, first)
    found = np.full((len(queries), k), -np.inf, dtype=np.float32)
    rows = np.full((len(queries), k), -1, dtype=np.int64)
    for place, one in enumerate(best):
        found[place, : len(one.scores)], rows[place, : len(one.rows)] = one.scores, one.rows
    return found, rows


class _Best:
    """The k highest scores so far of one query, and their rows, highest first."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.scores = np.empty(0, dtype=np.float32)
        self.rows = np.empty(0, dtype=np.int64)

    def add(self, scores: np.ndarray, first: int) -> None:
        """Take the scores (N,) of the rows that begin with `first`, all of which come after those before."""
        if len(self.scores) >= self.k:
            better = np.flatnonzero(scores > self.scores[-1])
        elif len(scores) > self.k:
            place = len(scores) - self.k
            better = np.flatnonzero(scores >= np.partition(scores, place)[place])
        else:
            better = np.arange(len(scores))
        if len(better):
            scores = np.concatenate([self.scores, scores[better]])
            rows = np.concatenate([self.rows, better + first])
            order = np.argsort(-scores, kind="stable")[: self.k]
            self.scores, self.rows = scores[order], rows[order]
