import math

import pytest

from framebank.heads.labelling.vote import vote
from framebank.store import DataError


def test_by_hand():
    found = vote([("a", 0.9), ("b", 0.8), ("b", 0.7)], temperature=0.1)
    shares = {"a": math.exp(9), "b": math.exp(8) + math.exp(7)}
    assert [label for label, _ in found] == ["a", "b"]
    assert dict(found) == pytest.approx({label: share / sum(shares.values()) for label, share in shares.items()})


def test_many_farther_may_outvote_one_nearer():
    assert vote([("a", 0.9), ("b", 0.88), ("b", 0.88)])[0][0] == "b"


def test_equal_votes_go_by_name():
    assert [label for label, _ in vote([("b", 0.5), ("a", 0.5)])] == ["a", "b"]


def test_neighbours_without_label_do_not_count():
    assert vote([("", 0.99), ("a", 0.1)]) == [("a", 1.0)]
    assert vote([("", 1.0), ("a", -1.0)], temperature=0.001) == [("a", 1.0)]


def test_a_neighbour_with_several_labels_votes_for_each():
    found = dict(vote([("a;b", 0.9), ("b ; c", 0.8)], temperature=0.1))
    far = math.exp(-1) / (1 + math.exp(-1))
    assert found == pytest.approx({"b": 1.0, "a": 1 - far, "c": far})


@pytest.mark.parametrize("neighbours", [[], [("", 0.9), ("", 0.8)]])
def test_no_label(neighbours):
    with pytest.raises(DataError, match=r"nearest videos?, none has a label"):
        vote(neighbours)
