"""Voting: the label of a video from the labels of its nearest neighbours."""

import math
from collections import defaultdict
from collections.abc import Sequence

from framebank.store.errors import DataError


def vote(neighbours: Sequence[tuple[str, float]], *, temperature: float = 0.1) -> list[tuple[str, float]]:
    """Return labels and their share of the votes, most first, from (label, cosine) pairs.

    A neighbour's vote is exp(cosine / temperature), as in the kNN protocol of DINO (arXiv 2104.14294) and TWLV-I.
    DataError when no neighbour has a label.
    """
    votes: dict[str, float] = defaultdict(float)
    nearest = max((score for label, score in neighbours if label), default=0.0)
    for label, score in neighbours:
        if label:
            votes[label] += math.exp((score - nearest) / temperature)
    if not votes:
        raise DataError(f"none of the {len(neighbours)} nearest videos has a label")
    total = sum(votes.values())
    return sorted(((label, share / total) for label, share in votes.items()), key=lambda pair: (-pair[1], pair[0]))
