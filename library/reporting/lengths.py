"""Lengths of a report: how long the videos are, and whether long ones are recognised as well as short ones."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from framebank.heads.metrics import wilson_interval
from framebank.library.reporting.runs import EvaluatedRun

PARTS = 4


@dataclass(frozen=True)
class LengthPart:
    """The videos from `low` to `high` seconds, and how many of them are right."""

    low: float
    high: float
    videos: int
    right: int

    @property
    def title(self) -> str:
        """What stands before its figures."""
        return f"{self.low:.1f} to {self.high:.1f} s"

    @property
    def accuracy(self) -> float:
        """The share of the videos that are right."""
        return self.right / self.videos

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `accuracy`."""
        return wilson_interval(self.right, self.videos)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {"seconds": [self.low, self.high], "videos": self.videos, "accuracy": self.accuracy}


def accuracy_by_length(run: EvaluatedRun, seconds: np.ndarray) -> tuple[LengthPart, ...]:
    """Return the accuracy in four parts with equally many videos, the short ones first: seconds (V,) -> parts.

    Parts are empty if nearly all videos are equally long.
    """
    edges = np.unique(np.quantile(seconds, np.linspace(0, 1, PARTS + 1)))
    if len(edges) < 3 or edges[-1] - edges[0] < 0.1:
        return ()
    part_of = np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, len(edges) - 2)
    return tuple(
        LengthPart(float(low), float(high), int((part_of == part).sum()), int(run.correct[part_of == part].sum()))
        for part, (low, high) in enumerate(itertools.pairwise(edges))
        if (part_of == part).any()
    )
