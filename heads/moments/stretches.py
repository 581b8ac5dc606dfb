"""Stretches: find the runs of a video's rows that fit a query, by the sum of their height above a level."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from framebank.heads.moments.cosines import cosines_of
from framebank.heads.moments.shots import edges_of, find_cuts, step_of
from framebank.store.spans.span import Span, at_least, without_overlaps

LEAST_SECONDS = 1.0  # of a moment
SCALES = (0.0, 1.0, 3.0)  # seconds over which the cosines are smoothed within a shot
OF_SHOT = 0.9  # how much of a row's value is that of its shot
BEST_SHARE = 0.4  # of the rows of a shot or moment, whose mean is its value: a text may tell of one pose of an action
LEVEL = 0.8  # the height from which a row belongs to a moment: 0 is the video's median, 1 is its best rows
SHARE_OF_BEST = 0.02  # the rows that count as the best
EDGE_ROWS = 2.0  # the cost of an edge that is not on a cut, in rows as high as the best
MOST_OVERLAP = 0.1  # the largest IoU of two moments of one video


@dataclass(frozen=True, eq=False)
class CosineTrack:
    """How one video fits a query: `cosines` (T,) of its rows at `times` (T,), in seconds, and `cuts` as in `find_cuts`.

    `edges` (T + 1,) are the seconds that separate the rows. `usual` is the median cosine of rows of other videos, or
    None if there are none. It is needed if a moment fills most of a video, because then the video's median is not the
    usual value.
    """

    video_id: str
    cosines: np.ndarray
    times: np.ndarray
    cuts: np.ndarray
    edges: np.ndarray
    usual: float | None = None

    def __post_init__(self) -> None:
        """Check that the parts agree."""
        if not len(self.cosines) == len(self.times) == len(self.edges) - 1 > 0:
            raise ValueError(f"cosines {self.cosines.shape}, times {self.times.shape}, edges {self.edges.shape}")

    def __repr__(self) -> str:
        return f"CosineTrack({self.video_id!r}: {len(self.times)} rows, {len(self.cuts)} cuts)"

    def rows_of(self, span: Span) -> np.ndarray:
        """Return which rows (T,) bool have their middle in a span; if none has, the nearest row."""
        inside: np.ndarray = (self.times >= span.start) & (self.times < span.end)
        if not inside.any():
            inside[np.abs(self.times - (span.start + span.end) / 2).argmin()] = True
        return inside


def track_of(
    video_id: str,
    rows: np.ndarray,
    times: np.ndarray,
    query: np.ndarray,
    *,
    start: float = 0.0,
    end: float | None = None,
    usual: float | None = None,
    mean_row: np.ndarray | None = None,
) -> CosineTrack:
    """Return the track of a query (D,) in a video with unit rows (T, D) at `times` (T,), ascending.

    `mean_row` (D,) is that of `cosines_of`.
    """
    edges = edges_of(times, start=start, end=end)
    return CosineTrack(video_id, cosines_of(rows, query, mean_row), times, find_cuts(rows, times), edges, usual)


def best_stretches(track: CosineTrack, *, most: int = 1, least_seconds: float = LEAST_SECONDS) -> tuple[Span, ...]:
    """Return the `most` best stretches of a video, best first. Their score is the mean cosine of their best rows.

    A stretch is the run of rows with the largest sum above a level (Kadane's algorithm). An edge on a cut is free, and
    any other edge costs EDGE_ROWS. The value of a row is drawn towards that of its shot. This is done at several
    scales, and a stretch that overlaps a better one is left out. Each stretch is at least `least_seconds` long, or as
    long as the video. Linear in T for each stretch.
    """
    found: list[Span] = []
    shots = _shot_values(track)
    for seconds in SCALES:
        values = _values(track, shots, seconds)
        found += [
            Span(
                track.video_id,
                float(track.edges[first]),
                float(track.edges[last]),
                score=float(values[first:last].mean()),
                source="search",
            )
            for first, last in _runs(values, track.cuts, most=most, usual=track.usual)
        ]
    starts, ends = float(track.edges[0]), float(track.edges[-1])
    kept = without_overlaps(at_least(found, least_seconds, starts=starts, ends=ends), most=MOST_OVERLAP)
    scored = [replace(one, score=float(best_mean(track.cosines[track.rows_of(one)]))) for one in kept]
    return tuple(sorted(scored, key=lambda one: -(one.score or 0.0))[:most])


def best_mean(cosines: np.ndarray) -> np.ndarray:
    """Return the mean of the best of the cosines (..., T), a share of BEST_SHARE and one at least: (...)."""
    count = max(1, math.ceil(BEST_SHARE * cosines.shape[-1]))
    mean: np.ndarray = np.partition(cosines, -count, axis=-1)[..., -count:].mean(axis=-1)
    return mean


def _values(track: CosineTrack, shots: np.ndarray, seconds: float) -> np.ndarray:
    """Return the cosines, each averaged within half of `seconds` in its shot, and drawn to the value of the shot."""
    cosines = track.cosines.astype(np.float64)
    begins, ends = _bounds(track)
    sums = np.concatenate([[0.0], np.cumsum(cosines)])
    half = int(seconds / step_of(track.times) / 2)
    places = np.arange(len(cosines))
    first, last = np.maximum(places - half, begins), np.minimum(places + half + 1, ends)
    means = (sums[last] - sums[first]) / (last - first)
    values: np.ndarray = OF_SHOT * shots + (1 - OF_SHOT) * means
    return values


def _shot_values(track: CosineTrack) -> np.ndarray:
    """Return for each row (T,) the mean cosine of the best rows of its shot, a share of BEST_SHARE."""
    begins, ends = _bounds(track)
    order = np.lexsort((track.cosines, begins))  # shot by shot, the best rows last
    sums = np.concatenate([[0.0], np.cumsum(track.cosines[order], dtype=np.float64)])
    firsts = ends - np.ceil(BEST_SHARE * (ends - begins)).astype(np.int64)
    values: np.ndarray = (sums[ends] - sums[firsts]) / (ends - firsts)
    return values


def _bounds(track: CosineTrack) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each row's shot, and the one after the last, each (T,) int64."""
    firsts = np.concatenate([[0], track.cuts]).astype(np.int64)
    counts = np.diff(firsts, append=len(track.cosines))
    return np.repeat(firsts, counts), np.repeat(firsts + counts, counts)


def _runs(values: np.ndarray, cuts: np.ndarray, *, most: int, usual: float | None) -> Iterator[tuple[int, int]]:
    """Yield the best runs of rows as first row and end row, without overlap: one, and all above the level."""
    best = np.sort(values)[-max(3, round(SHARE_OF_BEST * len(values))) :].mean()
    own = float(np.median(values))
    low = own if usual is None else (own + min(own, usual)) / 2
    height = max(float(best) - low, 1e-9)
    gains = (values - low) / height - LEVEL  # (T,), at most about 1 - LEVEL
    costs = np.full(len(values) + 1, EDGE_ROWS * (1 - LEVEL))
    costs[[0, -1]] = costs[cuts] = 0.0
    for number in range(most):
        first, last, gain = _largest(gains, costs)
        if number and not gain > 0:
            return
        yield first, last
        gains[first:last] = -np.inf  # the next run lies entirely on one side of it
        if not np.isfinite(gains).any():
            return


def _largest(gains: np.ndarray, costs: np.ndarray) -> tuple[int, int, float]:
    """Return the run with the largest sum of gains (T,) minus the costs (T + 1,) of its edges. No run crosses -inf."""
    barred = ~np.isfinite(gains)
    sums = np.concatenate([[0.0], np.cumsum(np.where(barred, 0.0, gains))])
    blocks = np.concatenate([[0], np.cumsum(barred)])  # a run must begin and end in the same block
    bonus = -blocks * (np.abs(sums).max() * 2 + costs.max() * 2 + 1.0)  # so the best start is in the same block
    starts = sums + costs + bonus  # (T + 1,)
    lowest = np.minimum.accumulate(starts)
    at = np.maximum.accumulate(np.where(starts <= lowest, np.arange(len(starts)), 0))
    gain = np.where(barred, -np.inf, (sums - costs + bonus)[1:] - lowest[:-1])
    last = int(gain.argmax())
    return int(at[last]), last + 1, float(gain[last])
