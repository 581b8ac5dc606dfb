"""Shots: a cut is a place where the rows before and after it show two different things."""

from itertools import pairwise

import numpy as np

from framebank.store.spans.span import DIGITS, Span

SECONDS = 1.5  # of rows on either side that are compared
LEAST_ROWS = 2
LEAST_FALL = 0.05  # at a cut, the cosine of the two sides is at least this much below 1
# Of three at a cut: the fall over the video's largest ones, the fall over the spread of its sides, and the jump.
LEAST_PRODUCT = 3.0
LARGEST = 0.98  # the quantile of the falls that stands for the largest ones
BLOCK_ROWS = 256  # whose sums are made at once
TINY = 1e-6


def find_cuts(rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the rows (C,) int64 where a new shot begins, ascending, without the first row.

    `rows` (T, D) are unit vectors at the times `times` (T,), in seconds, in order. The mean of the rows in the SECONDS
    before a place is compared with the mean of those in the SECONDS after it. A cut is where their cosine falls more
    than around it, and where a product is large enough: how far it falls for this video, how far it falls for the
    spread of the rows on each side, and how much longer the step between the two rows is than the other steps near it.
    So a cut between two scenes of one kind is found too. This takes time linear in T and reads no frame.
    """
    width = max(LEAST_ROWS, round(SECONDS / step_of(times)))
    if len(rows) < 2 * LEAST_ROWS:
        return np.zeros(0, dtype=np.int64)
    falls, spreads = _falls(rows, width)  # (T - 1,) each
    product = falls / max(float(np.quantile(falls, LARGEST)), TINY) * falls / spreads * _jumps(rows, width)
    found = (falls > LEAST_FALL) & (product > LEAST_PRODUCT)
    found[: LEAST_ROWS - 1] = found[len(found) - LEAST_ROWS + 1 :] = False  # one row tells too little of a shot
    for shift in range(1, min(width, len(falls) - 1) + 1):
        found[shift:] &= falls[shift:] >= falls[:-shift]
        found[:-shift] &= falls[:-shift] > falls[shift:]
    cuts: np.ndarray = 1 + np.flatnonzero(found)
    return cuts


def _falls(rows: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the cosine of the sums of `width` rows before and after each place is below 1, and the spread.

    The spread is the mean squared distance of these rows from the mean of their side. Both are (T - 1,) float32. At
    the ends there are fewer rows. A part of the rows at a time, so that it stays in the cache of a processor.
    """
    count = len(rows)
    falls, spreads = np.empty(count - 1, dtype=np.float32), np.empty(count - 1, dtype=np.float32)
    step = max(BLOCK_ROWS, 4 * width)
    for first in range(1, count, step):
        last = min(first + step, count)
        low, high = max(first - width, 0), min(last - 1 + width, count)
        part = np.zeros((last - first + 2 * width - 1, rows.shape[1]), dtype=np.float32)
        part[low - first + width : high - first + width] = rows[low:high]
        sums = _sums_of(part, width)  # those before a place, and `width` later those after it
        squares = np.einsum("td,td->t", sums, sums)
        products = np.einsum("td,td->t", sums[:-width], sums[width:])
        lengths = np.sqrt(np.maximum(squares[:-width] * squares[width:], 1e-12))
        falls[first - 1 : last - 1] = 1.0 - products / lengths
        places = np.arange(first, last)
        before, after = np.minimum(places, width), np.minimum(count - places, width)
        kept = (squares[:-width] / before + squares[width:] / after) / (before + after)
        spreads[first - 1 : last - 1] = np.maximum(1.0 - kept, TINY)
    return falls, spreads


def _jumps(rows: np.ndarray, width: int) -> np.ndarray:
    """Return how many times the mean of the other steps within `width` rows each step between two rows is, (T - 1,)."""
    steps = np.maximum(1.0 - np.einsum("td,td->t", rows[1:], rows[:-1]), 0.0)
    sums = np.concatenate([[0.0], np.cumsum(steps, dtype=np.float64)])
    places = np.arange(len(steps))
    first, last = np.maximum(places - width, 0), np.minimum(places + width + 1, len(steps))
    jumps: np.ndarray = steps * (last - first - 1) / np.maximum(sums[last] - sums[first] - steps, TINY)
    return jumps


def _sums_of(rows: np.ndarray, width: int) -> np.ndarray:
    """Return the sums of `width` rows from each row on, (T - width + 1, D), by sums of 1, 2, 4 ... rows."""
    count = len(rows) - width + 1
    found = np.zeros((count, rows.shape[1]), dtype=rows.dtype)
    size, taken = 1, 0
    while True:
        if width & size:
            found += rows[taken : taken + count]
            taken += size
        if 2 * size > width:
            return found
        rows = rows[:-size] + rows[size:]
        size *= 2


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
    half a step after the last row. They are rounded to DIGITS.
    """
    half = step_of(times) / 2
    middles = (times[1:] + times[:-1]) / 2
    first = max(start, float(times[0]) - half) if times[0] > start + 2 * half else start
    last = float(times[-1]) + half
    edges = np.concatenate([[first], middles, [last if end is None else max(min(last, end), float(times[-1]) + 1e-3)]])
    return np.maximum.accumulate(edges.round(DIGITS))
