"""Shards: HDF5 files of packed rows, and their writer. A file named .h5 is always complete."""

import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np

from framebank.store.errors import DataError
from framebank.store.files.lock import Lock
from framebank.store.files.place import clear_store
from framebank.store.files.replacing import current_paths
from framebank.store.formats.eight_bits import is_packed, pack
from framebank.store.formats.sealed import write_datasets
from framebank.store.spec import FeatureSpec

FRAME_STREAM = "frame"
PATCH_MEAN = "patch_mean"
WINDOW = "window"  # the dataset with the seconds of the first and last frame of each row
SOURCE = "source"  # the dataset that says which files the videos were read from

# The share of its time that a long extraction may lose if it is killed.
SHARE_AT_RISK = 0.05


@dataclass(frozen=True)
class Embeddings:
    """One video's rows. The rows of a view are adjacent, and within a view the rows of a clip.

    data        (R, D), the `frame` stream
    timestamps  (R,) float64, seconds after the first frame of the video
    indices     (R,) int64, the frames that the rows come from
    views       (R,), which of the spec's views a row shows; empty if there is one
    clips       (R,), which clip of the video a row belongs to; empty if there is one
    streams     further streams of a row, each (R, ...); codes of `eight_bits` where a copy of a store passes them on
    patch_mean  (V, P, W), time mean of the patch tokens in each of V = views x clips; None if not kept
    windows     (R, 2) float64, the seconds of the first and the last frame of a row; None if each row is one frame
    """

    data: np.ndarray
    timestamps: np.ndarray
    indices: np.ndarray
    views: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    clips: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    streams: Mapping[str, np.ndarray] = field(default_factory=dict)
    patch_mean: np.ndarray | None = None
    windows: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check that all have the same length."""
        rows = self.data.shape[0]
        if self.data.ndim != 2 or rows == 0 or self.timestamps.shape != (rows,) or self.indices.shape != (rows,):
            raise ValueError(
                f"expected data (R, D), timestamps (R,) and indices (R,), got {self.data.shape}, "
                f"{self.timestamps.shape} and {self.indices.shape}"
            )
        for name in ("views", "clips"):
            if len(getattr(self, name)) == 0:
                object.__setattr__(self, name, np.zeros(rows, dtype=np.int64))
        if self.windows is not None and self.windows.shape != (rows, 2):
            raise ValueError(f"expected windows ({rows}, 2), got {self.windows.shape}")
        of_rows = {"views": self.views, "clips": self.clips, **self.streams}
        ragged = [name for name, values in of_rows.items() if len(values) != rows]
        if ragged:
            raise ValueError(f"{ragged[0]} does not have the {rows} rows of data {self.data.shape}")

    @property
    def num_groups(self) -> int:
        """The number of views and clips together. Each has the same number of rows."""
        return (int(self.views.max()) + 1) * (int(self.clips.max()) + 1)

    def __repr__(self) -> str:
        span = f"{self.timestamps[0]:.2f}-{self.timestamps[-1]:.2f} s"
        return f"Embeddings(data={self.data.shape} {self.data.dtype}, {span})"


def distinct_mask(indices: np.ndarray) -> np.ndarray:
    """Return where a frame is not a repeat of the one before it. A video shorter than its number of frames has repeats.

    indices (..., T) -> (..., T) bool.
    """
    mask = np.ones(indices.shape, dtype=np.bool_)
    mask[..., 1:] = indices[..., 1:] != indices[..., :-1]
    return mask


def shard_paths(folder: Path) -> list[Path]:
    """Return the complete shards of a store, in order."""
    return [path for path in current_paths(folder, "shard-*.h5") if re.fullmatch(r"shard-\d{5,}\.h5", path.name)]


def _further_streams(rows: Sequence[Embeddings], spec: FeatureSpec) -> dict[str, np.ndarray]:
    """Return the datasets apart from `frame`: streams of rows packed (R, ...), and patch_mean (V, groups, P, W)."""
    packed = spec.packed_streams
    datasets = {
        f"streams/{name}": np.concatenate([_stored(row.streams[name], packed=name in packed) for row in rows])
        for name in rows[0].streams
    }
    means = [row.patch_mean.astype(np.float16) for row in rows if row.patch_mean is not None]
    if means:
        datasets[f"video_streams/{PATCH_MEAN}"] = np.stack(means)
    return datasets


def _stored(values: np.ndarray, *, packed: bool) -> np.ndarray:
    if not packed:
        return values.astype(np.float16)
    return values if is_packed(values.dtype.str) else pack(values)


def _windows(rows: Sequence[Embeddings]) -> dict[str, np.ndarray]:
    found = [row.windows.astype(np.float64) for row in rows if row.windows is not None]
    return {WINDOW: np.concatenate(found)} if found else {}


class ShardWriter:
    """Add videos to a store, one shard at a time. A context manager that owns the store while it is open.

    Rows wait in memory until there are `max_videos` of them, or until they have waited for `min_seconds` and for a
    twentieth of the time since the writer was made. Then they are written as one complete file. So a killed process
    loses only the rows that waited, and a long one does not leave thousands of small files. DataError if another writer
    has the store.
    """

    def __init__(self, folder: Path, spec: FeatureSpec, *, max_videos: int = 512, min_seconds: float = 5.0) -> None:
        self.folder = folder
        self.spec = spec
        self.max_videos = max_videos
        self.min_seconds = min_seconds
        self._waiting: dict[str, tuple[Embeddings, str, str]] = {}
        self._failed = False  # a write that failed is not tried again
        self._started = self._since = time.monotonic()
        self._lock = Lock(folder / "writer.lock")

    def __enter__(self) -> "ShardWriter":
        with contextlib.ExitStack() as held:
            held.enter_context(self._lock)
            clear_store(self.folder)
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._held:
            if not self._failed:  # keep what was embedded before an interruption or an error
                self.flush()

    def add(self, video_id: str, embeddings: Embeddings, *, decoder: str = "", source: str = "") -> None:
        """Take one video's embeddings, (T, D) with the D of the spec. They are on disk after the next flush.

        `source` is the identity of their file as text (`identity.py`), if it is known.
        """
        if embeddings.data.shape[1] != self.spec.dim:
            raise ValueError(
                f"{video_id}: embeddings of width {embeddings.data.shape[1]}, the spec says {self.spec.dim}"
            )
        if video_id in self._waiting:
            raise ValueError(f"{video_id}: added twice")
        given = {FRAME_STREAM, *embeddings.streams, *[PATCH_MEAN] * (embeddings.patch_mean is not None)}
        if given != self.spec.stream_names:
            raise ValueError(f"{video_id}: streams {sorted(given)}, the spec says {sorted(self.spec.stream_names)}")
        held = next(iter(self._waiting.values()), (embeddings, "", ""))[0]
        if (held.windows is None) != (embeddings.windows is None):
            raise ValueError(f"{video_id}: some rows of the store are frames and some are windows")
        self._waiting[video_id] = (embeddings, decoder, source)
        if len(self._waiting) >= self.max_videos or self._is_due():
            self.flush()

    def _is_due(self) -> bool:
        now = time.monotonic()
        return now - self._since >= max(self.min_seconds, SHARE_AT_RISK * (now - self._started))

    def flush(self) -> None:
        """Write the waiting rows as one shard."""
        self._since = time.monotonic()
        if not self._waiting:
            return
        rows = [embeddings for embeddings, _, _ in self._waiting.values()]
        sources = [source for _, _, source in self._waiting.values()]
        datasets = {
            f"streams/{FRAME_STREAM}": np.concatenate([row.data.astype(np.float16) for row in rows]),  # (R, D)
            **_further_streams(rows, self.spec),
            "view": np.concatenate([row.views for row in rows]).astype(np.int64),
            "clip": np.concatenate([row.clips for row in rows]).astype(np.int64),
            "frame_index": np.concatenate([row.indices for row in rows]).astype(np.int64),
            "timestamp": np.concatenate([row.timestamps for row in rows]).astype(np.float64),
            **_windows(rows),
            "end": np.cumsum([len(row.data) for row in rows]).astype(np.int64),
            "video_id": list(self._waiting),
            "decoder": [decoder for _, decoder, _ in self._waiting.values()],
            **({SOURCE: sources} if any(sources) else {}),
        }
        try:
            write_datasets(self._next_path(), datasets, self.spec.to_dict())
        except DataError:
            self._failed = True
            raise
        self._waiting.clear()

    def _next_path(self) -> Path:
        taken = [int(path.stem.removeprefix("shard-")) for path in shard_paths(self.folder)]
        return self.folder / f"shard-{max(taken, default=-1) + 1:05d}.h5"
