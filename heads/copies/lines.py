"""Lines: where two videos run side by side, as the times of one are a line over those of the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SPEEDS = (1.0, 0.9, 0.95, 1.05, 1.1)  # seconds of the second video that pass in one of the first; 1 wins if equal
LEAST, MOST = -1.0, 1.0  # what one row can say for a copy
VOTES = 0.05  # what two rows say together, from which on they vote for an offset
TRIED = 16  # offsets with the most votes, for each speed
MOST_LINES = 4  # of one pair of videos
REPEATED = 0.95  # of the best line's support, from which on another may use its rows too


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

    No two of them have rows of either video in common, but for a line with nearly the support of the best one, as of a
    clip that a film shows twice: where little moves, the rest of a stretch looks like the stretch.
    """
    left, best = beside, 0.0
    for _ in range(MOST_LINES):
        if left.most_support < least:
            return
        line = best_line(left)
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


def best_line(beside: Beside) -> Line | None:
    """Return the line with the most support; None if no two rows vote for one.

    Rows that are nearer than usual vote for the offset between them, at each speed. The offsets with the most votes are
    tried: along such a line, a row takes the better of its two neighbours in the other video, and the run of rows with
    the largest sum is the line.
    """
    first, second = np.nonzero(beside.says > VOTES)
    if not len(first):
        return None
    votes = beside.says[first, second]
    found: Line | None = None
    for speed in SPEEDS:
        offsets = _voted(beside.other_times[second] - speed * beside.times[first], votes, width=beside.step / 2)
        support, start, end = _best_runs(_along(beside, speed, offsets))
        best = int(support.argmax())
        if support[best] > 0 and (found is None or support[best] > 1.001 * found.support):
            found = Line(int(start[best]), int(end[best]), speed, float(offsets[best]), float(support[best]))
    return found


def _voted(offsets: np.ndarray, votes: np.ndarray, *, width: float) -> np.ndarray:
    """Return the offsets that got most votes, those of neighbouring offsets counted with them."""
    places = np.round(offsets / width).astype(np.int64)
    low = places.min()
    counts = np.bincount(places - low, weights=votes)
    padded = np.pad(counts, 1)
    smooth = padded[:-2] + padded[1:-1] + padded[2:]
    best = np.argsort(-smooth, kind="stable")[:TRIED]
    made: np.ndarray = (best + low) * width
    return made


def _along(beside: Beside, speed: float, offsets: np.ndarray) -> np.ndarray:
    """Return what the rows say along the lines of one speed, (O, T): the better of the two rows around each place."""
    others = beside.other_times
    places = speed * beside.times[None, :] + offsets[:, None]  # (O, T)
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
