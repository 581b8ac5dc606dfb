"""Background: the usual cosines in a store, from rows and names that have nothing to do with the query."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from framebank.heads.moments.cosines import apart
from framebank.heads.moments.stretches import best_mean
from framebank.store.vectors import unit

MOST_ROWS = 4096  # of a store that are read
MOST_BEHIND = 0.3  # of its level that a text may be behind the best names; docs/search.md says how it was chosen
OWN_FROM = 0.85  # the level from which a video counts as found among others, at most
OWN_SHARE = 0.05  # of a store's own rows that may fail to find another row
MOST_JUDGED = 512  # rows of a moment that the names are held against
NEEDED = 8  # names, or vectors in their place; with fewer, nothing is judged


@dataclass(frozen=True, eq=False)
class Background:
    """Rows of a store, (R, D), and everyday names or other vectors, (N, D), all unit: they show what is usual.

    `is_own` says that the names are the rows themselves, as in a search by video. A row is then not compared with
    itself. `of` has the video_id of each name that is made of a video.
    """

    rows: np.ndarray
    names: np.ndarray
    is_own: bool = False
    of: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts agree."""
        if self.rows.ndim != 2 or self.names.ndim != 2 or self.rows.shape[1] != self.names.shape[1]:
            raise ValueError(f"rows {self.rows.shape}, names {self.names.shape}")
        if self.of and len(self.of) != len(self.names):
            raise ValueError(f"{len(self.of)} video_ids, names {self.names.shape}")

    def __repr__(self) -> str:
        return f"Background(rows {self.rows.shape}, names {self.names.shape})"

    @classmethod
    def of_videos(cls, means: Mapping[str, np.ndarray], mean_row: np.ndarray | None) -> "Background":
        """Return the background of a query that is made of rows, from the mean row (D,) of each of some videos.

        They are compared as `cosines_of` compares rows.
        """
        vectors = apart(unit(np.stack(list(means.values()))), mean_row)
        return cls(vectors, vectors, is_own=True, of=tuple(means))

    @property
    def is_enough(self) -> bool:
        """Whether there are enough names to judge by."""
        return len(self.names) >= NEEDED and len(self.rows) > 0

    @cached_property
    def usual(self) -> tuple[float, float]:
        """The median cosine of a row and a name, and the median cosine of a row and its nearest name."""
        cosines = self.rows @ self.names.T  # (R, N)
        if self.is_own:
            np.fill_diagonal(cosines, np.nan)
        return float(np.nanmedian(cosines)), float(np.median(np.nanmax(cosines, axis=1)))

    @cached_property
    def least(self) -> float:
        """The level from which a video counts as found: 95 of 100 rows find another row at this level."""
        cosines = self.rows @ self.names.T
        np.fill_diagonal(cosines, -1.0)
        unrelated, fitting = self.usual
        nearest = np.quantile(cosines.max(axis=1), OWN_SHARE)
        return min(OWN_FROM, float((nearest - unrelated) / max(fitting - unrelated, 1e-6)))

    def level(self, nearest: np.ndarray) -> float:
        """Return how near the nearest rows come to a query, from its cosines (K,) to `num_nearest` of them.

        0 is the cosine of a row and an unrelated name. 1 is the cosine of a row and the name that fits it best.
        """
        unrelated, fitting = self.usual
        return float((np.mean(nearest) - unrelated) / max(fitting - unrelated, 1e-6))

    def behind(self, query: np.ndarray, nearest: np.ndarray) -> float:
        """Return how far a query (D,) is behind the names that fit best, at the rows (K, D) nearest to it.

        The unit is that of `level`. Below 0, the query fits these rows better than any name does.
        """
        unrelated, fitting = self.usual
        ahead = (nearest @ self.names.T).max(axis=1) - nearest @ query  # (K,)
        return float(ahead.mean() / max(fitting - unrelated, 1e-6))

    def finds(self, query: np.ndarray, nearest: np.ndarray) -> bool:
        """Return whether the rows (K, D) nearest to a query (D,), all unit, show it; true if nothing can say.

        A text must be behind the best names by no more than MOST_BEHIND of its level: names that fit the rows better
        say that they show something else. A video must only be near.
        """
        if not self.is_enough:
            return True
        level = self.level(nearest @ query)
        return level >= self.least if self.is_own else self.behind(query, nearest) <= MOST_BEHIND * level

    def chance(self, rows: np.ndarray, cosine: float, *, without: Collection[str] = ()) -> float:
        """Return the share of the names, from 0 to 1, that fit some rows (T, D) at least as well as a query does.

        `cosine` is the query's mean cosine to the rows that fit it best, as `best_mean` gives it; so is that of each
        name. One name is always counted, so the chance is never 0. Names of the videos `without` are not counted, such
        as those of the rows and of the query.
        """
        others = best_mean(self.names @ some_of(rows, MOST_JUDGED).T)  # (N,)
        if self.of:
            others = others[[video_id not in without for video_id in self.of]]
        return float((1 + np.count_nonzero(others >= cosine)) / (1 + len(others)))


def num_nearest(num_rows: int) -> int:
    """Return how many rows count as the nearest ones of a query: a third of the square root of their number.

    This is one row if there are few. It grows with the number of rows, because among many rows some are near by chance.
    """
    return max(1, min(num_rows, round(math.sqrt(num_rows) / 3)))


def some_of(rows: np.ndarray, most: int = MOST_ROWS) -> np.ndarray:
    """Return at most `most` of the rows (R, D), evenly spread from first to last."""
    if len(rows) <= most:
        return rows
    return np.ascontiguousarray(rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)])
