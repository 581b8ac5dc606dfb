"""Span: a stretch of one video in seconds, and functions that join, filter and compare several spans."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from framebank.store.errors import DataError
from framebank.store.formats.typed import typed_init

DIGITS = 6  # of seconds that are computed, so that they print as 1.86 and not as 1.8599999999999999


@typed_init
@dataclass(frozen=True)
class Span:
    """A stretch of a video, `start` and `end` in seconds after its first frame.

    `label` says what it shows, "" if that is not known. `score` says how sure that is, None if nothing measured it.
    `source` says what made it, such as "shots" or the name of a file. DataError if it does not end after its start.

    >>> Span("film", 2.0, 4.5, label="waving").seconds
    2.5
    """

    video_id: str
    start: float
    end: float
    label: str = ""
    score: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        """Check the times and the score. DataError, with the video, if they are wrong."""
        if not math.isfinite(self.start) or self.start < 0:
            raise DataError(f"the start of a span of {self.video_id!r} is {self.start}; expected seconds from 0")
        if not math.isfinite(self.end) or self.end <= self.start:
            raise DataError(
                f"the end of a span of {self.video_id!r} is {self.end}; expected seconds after its start, {self.start}"
            )
        if self.score is not None and not math.isfinite(self.score):
            raise DataError(f"the score of a span of {self.video_id!r} is {self.score}; expected a number")

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.end - self.start

    def to_dict(self) -> dict[str, Any]:
        """Return its fields as plain values."""
        return asdict(self)

    def overlap(self, other: "Span") -> float:
        """Return the seconds that both spans cover; 0 if they are of two videos.

        >>> Span("a", 0, 4).overlap(Span("a", 3, 9))
        1
        """
        if self.video_id != other.video_id:
            return 0.0
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))

    def iou(self, other: "Span") -> float:
        """Return the seconds that both spans cover as a share of those that either covers, from 0 to 1.

        >>> Span("a", 0, 4).iou(Span("a", 2, 6))
        0.3333333333333333
        """
        both = self.overlap(other)
        return both / (self.seconds + other.seconds - both)


def merged(spans: Iterable[Span], *, gap: float = 0.0) -> tuple[Span, ...]:
    """Return the spans, with those of one video, label and source joined if they are at most `gap` seconds apart.

    A joined span has the best of their scores. The order is by video, then by start.

    >>> merged([Span("a", 0, 2), Span("a", 2.5, 4)], gap=1.0)
    (Span(video_id='a', start=0, end=4, label='', score=None, source=''),)
    """
    joined: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.video_id, one.label, one.source, one.start, one.end)):
        last = joined[-1] if joined else None
        same = last and (last.video_id, last.label, last.source) == (span.video_id, span.label, span.source)
        if last and same and span.start - last.end <= gap:
            scores = [score for score in (last.score, span.score) if score is not None]
            joined[-1] = replace(last, end=max(last.end, span.end), score=max(scores, default=None))
        else:
            joined.append(span)
    return tuple(sorted(joined, key=_place))


def without_overlaps(spans: Iterable[Span], *, most: float = 0.5) -> tuple[Span, ...]:
    """Return the spans, best first, without those that overlap a better one by an IoU of more than `most`.

    If scores are equal, the longer span counts as better, then the earlier one. A span without a score comes last.

    >>> [one.score for one in without_overlaps([Span("a", 0, 4, score=1.0), Span("a", 0, 5, score=2.0)])]
    [2.0]
    """
    kept: dict[str, list[Span]] = {}
    found: list[Span] = []
    for span in sorted(spans, key=lambda one: (-_score(one), -one.seconds, _place(one))):
        if all(span.iou(other) <= most for other in kept.get(span.video_id, ())):
            kept.setdefault(span.video_id, []).append(span)
            found.append(span)
    return tuple(found)


def at_least(
    spans: Iterable[Span], seconds: float, *, starts: float = 0.0, ends: float | None = None
) -> tuple[Span, ...]:
    """Return the spans, each at least `seconds` long. Shorter ones grow on both sides, but stay in `starts` to `ends`.

    If the video is shorter than that, its span is the whole video.

    >>> at_least([Span("a", 0.5, 1.0)], 2.0)
    (Span(video_id='a', start=0.0, end=2.0, label='', score=None, source=''),)
    """
    if not seconds >= 0:
        raise DataError(f"the least length of a span is {seconds}; expected seconds from 0")
    return tuple(span if span.seconds >= seconds else _grown(span, seconds, starts, ends) for span in spans)


def _grown(span: Span, seconds: float, starts: float, ends: float | None) -> Span:
    first, last = min(starts, span.start), math.inf if ends is None else max(ends, span.end)
    start = max(first, min((span.start + span.end - seconds) / 2, last - seconds))
    return replace(span, start=start, end=min(last, start + seconds))


def long_enough(spans: Iterable[Span], seconds: float) -> tuple[Span, ...]:
    """Return the spans that are at least `seconds` long, in order."""
    return tuple(span for span in spans if span.seconds >= seconds)


def by_video(spans: Sequence[Span]) -> dict[str, tuple[Span, ...]]:
    """Return the spans of each video, in order of time."""
    found: dict[str, list[Span]] = {}
    for span in sorted(spans, key=_place):
        found.setdefault(span.video_id, []).append(span)
    return {video_id: tuple(ones) for video_id, ones in found.items()}


def _place(span: Span) -> tuple[str, float, float]:
    return span.video_id, span.start, span.end


def _score(span: Span) -> float:
    return -math.inf if span.score is None else span.score
