"""Frames: what a decoder returns, whichever decoder it was."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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
