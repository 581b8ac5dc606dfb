"""Background: what cosines mean in a store, by rows that nobody asked for and names that nobody gave."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

MOST_ROWS = 4096  # of a store that are looked at
FOUND_FROM = 0.85  # the level from which on something is found; docs/search.md has what it was chosen by
OWN_SHARE = 0.05  # of a store's own rows that may find no other
NEEDED = 8  # names, or vectors in their place; by fewer nothing is judged


@dataclass(frozen=True, eq=False)
class Background:
    """Rows of a store, (R, D), and everyday names or other vectors, (N, D), all of length 1, that tell what is usual.

    `is_own` says that the names are the rows themselves, as where a video is asked for: a row is not held against
    itself then.
    """

    rows: np.ndarray
    names: np.ndarray
    is_own: bool = False

    def __post_init__(self) -> None:
        """Check that the parts agree."""
        if self.rows.ndim != 2 or self.names.ndim != 2 or self.rows.shape[1] != self.names.shape[1]:
            raise ValueError(f"rows {self.rows.shape}, names {self.names.shape}")

    def __repr__(self) -> str:
        return f"Background(rows {self.rows.shape}, names {self.names.shape})"

    @property
    def is_enough(self) -> bool:
        """Whether something can be judged by it."""
        return len(self.names) >= NEEDED and len(self.rows) > 0

    @cached_property
    def usual(self) -> tuple[float, float]:
        """The median cosine of a row and a name, and the median cosine of a row and the name that is nearest to it."""
        cosines = self.rows @ self.names.T  # (R, N)
        if self.is_own:
            np.fill_diagonal(cosines, np.nan)
        return float(np.nanmedian(cosines)), float(np.median(np.nanmax(cosines, axis=1)))

    @cached_property
    def least(self) -> float:
        """The level from which on something is found.

        Where the names are the rows themselves, 95 of 100 of them find another one at it.
        """
        if not self.is_own:
            return FOUND_FROM
        cosines = self.rows @ self.names.T
        np.fill_diagonal(cosines, -1.0)
        unrelated, fitting = self.usual
        nearest = np.quantile(cosines.max(axis=1), OWN_SHARE)
        return min(FOUND_FROM, float((nearest - unrelated) / max(fitting - unrelated, 1e-6)))

    def level(self, nearest: np.ndarray) -> float:
        """Return how near the rows come that are nearest to a query, from its cosines (K,) to `num_nearest` of them.

        0 is the cosine of a row and a name that have nothing to do with one another, 1 that of a row and the name that
        fits it best.
        """
        unrelated, fitting = self.usual
        return float((np.mean(nearest) - unrelated) / max(fitting - unrelated, 1e-6))

    def finds(self, nearest: np.ndarray) -> bool:
        """Return whether the rows nearest to a query are near enough, from its cosines (K,); true if none can say."""
        return not self.is_enough or self.level(nearest) >= self.least

    def chance(self, rows: np.ndarray, cosine: float) -> float:
        """Return how many of the names, as a share from 0 to 1, fit some rows (T, D) at least as well as a query.

        `cosine` is the query's mean cosine to the rows. One name is always counted, so that no chance is 0.
        """
        others = self.names @ rows.mean(axis=0)
        if self.is_own:
            others = others[others < 1 - 1e-5]  # not the rows themselves
        return float((1 + np.count_nonzero(others >= cosine)) / (1 + len(others)))


def num_nearest(num_rows: int) -> int:
    """Return how many rows stand for the nearest ones of a query: a third of the root of their number.

    That is one of a few rows, and more the more rows there are, since among many some are near by chance.
    """
    return max(1, min(num_rows, round(math.sqrt(num_rows) / 3)))


def some_of(rows: np.ndarray, most: int = MOST_ROWS) -> np.ndarray:
    """Return at most `most` of the rows (R, D), evenly from first to last."""
    if len(rows) <= most:
        return rows
    return np.ascontiguousarray(rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)])
