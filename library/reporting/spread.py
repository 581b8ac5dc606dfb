"""Spread of a store for its report: lengths of its videos, norms of its rows, and videos unlike their class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.store.vectors import unit

BINS = 40  # at most
FAR = 3.0  # the far end is left out of a picture if it is beyond so many times the 99 % quantile
SHOWN = 20
FEWEST = 4  # videos of a class that have a centre


@dataclass(frozen=True)
class Spread:
    """Numbers in bins: `edges` (N + 1,) and `counts` (N,), with the least, the middle and the largest of all.

    `above` counts the numbers past the last edge: the highest hundredth is left out if it goes as far as FAR times.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    least: float
    middle: float
    most: float
    total: float
    above: int

    def to_dict(self) -> dict[str, Any]:
        """Return least, middle and largest as plain values."""
        return {"least": self.least, "median": self.middle, "most": self.most}


@dataclass(frozen=True)
class Outlier:
    """A video that is unlike the others of its class: its cosine to their centre, and the middle one of the class."""

    video_id: str
    label: str
    cosine: float
    usual: float


def spread_of(numbers: np.ndarray) -> Spread:
    """Return how numbers (N,) are spread."""
    end, low, most = float(np.quantile(numbers, 0.99)), float(numbers.min()), float(numbers.max())
    end = most if most <= FAR * end else end
    end = end if end > low else low + 1.0
    bins = min(BINS, max(8, round(len(numbers) ** 0.5)))
    counts, edges = np.histogram(numbers[numbers <= end], bins=bins, range=(low, end))
    return Spread(
        tuple(edges.tolist()),
        tuple(counts.tolist()),
        low,
        float(np.median(numbers)),
        most,
        float(numbers.sum()),
        int((numbers > end).sum()),
    )


def outliers_of(vectors: np.ndarray, labels: Sequence[str], ids: Sequence[str]) -> tuple[Outlier, ...]:
    """Return the videos that are least like their class, by the centre of its other videos: unit vectors (V, D).

    They are ranked by how far their cosine lies below the middle one of their class; those that reach it are none.
    Classes with fewer than FEWEST videos, and videos without a label, have none.
    """
    names = np.array(labels)
    cosines, usual = np.full(len(names), np.nan), np.full(len(names), np.nan)
    for name in np.unique(names[names != ""]).tolist():
        own = np.flatnonzero(names == name)
        if len(own) >= FEWEST:
            others = unit(vectors[own].sum(0) - vectors[own])  # the centre of the rest, for each
            cosines[own] = np.einsum("vd,vd->v", others, vectors[own])
            usual[own] = np.median(cosines[own])
    order = np.argsort(np.where(np.isnan(cosines), np.inf, cosines - usual), kind="stable")
    kept = [row for row in order[:SHOWN].tolist() if cosines[row] < usual[row]]
    return tuple(Outlier(ids[row], labels[row], float(cosines[row]), float(usual[row])) for row in kept)
