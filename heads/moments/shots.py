"""Shots: a cut is a place where the rows before and after it show two different things."""

from itertools import pairwise

import numpy as np

from framebank.store.spans.span import Span

SECONDS = 1.5  # of rows on either side that are compared
LEAST_ROWS = 2
LEAST_FALL = 0.1  # at a cut, the cosine of the two sides is at least this much below 1
SHARE_OF_LARGEST = 0.5  # and it falls at least this share of the video's largest falls, their 98th percentile


def find_cuts(rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the rows (C,) int64 where a new shot begins, ascending, without the first row.

    `rows` (T, D) are unit vectors at the times `times` (T,), in seconds, in order. The mean of the rows in the SECONDS
    before a place is compared with the mean of those in the SECONDS after it. A cut is where their cosine is lower than
    around it, and low for this video. This takes time linear in T and reads no frame.
    """
    width = max(LEAST_ROWS, round(SECONDS / step_of(times)))
    if len(rows) < 2 * LEAST_ROWS:
        return np.zeros(0, dtype=np.int64)
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])  # (T + 1, D)
    places = np.arange(1, len(rows))
    before = (sums[places] - sums[np.maximum(places - width, 0)]).astype(np.float32)
    after = (sums[np.minimum(places + width, len(rows))] - sums[places]).astype(np.float32)
    squares = np.einsum("td,td->t", before, before) * np.einsum("td,td->t", after, after)
    falls = 1.0 - np.einsum("td,td->t", before, after) / np.sqrt(np.maximum(squares, 1e-12))  # (T - 1,)
    found = falls > max(LEAST_FALL, SHARE_OF_LARGEST * float(np.quantile(falls, 0.98)))
    for shift in range(1, min(width, len(falls) - 1) + 1):
        found[shift:] &= falls[shift:] >= falls[:-shift]
        found[:-shift] &= falls[:-shift] > falls[shift:]
    cuts: np.ndarray = places[found]
    return cuts


def shots_of(
    video_id: str, rows: np.ndarray, times: np.ndarray, *, start: float = 0.0, end: float | None = None
) -> tuple[Span, ...]:
    """Return the shots of a video as spans without gaps between them. Their source is "shots".

    `rows` and `times` are those of `find_cuts`. `start` and `end` are those of the video, in seconds, if they are
    known.
    """
    edges = edges_of(times, start=start, end=end)
    firsts = [0, *find_cuts(rows, times).tolist(), len(rows)]
    return tuple(
        Span(video_id, float(edges[first]), float(edges[last]), source="shots") for first, last in pairwise(firsts)
    )


def step_of(times: np.ndarray) -> float:
    """Return the usual distance of the rows in seconds, or 1 if there is a single row."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 1.0


def edges_of(times: np.ndarray, *, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """Return the seconds (T + 1,) that separate the rows: half-way between neighbours.

    The first is `start`, or half a step before the first row if that is later. The last is `end` if it is known, or
    half a step after the last row.
    """
    half = step_of(times) / 2
    middles = (times[1:] + times[:-1]) / 2
    first = max(start, float(times[0]) - half) if times[0] > start + 2 * half else start
    last = float(times[-1]) + half
    edges = np.concatenate([[first], middles, [last if end is None else max(min(last, end), float(times[-1]) + 1e-3)]])
    return np.maximum.accumulate(edges)
