"""A hit says the same whether its path was given or is made later, and so do the hits of a query."""

import copy
import pickle
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from framebank.store.indexes.hit import FoundHits, Hit
from framebank.store.videos.columns import VideoColumns

GIVEN = Hit("a", 0.5, "run", 1.0, 2.5, False, Path("videos/a.mp4"))


def later():
    own = VideoColumns(["b", "a"], ["videos/b.mp4", "videos/a.mp4"], ["sit", "run"], ["", ""])
    return Hit.of_rows(own, [1], [0.5], [(1.0, 2.5)])[0]


@pytest.mark.parametrize(
    "say",
    [
        repr,
        hash,
        asdict,
        pickle.dumps,
        lambda hit: hit.path,
        lambda hit: pickle.loads(pickle.dumps(hit)),
        copy.copy,
        copy.deepcopy,
        lambda hit: replace(hit, chance=0.25),
    ],
)
def test_a_hit_whose_path_is_made_later_says_the_same(say):
    assert say(later()) == say(GIVEN)


@pytest.mark.parametrize("times", [None, [(None, None), (1.0, None), (None, 2.5)]])
def test_hits_of_rows_say_what_their_columns_do(times):
    own = VideoColumns(["a", "b", "c"], ["a.mp4", "b.mp4", "c.mp4"], ["run", "", "sit"], [""] * 3, times)
    expected = [
        Hit(own.ids[row], score, own.labels[row], *(times[row] if times else (None, None)), path=Path(own.paths[row]))
        for row, score in ((2, 0.5), (1, 0.25))
    ]
    assert Hit.of_rows(own, [2, 1], [0.5, 0.25]) == expected
    assert [asdict(hit) for hit in Hit.of_rows(own, [2, 1], [0.5, 0.25])] == [asdict(hit) for hit in expected]


def test_the_path_is_made_once_and_no_field_can_be_set():
    hit = later()
    assert hit == GIVEN
    assert hit.path is hit.path
    later_path = vars(Hit)["path"]  # a second thread may be in here while the first one keeps what it made
    assert later_path.__get__(hit, Hit) is hit.path
    assert Hit("b", 1.0, "").path == Path()
    with pytest.raises(AttributeError):
        hit.path = Path("other")  # type: ignore[misc]


def found(query):
    """Four queries of three rows: two as near, two missing, all in order, the first one missing."""
    scores = np.array([[0.5, 0.75, 0.75], [0.25, -1, -1], [0.75, 0.5, 0.25], [0.75, 0.5, 0.25]], dtype=np.float32)
    rows = np.array([[7, 4, 2], [3, -1, -1], [4, 2, 7], [-1, 2, 7]])
    return FoundHits(made, (scores, rows), query)


def made(rows, scores):
    return [Hit(f"video {row}", score, "") for row, score in zip(rows, scores, strict=True)]


def test_the_hits_of_a_query_are_in_order_and_act_as_a_list():
    first = [Hit("video 2", 0.75, ""), Hit("video 4", 0.75, ""), Hit("video 7", 0.5, "")]
    assert list(found(0)) == first
    assert found(0) == first == found(0)
    assert found(0) != found(1)
    assert (found(0)[-1], found(0)[1:]) == (first[2], first[1:])
    assert (len(found(1)), [hit.video_id for hit in found(1)]) == (1, ["video 3"])
    assert [hit.video_id for hit in found(2)] == ["video 4", "video 2", "video 7"]
    assert [hit.video_id for hit in found(3)] == ["video 2", "video 7"]
    assert repr(found(1)) == repr(list(found(1)))
    with pytest.raises(IndexError):
        found(1)[1]


def test_hits_are_pickled_without_their_index():
    again = pickle.loads(pickle.dumps(found(0)))
    assert type(again) is list
    assert again == found(0)
