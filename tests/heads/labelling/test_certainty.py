import pytest

from framebank.heads.labelling.certainty import (
    EQUALS,
    GUESSING,
    decimals,
    doubt_of_cosines,
    doubt_of_labels,
    doubt_of_probabilities,
    doubt_of_votes,
)


@pytest.mark.parametrize(
    ("best", "num_classes", "doubt"),
    [
        ([0.0104, 0.0103], 101, GUESSING),  # untrained: 1 / 101 is 0.0099
        ([0.019, 0.010], 101, GUESSING),  # twice the odds of guessing is 2 / 102 = 0.0196
        ([0.020, 0.010], 101, ""),
        ([0.48, 0.44], 101, EQUALS),
        ([0.48, 0.43], 101, ""),
        ([0.66, 0.34], 2, GUESSING),  # the odds of guessing are 1, of 2/3 they are 2
        ([0.67, 0.33], 2, ""),
        ([0.25, 0.25, 0.25], 4, GUESSING),
        ([1.0, 0.0], 2, ""),
        ([1.0], 1, ""),
    ],
)
def test_probabilities(best, num_classes, doubt):
    assert doubt_of_probabilities(best, num_classes=num_classes) == doubt


def test_labels_judged_by_themselves_need_not_exclude_each_other():
    assert doubt_of_labels([0.99, 0.98]) == ""
    assert doubt_of_labels([0.49, 0.01]) != ""


def test_votes_and_cosines():
    assert doubt_of_votes([1.0]) == ""
    assert doubt_of_votes([0.5, 0.5]) == EQUALS
    assert doubt_of_votes([0.6, 0.4]) == ""
    assert doubt_of_cosines([0.91]) == doubt_of_cosines([]) == doubt_of_cosines([0.91, 0.90]) == ""
    assert doubt_of_cosines([0.91, 0.9099]) == EQUALS


@pytest.mark.parametrize(
    ("scores", "places"),
    [([0.9, 0.1], 2), ([0.0104, 0.0103], 4), ([0.01, 0.01], 2), ([0.5, 0.4999999], 6), ([0.3], 2), ([], 2)],
)
def test_decimals_tell_scores_apart(scores, places):
    assert decimals(scores) == places
