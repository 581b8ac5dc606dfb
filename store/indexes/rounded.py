"""Rounded: vectors as codes of 8 bits a value, and the most that a score by the codes is wrong."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from framebank.store.indexes.viewing import search_shares, shares, viewing

HALF = 127  # steps from the middle of a column to its ends; the greatest value of a query is as many
AT_ONCE = 256  # vectors that are rounded together: so few stay in the cache of a core
SLACK = 1e-5  # of the norms: what sums of float32 lose
TINY = np.finfo(np.float32).tiny


class RoundedVectors:
    """Codes (V, D) uint8 of vectors, which a search reads in a quarter of the time of float32.

    Vectors and queries are turned first: a few columns of CLIP have values far above all others, and would take the
    steps that the others need. A query is rounded too, so that faiss multiplies whole numbers. `error` is the greatest
    distance of a vector from its code, and `length` the greatest norm of a code, in steps: with these, a search knows
    how wrong a score can be.
    """

    def __init__(self, codes: np.ndarray, grid: "_Grid", *, error: float, length: float) -> None:
        self.codes = codes
        self.error = error
        self.length = length
        self._grid = grid
        self._views = [viewing(share) for share in shares(codes)]

    @classmethod
    def of(cls, vectors: np.ndarray) -> "RoundedVectors | None":
        """Round vectors (V, D), float32 or float16; None if a value is not finite."""
        codes = np.empty(vectors.shape, dtype=np.uint8)
        parts = list(zip(shares(vectors), shares(codes), strict=True))
        turn = _Turn.drawn(vectors.shape[1])
        with ThreadPoolExecutor(len(parts)) as pool:
            lowest, highest = zip(*pool.map(lambda part: _range(part[0], turn), parts), strict=True)
            low, high = np.min(lowest, axis=0), np.max(highest, axis=0)
            if not np.isfinite([low, high]).all():
                return None
            grid = _Grid(turn, (low + high) / 2, np.maximum((high - low) / (2 * HALF), TINY))
            found = list(pool.map(lambda part: grid.round(*part), parts))
        error, length = np.max(found, axis=0)
        lost = SLACK * np.linalg.norm(np.maximum(np.abs(low), np.abs(high)))
        return cls(codes, grid, error=float(error + lost), length=float(length))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k highest scores by codes of each query (Q, D), highest first, and their rows, both (Q, k)."""
        turned = self._grid.turn(queries)
        _, whole, unit = self._rounded(turned)
        scores, rows = search_shares(self._views, whole, k)
        return scores * unit + (turned @ self._grid.middle)[:, None], rows

    def wrong(self, queries: np.ndarray) -> np.ndarray:
        """Return the most (Q,) by which a score of each query (Q, D) is wrong."""
        scaled, whole, unit = self._rounded(self._grid.turn(queries))
        lost = np.linalg.norm(scaled - whole * unit, axis=1)
        wrong: np.ndarray = self.length * lost + self.error * np.linalg.norm(queries, axis=1)
        return wrong

    def _rounded(self, turned: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return turned queries (Q, D) in steps of the codes, the whole numbers that stand for them, and their unit."""
        scaled = turned * self._grid.step
        unit = np.maximum(np.abs(scaled).max(axis=1, keepdims=True) / HALF, TINY)
        return scaled, np.rint(scaled / unit), unit


@dataclass(frozen=True)
class _Turn:
    """A rotation by two small ones: a vector is a table (A, B); `left` turns its columns, `right` its rows."""

    left: np.ndarray
    right: np.ndarray

    @classmethod
    def drawn(cls, width: int) -> "_Turn":
        """Draw one for vectors of a width, whose table is as square as can be."""
        rows = next(count for count in range(math.isqrt(width), 0, -1) if width % count == 0)
        rng = np.random.default_rng(0)
        sizes = (rows, width // rows)
        return cls(*(np.linalg.qr(rng.standard_normal((size, size)))[0].astype(np.float32) for size in sizes))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Turn vectors (V, D); return float32."""
        tables = vectors.astype(np.float32, copy=False).reshape(-1, len(self.left), len(self.right))
        turned: np.ndarray = (self.left @ (tables @ self.right)).reshape(vectors.shape)
        return turned


@dataclass(frozen=True)
class _Grid:
    """What codes stand for: `step` times (code - 128) from the `middle` of each turned column, both (D,)."""

    turn: _Turn
    middle: np.ndarray
    step: np.ndarray

    def round(self, vectors: np.ndarray, codes: np.ndarray) -> tuple[float, float]:
        """Write the codes (V, D) of vectors; return the greatest distance of a vector from its code, and `length`."""
        farthest = longest = 0.0
        for first in range(0, len(vectors), AT_ONCE):
            steps, own = self.turn(vectors[first : first + AT_ONCE]), codes[first : first + AT_ONCE]
            steps -= self.middle
            steps /= self.step
            longest = max(longest, _longest(steps))
            steps += HALF + 1.5
            np.copyto(own, steps, casting="unsafe")  # it cuts off what is behind the point
            steps -= own
            steps -= 0.5
            steps *= self.step
            farthest = max(farthest, _longest(steps))
        return farthest, longest + 0.5 * vectors.shape[1] ** 0.5


def _range(vectors: np.ndarray, turn: _Turn) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of each turned column of vectors (V, D), both (D,) float32."""
    low = np.full(vectors.shape[1], np.inf, dtype=np.float32)
    high = -low
    for first in range(0, len(vectors), AT_ONCE):
        with np.errstate(invalid="ignore"):
            turned = turn(vectors[first : first + AT_ONCE])
        np.minimum(low, turned.min(axis=0), out=low)
        np.maximum(high, turned.max(axis=0), out=high)
    return low, high


def _longest(vectors: np.ndarray) -> float:
    """Return the greatest norm of vectors (V, D)."""
    return math.sqrt(np.einsum("vd,vd->v", vectors, vectors).max())
