"""Certainty: why a label is one among equals, in words, and how many decimals tell the scores of labels apart."""

import itertools
from collections.abc import Sequence

# The odds of a sure label are at least so many times those of guessing, and it is by so much likelier than the second.
TIMES_CHANCE = 2.0
TIMES_SECOND = 1.1
# Cosines that differ by less are equal: embeddings are kept in 16 bits.
COSINE_STEP = 0.001
LIKELY = 0.5  # of a label that is judged by itself
MAX_DECIMALS = 6

GUESSING = "hardly better than guessing"
EQUALS = "the second label is about as likely"


def doubt_of_probabilities(best: Sequence[float], *, num_classes: int) -> str:
    """Return why the highest of probabilities, in falling order, decide for none of `num_classes`, or "".

    The odds of the first are less than twice those of guessing, which are 1 to C - 1; or the first is less than a tenth
    likelier than the second.
    """
    # p / (1 - p) < 2 / (C - 1), so written that p = 1 and a single class need no rule of their own
    if best[0] * (num_classes - 1) < TIMES_CHANCE * (1 - best[0]):
        return GUESSING
    return doubt_of_votes(best)


def doubt_of_labels(best: Sequence[float]) -> str:
    """Return why the probabilities of labels that are judged one by one, in falling order, name none, or ""."""
    return "" if best[0] >= LIKELY else "no label is as likely as not"


def doubt_of_votes(best: Sequence[float]) -> str:
    """Return why shares of votes, in falling order, are about the same for two labels, or ""."""
    return EQUALS if len(best) > 1 and best[0] < TIMES_SECOND * best[1] else ""


def doubt_of_cosines(best: Sequence[float]) -> str:
    """Return why the cosines of those enrolled classes that pass, in order, do not tell two apart, or ""."""
    return EQUALS if len(best) > 1 and abs(best[0] - best[1]) < COSINE_STEP else ""


def decimals(scores: Sequence[float]) -> int:
    """Return how many decimals tell scores apart that differ: 2 as a rule, 6 at most."""
    for places in range(2, MAX_DECIMALS):
        if all(a == b or f"{a:.{places}f}" != f"{b:.{places}f}" for a, b in itertools.pairwise(scores)):
            return places
    return MAX_DECIMALS
