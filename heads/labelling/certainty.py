"""Certainty: why a label is one among equals, in words, and how many decimals tell the scores of labels apart."""

import itertools
from collections.abc import Sequence

# A label is sure if its odds are at least that many times those of guessing, and it beats the second by this factor.
TIMES_CHANCE = 2.0
TIMES_SECOND = 1.1
# Cosines that differ by less count as equal, because embeddings are kept in 16 bits.
COSINE_STEP = 0.001
LIKELY = 0.5  # the least probability of a label that is judged separately
MAX_DECIMALS = 6

GUESSING = "hardly better than guessing"
EQUALS = "the second label is about as likely"


def doubt_of_probabilities(best: Sequence[float], *, num_classes: int) -> str:
    """Return why the highest of some probabilities, in falling order, does not decide among `num_classes`, or "".

    Either the odds of the first are less than twice those of guessing, which are 1 to C - 1, or the first is less than
    a tenth likelier than the second.
    """
    # This is p / (1 - p) < 2 / (C - 1), written so that p = 1 and a single class are no special cases.
    if best[0] * (num_classes - 1) < TIMES_CHANCE * (1 - best[0]):
        return GUESSING
    return doubt_of_votes(best)


def doubt_of_labels(best: Sequence[float]) -> str:
    """Return why no label is likely, given probabilities of labels judged separately, in falling order, or ""."""
    return "" if best[0] >= LIKELY else "no label is as likely as not"


def doubt_of_votes(best: Sequence[float]) -> str:
    """Return why two labels have about the same share of the votes, given shares in falling order, or ""."""
    return EQUALS if len(best) > 1 and best[0] < TIMES_SECOND * best[1] else ""


def doubt_of_cosines(best: Sequence[float]) -> str:
    """Return why the cosines of the enrolled classes that pass, in order, do not tell two of them apart, or ""."""
    return EQUALS if len(best) > 1 and abs(best[0] - best[1]) < COSINE_STEP else ""


def decimals(scores: Sequence[float]) -> int:
    """Return how many decimals show that different scores differ: usually 2, at most 6."""
    for places in range(2, MAX_DECIMALS):
        if all(a == b or f"{a:.{places}f}" != f"{b:.{places}f}" for a, b in itertools.pairwise(scores)):
            return places
    return MAX_DECIMALS
