"""Rows: the vectors of the frames or clips of an index's videos, with the seconds that each stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from framebank.store.digest import digest
from framebank.store.errors import DataError
from framebank.store.files.replacing import current
from framebank.store.formats.npy import Npz
from framebank.store.indexes.flat import map_flat, write_flat

LEVELS = ("video", "clip", "frame")
VECTORS, TIMES = "rows.faiss", "rows.npz"


@dataclass(frozen=True, eq=False)
class Rows:
    """Unit vectors (R, D), float32 or float16, of `level` "clip" or "frame", those of one video after the other.

    `ends` (V,) int64 gives the row after the last one of each video. `spans` (R, 2) float64 are the start and the end
    of each row in the file of its video, in seconds.
    """

    level: str
    vectors: np.ndarray
    ends: np.ndarray
    spans: np.ndarray

    def __post_init__(self) -> None:
        """Check that the parts agree."""
        fits = self.ends.ndim == 1 and self.vectors.ndim == 2 and self.spans.shape == (len(self.vectors), 2)
        in_order = fits and bool((np.diff(self.ends, prepend=0) >= 0).all())
        if self.level not in LEVELS[1:] or not in_order or self._end != len(self.vectors):
            raise DataError(
                f"rows of level {self.level!r}: vectors {self.vectors.shape}, times {self.spans.shape}, ends of videos "
                f"{self.ends.shape}, the last of them {self.ends.flat[-1:].tolist()}; these do not belong together"
            )

    @property
    def _end(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        return f"Rows({self.level!r}, {self.vectors.shape}, of {len(self.ends)} videos)"

    @cached_property
    def video_of(self) -> np.ndarray:
        """The number of the video of each row, (R,) int64."""
        return np.repeat(np.arange(len(self.ends)), np.diff(self.ends, prepend=0))

    def rows_of(self, videos: np.ndarray | Sequence[int]) -> np.ndarray:
        """Return the rows (N,) int64 of some videos, by their numbers, in the order of the videos."""
        videos = np.asarray(videos, dtype=np.int64)
        counts = np.diff(self.ends, prepend=0)[videos]
        firsts = self.ends[videos] - counts
        before = np.cumsum(counts) - counts
        found: np.ndarray = np.repeat(firsts - before, counts) + np.arange(int(counts.sum()))
        return found

    def select(self, videos: Sequence[int]) -> "Rows":
        """Return the rows of some videos, by their numbers, in this order."""
        rows = self.rows_of(videos)
        counts = np.diff(self.ends, prepend=0)[np.asarray(videos, dtype=np.int64)]
        return Rows(self.level, self.vectors[rows], np.cumsum(counts), self.spans[rows])

    def write(self, folder: Path) -> None:
        """Write rows.faiss and rows.npz into a folder."""
        write_flat(folder / VECTORS, self.vectors)
        with (folder / TIMES).open("wb") as file:
            np.savez(file, ends=self.ends, spans=self.spans)

    def digest(self) -> str:
        """Return the digest of the vectors and their times."""
        return digest({"vectors": self.vectors, "ends": self.ends, "spans": self.spans})


def read_rows(folder: Path, level: str) -> Rows:
    """Return what `Rows.write` wrote; the vectors are mapped into memory. DataError if it is something else."""
    vectors = map_flat(current(folder, VECTORS))
    arrays = Npz(current(folder, TIMES))
    found = []
    for name, kind in (("ends", np.int64), ("spans", np.float64)):
        if name not in arrays:
            raise DataError(f"{folder / TIMES}: {name} is missing; expected an array")
        found.append(arrays[name])
        if found[-1].dtype != kind:
            raise DataError(f"{folder / TIMES}: {name} is an array of {found[-1].dtype}; expected {np.dtype(kind)}")
    return Rows(level, vectors, *found)
