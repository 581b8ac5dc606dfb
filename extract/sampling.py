"""Which frames of a video are embedded: a rule such as `segments:16`, applied to the times of its frames."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from framebank.store.errors import DataError

Indices = npt.NDArray[np.int64]
Times = npt.NDArray[np.float64]

# A frame that begins this much after a moment counts as on the screen at it: first the rounding of the arithmetic here,
# then the most that is allowed for the clock of a container.
FLOAT_SECONDS = 1e-6
CLOCK_SECONDS = 1e-3


@dataclass(frozen=True)
class Sampling:
    """A rule and its numbers; called with the times of all frames of a video, it gives the rows of that video.

    name     one of RULES
    numbers  what follows the colon, as RULES[name].form names them
    """

    name: str
    numbers: tuple[Decimal, ...]

    def __post_init__(self) -> None:
        if self.name not in RULES or not re.fullmatch(RULES[self.name].pattern, self.spec) or not all(self.numbers):
            raise ValueError(f"{self.spec!r} is not a sampling; expected {forms()}")

    @property
    def spec(self) -> str:
        """The one text that stands for this sampling, such as "fps:2"; `read_sampling` reads it."""
        if not self.numbers:
            return self.name
        return f"{self.name}:" + "x".join(f"{number.normalize():f}" for number in self.numbers)

    @property
    def num_clips(self) -> int:
        """How many clips a video gives: 1, except for `clips`."""
        return int(self.numbers[0]) if self.name == "clips" else 1

    @property
    def is_fixed(self) -> bool:
        """Whether every video gets the same number of rows."""
        return RULES[self.name].is_fixed

    @property
    def num_rows(self) -> int:
        """How many rows every video gets. ValueError if that differs from video to video."""
        if not self.is_fixed:
            raise ValueError(f"{self.spec} gives videos of different lengths different numbers of rows")
        return int(self.numbers[0]) if self.name == "segments" else int(self.numbers[0] * self.numbers[1])

    def __call__(self, times: Times, *, start: float | None = None, end: float | None = None) -> Indices:
        """Return which frames the rows of each clip are: (num_clips, T) int64, indices of the whole video.

        `times` (total,) are the ascending seconds of all its frames, the first at 0. Frames from `start` on and before
        `end`, in seconds, are sampled as if the video had no others. DataError if there is none.
        """
        times = np.asarray(times, dtype=np.float64)
        low, high = np.searchsorted(times, [start or 0, np.inf if end is None else end])
        if low >= high:
            last = f"its last frame is at {times[-1]:g} s" if len(times) else "the video has none"
            raise DataError(f"no frame from {start or 0:g} s to {'the end' if end is None else f'{end:g} s'}: {last}")
        rows = RULES[self.name].rows(times[low:high] - times[low], *self.numbers)
        return np.asarray(low + rows, dtype=np.int64)

    def rows(self, times: Times, *, start: float | None = None, end: float | None = None) -> Indices:
        """Return the same as one list of rows, clip by clip: (num_clips * T,)."""
        return self(times, start=start, end=end).reshape(-1)


def read_sampling(spec: str) -> Sampling:
    """Return the sampling that `spec` names; DataError if it has none of the forms in RULES."""
    name, _, numbers = spec.partition(":")
    if name in RULES and re.fullmatch(RULES[name].pattern, spec):
        found = [Decimal(number) for number in re.findall(r"[0-9.]+", numbers)]
        if all(found):
            return Sampling(name, tuple(found))
    raise DataError(f"{spec!r} is not a sampling; expected {forms()}, with numbers above 0 and below a million")


def forms() -> str:
    """Return the forms of all samplings, such as "segments:T, fps:F"."""
    return ", ".join(rule.form for rule in RULES.values())


def segment_indices(total: int, num_frames: int) -> Indices:
    """Return the centre frame of each of `num_frames` equal segments of a video of `total` frames: (T,) int64.

    These are the test-time indices of TSN (Wang et al., 2016, arXiv 1608.00859). A video with fewer frames than
    segments repeats frames; the store's `distinct_mask` marks the repeats. ValueError if either number is below 1.
    """
    if total < 1 or num_frames < 1:
        raise ValueError(f"segments need at least 1 frame and 1 segment, got total={total}, num_frames={num_frames}")
    odd = 2 * np.arange(num_frames, dtype=np.int64) + 1
    return np.asarray(odd * total // (2 * num_frames))


def clip_indices(total: int, num_clips: int, num_frames: int) -> Indices:
    """Return clips that each cover the whole video, shifted against each other: (num_clips, T) int64.

    From each of T equal segments, clip j takes the frame at (j + 1/2) / N of its length: the shifted samples with which
    TSN and similar methods are tested on several clips. A single clip is `segment_indices`. ValueError as there.
    """
    fine = segment_indices(total, num_clips * num_frames)
    return fine.reshape(num_frames, num_clips).T  # (T * N,) -> (N, T)


def rate_indices(times: Times, fps: float) -> Indices:
    """Return the frames on the screen at 0, 1/fps, 2/fps ... seconds, each once: (T,) int64, at least the first.

    A frame stays on the screen until the next one. There is no moment after the time of the last frame, whose length is
    not known. A video with fewer frames a second gives all of them. `times` (total,) are seconds, ascending, the first
    0; a frame that begins within `clock_seconds(times)` after a moment counts as on the screen at it.
    """
    # Frame i is due at the moments from due[i] to before due[i + 1]; there is one moment beyond the last frame's.
    clock = clock_seconds(times)
    due = np.maximum(np.ceil((times - clock) * fps), 1)
    due[0] = 0
    after = np.append(due[1:], np.floor((times[-1] + clock) * fps) + 1)
    return np.flatnonzero(due < after)


def clock_seconds(times: Times) -> float:
    """Return how late the seconds (total,) of frames may be because their container rounds them.

    Matroska keeps whole milliseconds: the frames of 30 a second are 33 and 34 ms apart. So the intervals of a steady
    rate differ by one tick of the clock and no more, and the time between two frames is wrong by less than a tick. If
    they differ by more, the rate varies, and a millisecond is allowed; never more than half of the shortest interval.
    """
    intervals = np.diff(times)
    if not len(intervals):
        return FLOAT_SECONDS
    return max(FLOAT_SECONDS, min(float(np.ptp(intervals)), CLOCK_SECONDS, float(intervals.min()) / 2))


class _Rule(NamedTuple):
    """How a sampling is written, and what gives its rows (num_clips, T) from times and numbers."""

    form: str
    pattern: str
    is_fixed: bool
    rows: Callable[..., Indices]


RULES = {
    "segments": _Rule(
        "segments:T", "segments:[0-9]{1,6}", True, lambda times, t: segment_indices(len(times), int(t))[None]
    ),
    "fps": _Rule(
        "fps:F", r"fps:[0-9]{1,6}(\.[0-9]+)?", False, lambda times, fps: rate_indices(times, float(fps))[None]
    ),
    "stride": _Rule("stride:S", "stride:[0-9]{1,6}", False, lambda times, s: np.arange(0, len(times), int(s))[None]),
    "every": _Rule("every", "every", False, lambda times: np.arange(len(times))[None]),
    "clips": _Rule(
        "clips:NxT",
        "clips:[0-9]{1,6}x[0-9]{1,6}",
        True,
        lambda times, n, t: clip_indices(len(times), int(n), int(t)),
    ),
}


def checked_indices(indices: Indices) -> Indices:
    """Return indices (T,) as int64; ValueError where they are not integers from 0 on, one at least."""
    indices = np.asarray(indices)
    if indices.ndim != 1 or len(indices) == 0 or indices.dtype.kind not in "iu" or indices.min() < 0:
        raise ValueError(f"indices must be (T,) integers from 0 on, T at least 1, got {indices.dtype} {indices.shape}")
    return indices.astype(np.int64)


def sample_guess(sample: Callable[[Times], Indices], guess: Times) -> Indices:
    """Return the rows that a guess of the times gives; none if it has none, since the true times may have some."""
    try:
        return checked_indices(sample(guess))
    except DataError:
        return np.zeros(0, dtype=np.int64)
