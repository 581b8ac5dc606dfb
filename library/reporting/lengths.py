"""Lengths of a report: how long the videos are, and whether long ones are recognised as well as short ones."""

import itertools

import numpy as np

from framebank.library.reporting.runs import EvaluatedRun
from framebank.library.reporting.share import RightShare

PARTS = 4


def accuracy_by_length(run: EvaluatedRun, seconds: np.ndarray) -> tuple[RightShare, ...]:
    """Return the accuracy in four parts with equally many videos, the short ones first: seconds (V,) -> parts.

    Parts are empty if nearly all videos are equally long.
    """
    edges = np.unique(np.quantile(seconds, np.linspace(0, 1, PARTS + 1)))
    if len(edges) < 3 or edges[-1] - edges[0] < 0.1:
        return ()
    part_of = np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, len(edges) - 2)
    return tuple(
        RightShare(f"{low:.1f} to {high:.1f} s", int((part_of == part).sum()), int(run.correct[part_of == part].sum()))
        for part, (low, high) in enumerate(itertools.pairwise(edges))
        if (part_of == part).any()
    )
