"""FeatureStore: a folder of shards seen as one mapping of video_id to embeddings."""

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError
from framebank.store.ledger import Failure, Ledger
from framebank.store.manifest import Manifest
from framebank.store.shard import FRAME_STREAM, PATCH_MEAN, Embeddings, open_datasets, read_strings, shard_paths
from framebank.store.spec import FeatureSpec

MAX_OPEN_FILES = 128  # a slow extraction leaves a shard a minute, and a process may open about a thousand files


class FeatureStore(Mapping[str, Embeddings]):
    """A read-only view of a store: `store[video_id].data` is (T, D) float16, un-normalised.

    Opens cheaply and reads lazily; files are opened once in each process, so a store may cross a fork or be pickled.
    DataError where the folder is no store, or holds shards that cannot be mixed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise DataError(f"{self.path}: no such store; expected a folder made by `framebank extract`")
        self._paths = shard_paths(self.path)
        if not self._paths:
            failed = len(self.failures)
            reason = (
                f"all {failed} videos failed, see failed.csv"
                if failed
                else "expected a folder made by `framebank extract`"
            )
            raise DataError(f"{self.path}: holds no shard; {reason}")
        self._place: dict[str, tuple[int, int, int]] = {}  # video_id -> shard, first row, end row
        self.decoders: dict[str, str] = {}
        self._files: dict[int, Any] = {}  # open shards of this process
        self._process = os.getpid()
        self.spec = self._scan()

    def _scan(self) -> FeatureSpec:
        spec: FeatureSpec | None = None
        for number, path in enumerate(self._paths):
            found, ids, ends, decoders = _read_shard(path)
            spec = spec or found
            spec.require_equal(found, mine=self._paths[0], theirs=path)
            for video_id, start, end, decoder in zip(ids, [0, *ends[:-1]], ends, decoders, strict=True):
                if video_id in self._place:
                    raise DataError(f"{path}: holds {video_id!r}, which another shard of this store holds too")
                self._place[video_id] = (number, start, end)
                self.decoders[video_id] = decoder
        if spec is None:  # there is at least one shard
            raise DataError(f"{self.path}: holds no shard")
        return spec

    def __getitem__(self, video_id: str) -> Embeddings:
        number, start, end = self._place[video_id]
        file = self._file(number)
        return Embeddings(
            data=file[f"streams/{FRAME_STREAM}"][start:end],
            timestamps=file["timestamp"][start:end],
            indices=file["frame_index"][start:end],
            views=file["view"][start:end] if "view" in file else np.zeros(0, dtype=np.int64),
            clips=file["clip"][start:end] if "clip" in file else np.zeros(0, dtype=np.int64),
        )

    def read_stream(self, video_id: str, name: str) -> np.ndarray:
        """Return one video's rows of a stream, (R, ...), or its patch_mean (groups, P, W), in float16.

        KeyError where the store has no such video; DataError naming the streams it has where it has no such stream.
        """
        number, start, end = self._place[video_id]
        if name not in self.spec.stream_names:
            raise DataError(f"{self.path}: has no stream {name!r}; it has {', '.join(sorted(self.spec.stream_names))}")
        if name == PATCH_MEAN:
            file = self._file(number)
            return np.asarray(file[f"video_streams/{PATCH_MEAN}"][int(np.searchsorted(file["end"][:], end))])
        return np.asarray(self._file(number)[f"streams/{name}"][start:end])

    def __len__(self) -> int:
        return len(self._place)

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._place

    @property
    def ids(self) -> tuple[str, ...]:
        """The video_ids, in the order they were written."""
        return tuple(self._place)

    @property
    def num_rows(self) -> int:
        """How many frame embeddings there are."""
        return sum(end - start for _, start, end in self._place.values())

    @cached_property
    def streams(self) -> tuple[str, ...]:
        """The names of the streams that every row has."""
        return tuple(sorted(self.spec.stream_names))

    @cached_property
    def manifest(self) -> Manifest:
        """The list of videos the store was made from, those that failed included."""
        return Manifest.read_csv(self.path / "manifest.csv")

    @property
    def failures(self) -> list[Failure]:
        """The videos that gave no embedding, with the reason."""
        return Ledger(self.path / "failed.csv").read()

    def read_packed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return everything in one read: data (R, D), frame indices (R,), end rows (V,), in the order of `ids`."""
        parts = []
        for number in range(len(self._paths)):
            file = self._file(number)
            parts.append((file[f"streams/{FRAME_STREAM}"][:], file["frame_index"][:]))
        ends = np.cumsum([end - start for _, start, end in self._place.values()], dtype=np.int64)
        return np.concatenate([data for data, _ in parts]), np.concatenate([indices for _, indices in parts]), ends

    def _file(self, number: int) -> Any:
        if os.getpid() != self._process:
            self._files, self._process = {}, os.getpid()
        if number not in self._files:
            if len(self._files) >= MAX_OPEN_FILES:
                self._files.pop(next(iter(self._files)))  # closed when whoever still reads it is done
            self._files[number] = open_datasets(self._paths[number])
        return self._files[number]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}

    def __repr__(self) -> str:
        return f"FeatureStore({str(self.path)!r}: {len(self)} videos, {self.num_rows} rows of {self.spec.dim})"


def _read_shard(path: Path) -> tuple[FeatureSpec, list[str], list[int], list[str]]:
    """Return a shard's spec, video_ids, end rows and decoders; DataError where they do not add up."""
    try:
        with open_datasets(path) as file:
            spec = FeatureSpec.from_dict(_plain(file.attrs), where=path)
            ids, decoders = read_strings(file["video_id"]), read_strings(file["decoder"])
            ends, rows = file["end"][:], len(file["frame_index"])
            whole = file["timestamp"].shape == (rows,) and file[f"streams/{FRAME_STREAM}"].shape == (rows, spec.dim)
    except (OSError, RuntimeError, KeyError, ValueError, AttributeError, TypeError) as error:  # as h5py finds it
        raise DataError(f"{path}: is damaged or no shard ({error}); remove it and extract again") from error
    lengths = np.diff(ends, prepend=0)
    if not whole or lengths.sum() != rows or not (lengths > 0).all() or not len(ids) == len(ends) == len(decoders) > 0:
        raise DataError(f"{path}: is damaged: its rows do not add up; remove it and extract again")
    return spec, ids, ends.tolist(), decoders


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}
