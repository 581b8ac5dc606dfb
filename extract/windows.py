"""Windows: the clips of neighbouring frames that an encoder of clips reads, each of which becomes one row."""

from collections import deque

import numpy as np
import numpy.typing as npt

from framebank.store.errors import DataError

Pixels = npt.NDArray[np.uint8]


def require_whole_clips(num_frames: int, *, size: int) -> None:
    """Refuse a number of frames that does not fill whole clips of `size` frames: DataError."""
    if num_frames % size:
        whole = -(-num_frames // size) * size
        raise DataError(
            f"the encoder reads clips of {size} frames, and {num_frames} frames of a video are asked for; expected a "
            f"multiple of {size}, such as --frames {whole}, or --fps"
        )


def window_places(count: int, *, size: int) -> npt.NDArray[np.int64]:
    """Return which of `count` frames each window of `size` shows: (W, size).

    One window follows the other. If frames are left over, a last window ends with the last frame and overlaps the one
    before it, so that no frame is lost. DataError if there are fewer frames than a window has.
    """
    if count < size:
        raise DataError(f"has {count} of the {size} frames that one clip of the encoder needs; expected a longer video")
    starts = np.arange(0, count - size + 1, size, dtype=np.int64)
    if count % size:
        starts = np.append(starts, count - size)
    return starts[:, None] + np.arange(size)


def window_facts(
    indices: npt.NDArray[np.int64], timestamps: npt.NDArray[np.float64], places: npt.NDArray[np.int64]
) -> dict[str, np.ndarray]:
    """Return what the row of each window says, places (W, size): its middle frame, the time halfway, and `windows`.

    The last are (W, 2), the seconds of its first and last frame.
    """
    times = np.asarray(timestamps, dtype=np.float64)
    windows = np.stack([times[places[:, 0]], times[places[:, -1]]], axis=1)  # (W, 2)
    return {"indices": indices[places[:, places.shape[1] // 2]], "timestamps": windows.mean(axis=1), "windows": windows}


def require_enough_frames(distinct: int, *, size: int) -> None:
    """Refuse a video whose sampled frames, so many of which are `distinct`, are too few for one window: DataError.

    A single picture is enough: it is shown again and again.
    """
    if distinct > 1:
        window_places(distinct, size=size)


class Windows:
    """Make windows of `size` frames of one video, as they come.

    `num_clips` and `is_fixed` are those of its sampling. Where a video may have any number of frames, a window is ready
    when its last frame has come, and only the frames of one window wait in memory. Else all frames wait, because a
    short video repeats some and clips may share some.
    """

    def __init__(self, size: int, *, num_clips: int = 1, is_fixed: bool) -> None:
        self._size = size
        self._num_clips = num_clips
        self._repeats = is_fixed
        self._frames: deque[Pixels] = deque(maxlen=None if self._repeats else self._size)
        self._new = 0  # frames that no window shows yet
        self._shape: tuple[int, ...] = ()

    def add(self, pixels: Pixels) -> Pixels:
        """Take frames (N, views, S, S, 3), and return the windows that are ready, (W, views, size, S, S, 3)."""
        self._shape = pixels.shape[1:]
        ready = []
        for frame in pixels:
            self._frames.append(frame.copy())  # the memory behind it is used again
            self._new += 1
            if not self._repeats and self._new == self._size:
                ready.append(np.stack(self._frames, axis=1))
                self._new = 0
        return np.stack(ready) if ready else self._none()

    def close(self, indices: npt.NDArray[np.int64]) -> Pixels:
        """Return the windows that are left when all frames have come; `indices` (C * T,) are the sampled frames.

        DataError if the video has too few frames for one window. A single picture is shown again and again.
        """
        distinct, position = np.unique(indices, return_inverse=True)
        require_enough_frames(len(distinct), size=self._size)
        if not self._repeats:
            window_places(len(indices), size=self._size)
            return np.stack(self._frames, axis=1)[None] if self._new else self._none()
        shown = position[clip_places(len(indices), size=self._size, num_clips=self._num_clips)]  # (W, size)
        return np.stack([np.stack([self._frames[place] for place in window], axis=1) for window in shown])

    def _none(self) -> Pixels:
        views, *picture = self._shape
        return np.empty((0, views, self._size, *picture), dtype=np.uint8)


def clip_places(count: int, *, size: int, num_clips: int) -> npt.NDArray[np.int64]:
    """Return the same as `window_places` for `count` frames in clips of equal length, clip by clip: (W, size)."""
    own = window_places(count // num_clips, size=size)  # (W, size) of each clip
    firsts = np.arange(num_clips, dtype=np.int64) * (count // num_clips)
    return np.asarray((firsts[:, None, None] + own).reshape(-1, size))
