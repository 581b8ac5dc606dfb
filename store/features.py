"""FeatureStore: a folder of shards, read as one mapping of video_id to embeddings."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError
from framebank.store.files.replacing import current, read_settled
from framebank.store.formats.eight_bits import relative_error, row_shape
from framebank.store.formats.remembered import Known
from framebank.store.formats.typed import typed
from framebank.store.ledger import Failure, Ledger
from framebank.store.reader import ShardReader
from framebank.store.shard import FRAME_STREAM, PATCH_MEAN, WINDOW, Embeddings, shard_paths
from framebank.store.spec import FeatureSpec
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.spelling import nfc, nfc_ids
from framebank.store.videos.split_names import split_hint

MAX_OPEN_FILES = 128  # a slow extraction writes a shard a minute, and a process may open about a thousand files
EXPECTED = "expected a folder made by `framebank extract`"


def read_manifest(folder: Path) -> Manifest:
    """Return the list of videos of a store, even if it has no embedding yet. DataError if it is not a store."""
    if not shard_paths(folder) and not (folder / "writer.lock").exists():
        raise DataError(f"{folder}: no such store; {EXPECTED}")
    return Manifest.read_csv(current(folder, "manifest.csv"))


class FeatureStore(Mapping[str, Embeddings]):
    """A read-only view of a store: `store[video_id].data` is (T, D) float16, not normalised.

    It opens quickly and reads lazily. Each process opens files once, so a store may cross a fork or be pickled.
    DataError if the folder is not a store, or if it holds shards that cannot be mixed.
    """

    @typed
    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise DataError(f"{self.path}: no such store; {EXPECTED}")
        self._readers: dict[int, ShardReader] = {}  # open shards of this process
        self._process = os.getpid()
        self.spec = read_settled(self.path, self._read)

    def _read(self) -> FeatureSpec:
        self._paths = shard_paths(self.path)
        if not self._paths:
            failed = len(self.failures)
            reason = f"all {failed} videos failed, see failed.csv" if failed else EXPECTED
            raise DataError(f"{self.path}: holds no shard; {reason}")
        self._ids: list[str] = []
        self._decoder_of: list[str] = []
        self._known: list[Known] = []  # what was found in each shard
        return self._scan()

    def _scan(self) -> FeatureSpec:
        spec: FeatureSpec | None = None
        ends: list[np.ndarray] = []  # for each shard, the end row of each video
        for path in self._paths:
            with ShardReader(path) as reader:
                found = reader.contents
                self._known.append(reader.known)
            spec = spec or found.spec
            spec.require_equal(found.spec, mine=self._paths[0], theirs=path)
            self._ids += found.ids
            self._decoder_of += found.decoders
            ends.append(np.array(found.ends, dtype=np.int64))
        if spec is None:  # there is at least one shard
            raise DataError(f"{self.path}: holds no shard")
        sizes = [len(own) for own in ends]
        self._firsts = np.cumsum([0, *sizes])  # for each shard, the place of its first video among all
        self._shard_of = np.repeat(np.arange(len(sizes)), sizes)  # (V,)
        self._ends = np.concatenate(ends)  # (V,)
        self._starts = np.concatenate([np.append([0], own[:-1]) for own in ends])  # (V,)
        self._ids = nfc_ids(self._ids)  # an older store may have names in another Unicode form
        self._row_of = dict(zip(self._ids, range(len(self._ids)), strict=True))
        if len(self._row_of) < len(self._ids):
            row = next(row for row, video_id in enumerate(self._ids) if self._row_of[video_id] != row)
            row = self._row_of[self._ids[row]]  # the second of the two
            path = self._paths[self._shard_of[row]]
            raise DataError(f"{path}: holds {self._ids[row]!r}, which another shard of this store holds too")
        return spec

    def __getitem__(self, video_id: str) -> Embeddings:
        number, start, end = self._find(video_id)
        return self._reader(number).rows(start, end)

    def read_video(self, video_id: str) -> Embeddings:
        """Return one video with all its other streams, those in 8 bits as they are kept, for a copy of them.

        KeyError if the store has no such video.
        """
        row = self._row(video_id)
        number = int(self._shard_of[row])
        return self._reader(number).video(row - int(self._firsts[number]))

    def read_stream(self, video_id: str, name: str) -> np.ndarray:
        """Return one video's rows of a stream, (R, ...), or its patch_mean (groups, P, W), in float16.

        KeyError if the store has no such video. DataError, with the streams it has, if it has no such stream.
        """
        number, start, end = self._find(video_id)
        if name not in self.spec.stream_names:
            raise DataError(f"{self.path}: has no stream {name!r}; it has {', '.join(sorted(self.spec.stream_names))}")
        if name == PATCH_MEAN:
            position = self._row(video_id) - int(self._firsts[number])
            mean: np.ndarray = self._reader(number).column(f"video_streams/{name}", position, position + 1)[0]
            return mean
        return self._reader(number).column(f"streams/{name}", start, end)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._row_of or (isinstance(video_id, str) and nfc(video_id) in self._row_of)

    @property
    def ids(self) -> tuple[str, ...]:
        """The video_ids, in the order in which they were written."""
        return tuple(self._ids)

    @property
    def num_rows(self) -> int:
        """The number of frame embeddings."""
        return int((self._ends - self._starts).sum())

    def num_rows_of(self, video_ids: Sequence[str]) -> np.ndarray:
        """Return how many rows each of these videos has, (V,). KeyError if the store has no such video."""
        rows = self._rows(video_ids)
        counts: np.ndarray = self._ends[rows] - self._starts[rows]
        return counts

    @cached_property
    def decoders(self) -> dict[str, str]:
        """The decoder of each video, with its version."""
        return dict(zip(self._ids, self._decoder_of, strict=True))

    @cached_property
    def streams(self) -> tuple[str, ...]:
        """The names of the streams that every row has."""
        return tuple(sorted(self.spec.stream_names))

    @cached_property
    def manifest(self) -> Manifest:
        """The list of videos that the store was made from, also those that failed."""
        return read_settled(self.path, lambda: Manifest.read_csv(current(self.path, "manifest.csv")))

    @cached_property
    def sources(self) -> dict[str, str]:
        """The identity of the file that each video was read from, as text, for shards that hold one."""
        found: dict[str, str] = {}
        for number in range(len(self._paths)):
            with self._open(number) as reader:
                found |= {key: words for key, words in reader.sources.items() if words}
        return found

    def written_ns(self, video_id: str) -> int:
        """Return when the shard that holds a video was written, in nanoseconds of the file system's clock."""
        number, _, _ = self._find(video_id)
        return self._known[number].stamp[1]

    @property
    def failures(self) -> list[Failure]:
        """The videos that have no embedding, with the reason."""
        return Ledger(self.path / "failed.csv").read()

    def split(self, name: str) -> Manifest:
        """Return the videos of one split, or all videos for "all". DataError, with the store and its splits."""
        try:
            return self.manifest.split(name)
        except DataError as error:
            raise DataError(f"{self.path}: {error}{split_hint(name, self.manifest.columns, self.path)}") from error

    def read_packed(self, stream: str = FRAME_STREAM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return everything in one read: data (R, ...) of a stream of rows, frame indices (R,), end rows (V,).

        The order is that of `ids`. DataError, with the streams that exist, if the store has no such stream of rows.
        """
        self._require_rows(stream)
        sizes = self._ends[self._firsts[1:] - 1].tolist()
        data = np.empty((sum(sizes), *self._row_shape(stream)), dtype=np.float16)
        indices = np.empty(sum(sizes), dtype=np.int64)
        at = 0
        for number, size in enumerate(sizes):  # straight to its place: a second copy costs as much as the reading
            reader = self._reader(number)
            reader.read_into(f"streams/{stream}", data[at : at + size])
            reader.read_into("frame_index", indices[at : at + size])
            at += size
        return data, indices, np.cumsum(self._ends - self._starts, dtype=np.int64)

    def latest(self, video_ids: Sequence[str], *names: str) -> np.ndarray:
        """Return the largest value of each video in datasets of rows: (N, V). KeyError if the store lacks a video."""
        rows = self._rows(video_ids)
        found = np.empty((len(names), len(rows)), dtype=np.float64)
        order = np.argsort(self._shard_of[rows], kind="stable")
        numbers, parts = np.unique(self._shard_of[rows[order]], return_index=True)
        for number, own in zip(numbers.tolist(), np.split(order, parts[1:]), strict=False):
            low, high = self._firsts[number : number + 2]
            for n, name in enumerate(names):
                values = np.atleast_2d(self._reader(number).column(name, 0, int(self._ends[high - 1])).T)[-1]
                found[n, own] = np.maximum.reduceat(values, self._starts[low:high])[rows[own] - low]
        return found

    @property
    def has_windows(self) -> bool:
        """Whether a row shows a clip of frames, from the one time of its window to the other."""
        return WINDOW in self._known[0].description.forms

    def _find(self, video_id: str) -> tuple[int, int, int]:
        """Return where a video is, in any Unicode form of its id. KeyError if the store has no such video."""
        row = self._row(video_id)
        return int(self._shard_of[row]), int(self._starts[row]), int(self._ends[row])

    def _row(self, video_id: str) -> int:
        row = self._row_of.get(video_id)
        if row is None:  # whatever is not a text is not in the store either
            row = self._row_of[nfc(video_id) if isinstance(video_id, str) else video_id]
        return row

    def _rows(self, video_ids: Sequence[str]) -> np.ndarray:
        return np.fromiter(map(self._row, video_ids), dtype=np.int64, count=len(video_ids))

    def read_some(self, video_ids: Sequence[str], stream: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the same as `read_packed`, for these videos in this order. Adjacent rows are read at once.

        KeyError if the store has no such video. DataError if it has no such stream of rows.
        """
        self._require_rows(stream)
        rows = self._rows(video_ids)
        places = zip(self._shard_of[rows].tolist(), self._starts[rows].tolist(), self._ends[rows].tolist(), strict=True)
        ends = np.cumsum(self._ends[rows] - self._starts[rows], dtype=np.int64)
        total = int(ends[-1]) if len(ends) else 0
        data = np.empty((total, *self._row_shape(stream)), dtype=np.float16)
        indices = np.empty(total, dtype=np.int64)
        at = 0
        for number, start, end in _runs(places):
            reader, size = self._reader(number), end - start
            reader.read_into(f"streams/{stream}", data[at : at + size], start=start)
            reader.read_into("frame_index", indices[at : at + size], start=start)
            at += size
        return data, indices, ends

    def rounding_error(self, stream: str, *, videos: int = 64, rows: int = 64) -> float:
        """Return what a stream in 8 bits lost, as a share of its size, by the first rows of some videos."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(videos, len(self))).round().astype(np.int64))
        starts, ends = self._starts[chosen], np.minimum(self._ends[chosen], self._starts[chosen] + rows)
        places = zip(self._shard_of[chosen].tolist(), starts.tolist(), ends.tolist(), strict=True)
        return relative_error(self._reader(one).codes(f"streams/{stream}", start, end) for one, start, end in places)

    def _row_shape(self, stream: str) -> tuple[int, ...]:
        form = self._known[0].description.forms[f"streams/{stream}"]
        return row_shape(form.shape, form.dtype)

    def _require_rows(self, stream: str) -> None:
        if stream not in self.spec.stream_names - {PATCH_MEAN}:
            raise DataError(
                f"{self.path}: has no stream {stream!r}; it has {', '.join(sorted(self.spec.stream_names))}"
            )

    def _reader(self, number: int) -> ShardReader:
        if os.getpid() != self._process:
            self._readers, self._process = {}, os.getpid()
        reader = self._readers.get(number)
        if reader is None:
            if len(self._readers) >= MAX_OPEN_FILES:
                self._readers.pop(next(iter(self._readers)))  # the file closes when its last reader is done
            reader = self._readers[number] = self._open(number)
        return reader

    def _open(self, number: int) -> ShardReader:
        return ShardReader(self._paths[number], known=self._known[number])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": {}}

    def __repr__(self) -> str:
        return f"FeatureStore({str(self.path)!r}: {len(self)} videos, {self.num_rows} rows of {self.spec.dim})"


def _runs(places: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """Join places (shard, first row, end row) if one begins where the one before it ends."""
    run: tuple[int, int, int] | None = None
    for number, start, end in places:
        if run and run[0] == number and run[2] == start:
            run = (number, run[1], end)
            continue
        if run:
            yield run
        run = (number, start, end)
    if run:
        yield run
