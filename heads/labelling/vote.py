"""Voting: the label of a video from the labels of its nearest neighbours."""

import math
from collections import defaultdict
from collections.abc import Sequence

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.videos.video import LABEL_SEPARATOR


def vote(neighbours: Sequence[tuple[str, float]], *, temperature: float = 0.1) -> list[tuple[str, float]]:
    """Return labels with their share of the votes, most first, from (label, cosine) pairs.

    A neighbour's vote is exp(cosine / temperature), as in the kNN protocol of DINO (arXiv 2104.14294) and TWLV-I. A
    neighbour with several labels, "a;b", votes for each of them, so the shares may sum to more than one. DataError if
    no neighbour has a label.
    """
    votes: dict[str, float] = defaultdict(float)
    total = 0.0
    nearest = max((score for label, score in neighbours if label), default=0.0)
    for label, score in neighbours:
        if label:
            weight = math.exp((score - nearest) / temperature)
            total += weight
            for name in label.split(LABEL_SEPARATOR):
                votes[name.strip()] += weight
    if not votes:
        raise DataError(f"of the {counted(len(neighbours), 'nearest video')}, none has a label")
    return sorted(((label, share / total) for label, share in votes.items()), key=lambda pair: (-pair[1], pair[0]))
