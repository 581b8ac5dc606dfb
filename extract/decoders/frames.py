"""Frames: what a decoder is asked for, where it puts what it reads, and what it returns, whichever decoder it was."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from framebank.store.counts import counted
from framebank.store.errors import DataError

Image = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Times = npt.NDArray[np.float64]

# Gets the seconds (total,) of all frames of a video after the first, ascending; gives which of them are the rows (R,),
# in any order, repeats allowed.
Sample = Callable[[Times], Indices]


class UnsupportedError(DataError):
    """A decoder lacks what a file needs, its library, the container or the codec; of the file that says nothing."""


class DamageError(DataError):
    """A video file is damaged or cut short; what is left of it may be read on request."""

    def __init__(self, path: Path, damage: str) -> None:
        super().__init__(f"{path}: {damage}; extract --use-damaged uses the good frames")

    def __reduce__(self) -> tuple[type[DataError], tuple[str]]:
        return DataError, (str(self),)


class Sink(Protocol):
    """Where a decoder puts the frames of one video as it comes to them, so that none need be kept."""

    def add(self, index: int, image: Image) -> None:
        """Take one frame (H, W, 3), upright RGB. Each wanted frame comes once, however many rows show it, ascending."""
        ...

    def clear(self) -> None:
        """Forget what was added so far: it was chosen by a count or by times that proved wrong."""
        ...

    def tick(self) -> None:
        """Note that the decoder advances: called for each packet and each frame that passes, wanted or not."""
        ...


@dataclass(frozen=True, repr=False, eq=False)
class Clip:
    """Which frames of one video were read; the frames themselves went into a sink.

    indices     (R,) int64, position in presentation order, 0 the first frame, as sampled
    timestamps  (R,) float64, seconds after the first frame of the video
    decoder     name of the decoder that gave them; of a damaged video followed by what was left out
    source      the identity of the file in words, as it was before and after the reading; "" where it is not known
    """

    indices: Indices
    timestamps: Times
    decoder: str
    source: str = ""

    def __post_init__(self) -> None:
        if self.indices.ndim != 1 or self.indices.dtype != np.int64:
            raise ValueError(f"indices must be (R,) int64, got {self.indices.shape} {self.indices.dtype}")
        if self.timestamps.shape != self.indices.shape or self.timestamps.dtype != np.float64:
            raise ValueError(
                f"timestamps must be {self.indices.shape} float64, got {self.timestamps.shape} {self.timestamps.dtype}"
            )

    def __repr__(self) -> str:
        return f"Clip(indices={self.indices.shape}, timestamps={self.timestamps.shape}, decoder={self.decoder!r})"


@dataclass(frozen=True, repr=False, eq=False)
class Frames:
    """Some frames of one video, upright and in RGB.

    data        (T, H, W, 3) uint8, RGB, rotation metadata applied
    timestamps  (T,) float64, seconds after the first frame of the video
    indices     (T,) int64, position in presentation order, 0 the first frame
    decoder     name of the decoder that gave them
    """

    data: npt.NDArray[np.uint8]
    timestamps: npt.NDArray[np.float64]
    indices: npt.NDArray[np.int64]
    decoder: str

    def __post_init__(self) -> None:
        if self.data.ndim != 4 or self.data.shape[-1] != 3 or self.data.dtype != np.uint8:
            raise ValueError(f"data must be (T, H, W, 3) uint8, got {self.data.shape} {self.data.dtype}")
        if self.timestamps.shape != self.data.shape[:1] or self.timestamps.dtype != np.float64:
            raise ValueError(
                f"timestamps must be ({len(self)},) float64, got {self.timestamps.shape} {self.timestamps.dtype}"
            )
        if self.indices.shape != self.data.shape[:1] or self.indices.dtype != np.int64:
            raise ValueError(f"indices must be ({len(self)},) int64, got {self.indices.shape} {self.indices.dtype}")

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return (
            f"Frames(data={self.data.shape}, timestamps={self.timestamps.shape}, "
            f"indices={self.indices.shape}, decoder={self.decoder!r})"
        )


class ImageSink:
    """A sink that keeps the frames: `images` by index."""

    def __init__(self) -> None:
        self.images: dict[int, Image] = {}

    def add(self, index: int, image: Image) -> None:
        """Keep a frame (H, W, 3)."""
        self.images[index] = image

    def clear(self) -> None:
        """Forget all frames."""
        self.images.clear()

    def tick(self) -> None:
        """Nobody watches."""


def refuse_beyond(path: Path, *, indices: Indices, total: int) -> None:
    """Raise DataError if an index is not one of `total` frames."""
    if indices.max(initial=0) >= total:
        there = f"{counted(total, 'frame')} decode{'s' if total == 1 else ''}"
        raise DataError(f"{path}: frame {indices.max()} was asked for, {there}")
