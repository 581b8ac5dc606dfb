"""PackedRows: the rows of many videos in order of time, and what makes copies stand out in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from framebank.store.vectors import unit

WIDTH = 128  # directions that are kept; more hold noise, and cost time
POWER = 0.5  # 0 leaves the spread of each direction as it is, 1 makes all of them equal
SOFTEST = 0.01  # of the mean spread, which no direction falls below
MOST_MEASURED = 20_000  # rows that the directions are measured on
AT_ONCE = 16_384  # rows that are turned together


@dataclass(frozen=True, repr=False)
class PackedRows:
    """Rows (R, D) float32, unit, of V videos; video v has those from ends[v-1] to ends[v], at `times` (R,) in seconds.

    `steps` (V,) are the usual seconds between two rows of a video.
    """

    rows: np.ndarray
    times: np.ndarray
    ends: np.ndarray
    steps: np.ndarray

    def __post_init__(self) -> None:
        """Check that the rows, the times and the videos fit each other."""
        if self.rows.shape[:1] != self.times.shape or self.ends.shape != self.steps.shape:
            raise ValueError(f"{self.rows.shape} rows with {self.times.shape} times of {self.ends.shape} videos")

    @classmethod
    def of(cls, videos: Sequence[tuple[np.ndarray, np.ndarray]]) -> "PackedRows":
        """Pack the rows (T, D) and times (T,) of videos."""
        ends = np.cumsum([len(times) for _, times in videos], dtype=np.int64)
        steps = np.array([_step(times) for _, times in videos])
        rows = np.concatenate([rows for rows, _ in videos]).astype(np.float32, copy=False)
        return cls(rows, np.concatenate([times for _, times in videos]), ends, steps)

    def __len__(self) -> int:
        return len(self.ends)

    def __repr__(self) -> str:
        return f"PackedRows({len(self)} videos, {len(self.rows)} rows of {self.rows.shape[1]})"

    @cached_property
    def starts(self) -> np.ndarray:
        """The first row of each video, (V,)."""
        return np.concatenate([[0], self.ends[:-1]])

    @cached_property
    def video_of(self) -> np.ndarray:
        """The video of each row, (R,)."""
        return np.repeat(np.arange(len(self.ends)), np.diff(self.ends, prepend=0))

    def one(self, video: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and times of a video."""
        start, end = self.starts[video], self.ends[video]
        return self.rows[start:end], self.times[start:end]


def _step(times: np.ndarray) -> float:
    """Return the usual seconds between two rows; a single row stands for twice the time before it."""
    if len(times) > 1:
        return float(np.median(np.diff(times)))
    return 2 * float(times[0]) or 1.0


def sharpened(*packs: PackedRows) -> tuple[PackedRows, ...]:
    """Return the rows in the directions in which videos differ, so that two recordings of one thing are less alike.

    What all rows have in common is taken away, and the directions that vary most are weakened, which are those of what
    is shown rather than of this recording: whitening, half of it, after the mean is gone (Jegou and Chum 2012,
    "Negative evidences and co-occurences in image retrieval"). The packs are measured together. Rows are (R, D) before,
    and (R, WIDTH) or narrower after.
    """
    every = np.concatenate([pack.rows for pack in packs]) if len(packs) > 1 else packs[0].rows
    some = every[:: max(1, len(every) // MOST_MEASURED)]
    mean = some.mean(0)
    spread, directions = np.linalg.eigh(np.cov((some - mean).T.astype(np.float64)).reshape(len(mean), -1))
    spread, directions = np.maximum(spread, 0.0)[::-1][:WIDTH], directions[:, ::-1][:, :WIDTH]
    if not spread.sum() > 0:
        return packs
    weights = (spread + SOFTEST * spread.mean()) ** (-POWER / 2)
    turn = (directions * weights).astype(np.float32)  # (D, WIDTH)
    middle = mean.astype(np.float32)
    return tuple(PackedRows(_turned(pack.rows, middle, turn), pack.times, pack.ends, pack.steps) for pack in packs)


def _turned(rows: np.ndarray, mean: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Return unit rows (R, WIDTH) of (R, D), some at a time: all of them without their mean would be a second copy."""
    found = np.empty((len(rows), turn.shape[1]), dtype=np.float32)
    for at in range(0, len(rows), AT_ONCE):
        found[at : at + AT_ONCE] = unit((rows[at : at + AT_ONCE] - mean) @ turn)
    return found
