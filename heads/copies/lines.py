"""Lines: where two videos run side by side, as the times of one are a line over those of the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SPEEDS = (1.0, 0.9, 0.95, 1.05, 1.1)  # seconds of the second video that pass in one of the first; 1 wins if equal
LEAST, MOST = -1.0, 1.0  # what one row can say for a copy
VOTES = 0.05  # what two rows say together, from which on they vote for an offset
TRIED = 16  # offsets with the most votes, for each speed
MOST_LINES = 16  # of one pair of videos
REPEATED = 0.8  # of the best line's support, from which on another may use its rows too


@dataclass(frozen=True)
class Line:
    """Rows `first` to `last` of a video beside a stretch of another: its time is `speed` times theirs plus `offset`.

    `support` is the sum of what the rows say: 0 for a row as near as usual, 1 for one that is the same.
    """

    first: int
    last: int
    speed: float
    offset: float
    support: float


@dataclass(frozen=True, repr=False)
class Beside:
    """Two videos side by side: what each row of the one says beside each row of the other, and the rows' times.

    `says` is (T, U), from LEAST to MOST; `times` (T,) and `other_times` (U,) ascend, in seconds. `step` is the time
    between two rows, of the video that has fewer.
    """

    says: np.ndarray
    times: np.ndarray
    other_times: np.ndarray
    step: float

    def __post_init__(self) -> None:
        """Check the shapes."""
        if self.says.shape != (len(self.times), len(self.other_times)) or not self.step > 0:
            raise ValueError(f"{self.says.shape} with {self.times.shape} and {self.other_times.shape} times")

    @property
    def most_support(self) -> float:
        """What no line of these videos can exceed."""
        return float(np.maximum(self.says.max(axis=1), 0.0).sum())


def lines_of(beside: Beside, *, least: float) -> Iterator[Line]:
    """Yield the lines whose support is `least` or more, the best one first.

    No two of them have rows of either video in common, but for a line with much of the support of the best one, as of a
    clip that a film shows twice: where little moves, the rest of a stretch looks like the stretch.
    """
    left, best = beside, 0.0
    for _ in range(MOST_LINES):
        if left.most_support < least:
            return
        line = best_line(left, least=least)
        if line is None or line.support < least:
            return
        best = best or line.support
        own = slice(line.first, line.last + 1)
        start, end = (line.speed * left.times[row] + line.offset for row in (line.first, line.last))
        taken = (left.other_times >= start - left.step) & (left.other_times <= end + left.step)
        is_new = (beside.says[own] == left.says[own]).all() and (beside.says[:, taken] == left.says[:, taken]).all()
        says = left.says.copy()
        says[own, taken] = LEAST
        left = Beside(says, left.times, left.other_times, left.step)
        if is_new or line.support >= REPEATED * best:
            yield line


def best_line(beside: Beside, *, least: float = 0.0) -> Line | None:
    """Return the line with the most support; None if no two rows vote, or if none can reach `least`.

    Rows that are nearer than usual vote for the offset between them, at each speed. The offsets with the most votes are
    tried: along such a line, a row takes the better of its two neighbours in the other video, and the run of rows with
    the largest sum is the line.
    """
    first, second = np.nonzero(beside.says > VOTES)
    if not len(first):
        return None
    low, counts = _votes(beside, first, second)
    around = np.where(_within(counts[:, 1:-1] > 0), counts[:, :-2] + counts[:, 1:-1] + counts[:, 2:], 0.0)
    sums = np.cumsum(np.pad(counts, ((0, 0), (1, 0))), axis=1)
    most = (sums[:, 5:] - sums[:, :-5]).max(axis=1)  # of a line, but for the rows that have no vote
    able = np.flatnonzero(most + beside.says.max(axis=1).clip(0, VOTES).sum() >= least)
    if not len(able):
        return None
    places = np.argsort(-around[able], axis=1, kind="stable")[:, :TRIED]
    offsets = (places + low) * beside.step / 2
    support, start, end = _best_runs(_along(beside, np.array(SPEEDS)[able], offsets))
    found: Line | None = None
    for row, speed in enumerate(able.tolist()):
        own = slice(row * offsets.shape[1], (row + 1) * offsets.shape[1])
        best = own.start + int(support[own].argmax())
        if support[best] > 0 and (found is None or support[best] > 1.001 * found.support):
            offset = float(offsets.reshape(-1)[best])
            found = Line(int(start[best]), int(end[best]), SPEEDS[speed], offset, float(support[best]))
    return found


def _votes(beside: Beside, first: np.ndarray, second: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the votes for each offset at each speed, (S, O + 2), with a column of zeros on either side.

    The pairs of rows `first` (N,) and `second` (N,) vote. Offsets are multiples of half a step, and the number that is
    returned is that of the lowest one.
    """
    votes, times, others = beside.says[first, second], beside.times[first], beside.other_times[second]
    bounds = np.multiply.outer(SPEEDS, [times.min(), times.max()])
    low = round((others.min() - bounds.max()) / (beside.step / 2)) - 1
    count = round((others.max() - bounds.min()) / (beside.step / 2)) + 2 - low
    counts = np.zeros((len(SPEEDS), count + 2))
    for speed, own in zip(SPEEDS, counts, strict=True):
        places = np.round((others - speed * times) / (beside.step / 2)).astype(np.int64) - low
        own[1:-1] = np.bincount(places, weights=votes, minlength=count)
    return low, counts


def _within(there: np.ndarray) -> np.ndarray:
    """Return what lies from the first to the last true value of each row (S, O)."""
    found: np.ndarray = np.logical_or.accumulate(there, axis=1)
    found &= np.logical_or.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    return found


def _along(beside: Beside, speeds: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return what the rows say along the lines of some speeds (S,), with offsets (S, O) of each, as (S * O, T).

    A row says the better of what it says beside the two rows around its place.
    """
    others = beside.other_times
    places = (speeds[:, None, None] * beside.times + offsets[:, :, None]).reshape(-1, len(beside.times))
    right = np.searchsorted(others, places).clip(0, len(others) - 1)
    left = np.maximum(right - 1, 0)
    rows = np.arange(len(beside.times))[None, :]
    far = 0.75 * beside.step
    told: np.ndarray = np.maximum(
        np.where(np.abs(others[right] - places) <= far, beside.says[rows, right], LEAST),
        np.where(np.abs(others[left] - places) <= far, beside.says[rows, left], LEAST),
    )
    return told


def _best_runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the largest sum of a run in each of the rows (O, T), and the places of its first and last value."""
    sums = np.cumsum(values, axis=1, dtype=np.float64)
    before = np.concatenate([np.zeros((len(values), 1)), sums[:, :-1]], axis=1)
    lowest = np.minimum.accumulate(before, axis=1)
    gains = sums - lowest
    last = gains.argmax(axis=1)
    rows = np.arange(len(values))
    first = (before <= lowest[rows, last][:, None]).argmax(axis=1)
    return gains[rows, last], first, last
