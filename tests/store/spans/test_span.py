"""Spans: what they hold, how they are joined and thinned out."""

import numpy as np
import pytest

from framebank.store import DataError
from framebank.store.spans.span import Span, at_least, by_video, long_enough, merged, without_overlaps


@pytest.mark.parametrize(
    ("start", "end", "score", "told"),
    [
        (-1.0, 2.0, None, "start of a span of 'a' is -1.0"),
        (2.0, 2.0, None, "end of a span of 'a' is 2.0; expected seconds after its start, 2.0"),
        (0.0, float("nan"), None, "end of a span of 'a' is nan"),
        (0.0, 1.0, float("inf"), "score of a span of 'a' is inf"),
    ],
)
def test_a_span_that_is_none_is_refused(start: float, end: float, score: float | None, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Span("a", start, end, score=score)


def test_overlap_is_of_one_video() -> None:
    first = Span("a", 1, 5)
    assert first.overlap(Span("a", 3, 9)) == 2
    assert first.iou(Span("a", 3, 9)) == pytest.approx(2 / 8)
    assert first.iou(Span("b", 1, 5)) == 0
    assert first.iou(Span("a", 5, 6)) == 0


def test_merged_joins_what_is_near_and_alike() -> None:
    spans = [
        Span("a", 4, 6, label="x", score=1.0),
        Span("a", 0, 3.5, label="x", score=2.0),
        Span("a", 6.6, 8, label="x"),
        Span("a", 1, 2, label="y"),
        Span("b", 0, 4, label="x"),
    ]
    assert merged(spans, gap=0.5) == (
        Span("a", 0, 6, label="x", score=2.0),
        Span("a", 1, 2, label="y"),
        Span("a", 6.6, 8, label="x"),
        Span("b", 0, 4, label="x"),
    )


def test_a_span_within_another_does_not_cut_it() -> None:
    assert merged([Span("a", 0, 9), Span("a", 1, 2), Span("a", 8, 12)]) == (Span("a", 0, 12),)


def test_overlaps_of_worse_spans_are_left_out() -> None:
    rng = np.random.default_rng(0)
    spans = [
        Span(str(rng.integers(3)), start, start + length, score=score)
        for start, length, score in zip(
            rng.uniform(0, 50, 200), rng.uniform(1, 9, 200), rng.normal(size=200), strict=True
        )
    ]
    kept = without_overlaps(spans, most=0.3)
    assert [one.score for one in kept] == sorted((one.score for one in kept), reverse=True)
    assert all(a is b or a.iou(b) <= 0.3 for a in kept for b in kept)
    for left in set(spans) - set(kept):  # each for a reason
        assert any(left.iou(one) > 0.3 and one.score > left.score for one in kept)


def test_each_span_that_is_given_back_has_the_least_length() -> None:
    spans = [Span("a", 0.2, 0.4), Span("a", 9.5, 10.0), Span("a", 4, 5), Span("a", 2, 8)]
    grown = at_least(spans, 3.0, ends=10.0)
    assert [(one.start, one.end) for one in grown] == [(0, 3), (7, 10), (3, 6), (2, 8)]
    part = at_least([Span("a", 60.0, 60.5)], 2.0, starts=60.0, ends=70.0)
    assert part == (Span("a", 60.0, 62.0),)  # a part of a file does not grow out of it
    assert at_least([Span("a", 0.5, 1)], 3.0, ends=2.0) == (Span("a", 0, 2.0),)  # all of a short video
    assert long_enough(spans, 1.0) == (Span("a", 4, 5), Span("a", 2, 8))
    with pytest.raises(DataError, match="least length of a span is -1"):
        at_least(spans, -1)


def test_by_video_is_in_order_of_time() -> None:
    assert by_video([Span("b", 3, 4), Span("a", 1, 2), Span("b", 0, 1)]) == {
        "a": (Span("a", 1, 2),),
        "b": (Span("b", 0, 1), Span("b", 3, 4)),
    }
