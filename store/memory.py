"""MemoryStore and StorePart: the embeddings of a few videos, in memory or in a store, read like a FeatureStore."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.formats.eight_bits import pack, unpack
from framebank.store.shard import FRAME_STREAM, PATCH_MEAN, Embeddings
from framebank.store.spec import FeatureSpec


@dataclass(frozen=True, repr=False)
class MemoryStore:
    """`rows` of videos by video_id, rounded to float16 as on disk. Errors name `path` as the origin."""

    path: Path
    spec: FeatureSpec
    rows: Mapping[str, Embeddings]

    @property
    def ids(self) -> tuple[str, ...]:
        """The video_ids, in order."""
        return tuple(self.rows)

    def __getitem__(self, video_id: str) -> Embeddings:
        return self.rows[video_id]

    def read_stream(self, video_id: str, name: str) -> np.ndarray:
        """Return one video's rows of a stream, (R, ...), or its patch_mean (groups, P, W), in float16.

        DataError if it was embedded without that stream.
        """
        found = self.rows[video_id]
        values = found.patch_mean if name == PATCH_MEAN else found.streams.get(name)
        values = found.data if name == FRAME_STREAM else values
        if values is None:
            raise DataError(f"{self.path}: has no stream {name!r}; it has {', '.join(sorted(self.spec.stream_names))}")
        return unpack(pack(values)) if name in self.spec.packed_streams else values.astype(np.float16, copy=False)

    def read_packed(self, stream: str = FRAME_STREAM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return everything like FeatureStore: data (R, ...) of a stream of rows, frame indices (R,), end rows (V,)."""
        data = np.concatenate([self.read_stream(video_id, stream) for video_id in self.rows])
        indices = np.concatenate([found.indices for found in self.rows.values()])
        return data, indices, np.cumsum([len(found.data) for found in self.rows.values()], dtype=np.int64)

    def num_rows_of(self, video_ids: Sequence[str]) -> np.ndarray:
        """Return how many rows each of these videos has, (V,)."""
        return np.array([len(self.rows[video_id].data) for video_id in video_ids], dtype=np.int64)

    def read_some(self, video_ids: Sequence[str], stream: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the same as `read_packed`, for these videos in this order."""
        return MemoryStore(self.path, self.spec, {name: self.rows[name] for name in video_ids}).read_packed(stream)

    def __repr__(self) -> str:
        return f"MemoryStore({len(self.rows)} videos of {self.spec.dim})"


@dataclass(frozen=True)
class StorePart:
    """Some videos of a store. Only their own rows are read."""

    store: FeatureStore
    ids: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The folder of the store."""
        return self.store.path

    def __getitem__(self, video_id: str) -> Embeddings:
        return self.store[video_id]

    def read_stream(self, video_id: str, name: str) -> np.ndarray:
        """Return the same as the store does."""
        return self.store.read_stream(video_id, name)

    def read_packed(self, stream: str = FRAME_STREAM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the same as the store does, for these videos only."""
        return self.store.read_some(self.ids, stream)

    def num_rows_of(self, video_ids: Sequence[str]) -> np.ndarray:
        """Return the same as the store does."""
        return self.store.num_rows_of(video_ids)

    def read_some(self, video_ids: Sequence[str], stream: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the same as the store does."""
        return self.store.read_some(video_ids, stream)


Rows = FeatureStore | MemoryStore | StorePart
