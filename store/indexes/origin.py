"""Origin: the store of an index as it was when the index was made, and how the store differs now."""

import csv
import io
import itertools
import zlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.files.replacing import current
from framebank.store.formats.document import Fields
from framebank.store.formats.text import read_text
from framebank.store.reader import ShardReader
from framebank.store.shard import FRAME_STREAM, shard_paths
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.manifest import COLUMNS, TIMES
from framebank.store.videos.spelling import nfc
from framebank.store.videos.video import Video
from framebank.store.videos.videos_csv import GROUP

Stamp = tuple[int, int]  # size in bytes, time of the last writing in nanoseconds

Extra = tuple[tuple[str, str], ...]
Row = tuple[str, str, str, float | None, float | None, Extra]  # path, label, split, start, end, columns of the user

NEVER: Stamp = (0, 0)  # the stamp of no file: such a file is compared by its content

UNKNOWN = -1  # the mark of rows about which nothing was kept
REMOVED = "removed by hand"  # why a video is left out, although the store has it
USELESS = 0  # the mark of rows that are all zeros or hold a value that is not a number


@dataclass(frozen=True, eq=False)
class Origin:
    """A split of a store as it was when an index was made from it.

    `shard_of` and `marks` (V,) give, for each of the index's own videos, the position of its shard in `shards` and a
    mark of its rows. `left_out` has the listed videos that are not in the index, with the reasons.
    """

    store: Path
    split: str
    manifest: Stamp
    shards: Mapping[str, Stamp]
    shard_of: np.ndarray
    marks: np.ndarray
    left_out: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the columns of the videos, as plain values."""
        found = {name: value for name, value in vars(self).items() if name not in ("shard_of", "marks")}
        return {**found, "store": str(self.store)}

    @classmethod
    def from_fields(cls, found: Fields, *, shard_of: np.ndarray, marks: np.ndarray) -> "Origin":
        """Build an Origin from `to_dict` and the columns of the videos. DataError if a value is wrong."""
        shards, left_out = found.fields("shards"), found.fields("left_out")
        return cls(
            Path(found.text("store")),
            found.text("split"),
            _stamp_in(found, "manifest"),
            {name: _stamp_in(shards, name) for name in shards.values},
            shard_of,
            marks,
            {name: left_out.text(name) for name in left_out.values},
        )

    def only(self, rows: Sequence[int]) -> "Origin":
        """Return the origin of an index of some of the videos, by their rows."""
        return replace(self, shard_of=self.shard_of[rows], marks=self.marks[rows])

    @classmethod
    def unmarked(cls, store: Path, num_videos: int) -> "Origin":
        """Return the origin of an index from an earlier version, which kept only the place of its store."""
        return cls(store, "all", NEVER, {}, np.full(num_videos, -1), np.full(num_videos, UNKNOWN))

    @classmethod
    def of(cls, store: FeatureStore, videos: Sequence[Video], *, split: str, left_out: Mapping[str, str]) -> "Origin":
        """Return the origin of an index of these videos of a store."""
        listed_at = _stamp(current(store.path, "manifest.csv"))
        listed = _listed(current(store.path, "manifest.csv"), split)
        same = all(listed.get(video.video_id) == row_of(video) for video in videos)
        same = same and len(listed) == len(videos) + len(left_out)
        shards: dict[str, Stamp] = {}
        found: dict[str, tuple[int, int]] = {}
        for number, path in enumerate(shard_paths(store.path)):
            with ShardReader(path) as reader:
                shards[path.name] = reader.stamp
                found |= {video_id: (number, mark) for video_id, mark in _marks(reader).items()}
        try:
            rows = [found[video_id] for video_id in VideoColumns.of(videos).ids]
        except KeyError as error:
            raise DataError(f"{store.path}: was changed while it was read; make the index again") from error
        places = np.array(rows, dtype=np.int64).reshape(-1, 2)
        return cls(
            store.path.absolute(), split, listed_at if same else NEVER, shards, places[:, 0], places[:, 1], left_out
        )


@dataclass(frozen=True)
class Difference:
    """How a store differs from what an index holds of it, by video_id.

    `joined` are new in the store. `left` are no longer in it. `changed` have other embeddings. `moved` have another
    path or video_id; the new video_id is listed. `relabelled` have another label or split. `videos` has each video that
    moved or was relabelled, as it now is, by its video_id in the index.
    """

    store: Path
    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    relabelled: tuple[str, ...] = ()
    videos: Mapping[str, Video] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Return how many videos joined, left, changed, moved and were relabelled."""
        return {name: len(found) for name, found in vars(self).items() if name not in ("store", "videos")}

    def __bool__(self) -> bool:
        return any(self.counts.values())

    def __str__(self) -> str:
        counts = [(name, count) for name, count in self.counts.items() if count]
        if not counts:
            return "no video joined, left or changed"
        (name, count), *rest = counts
        return ", ".join([f"{counted(count, 'video')} {name}", *(f"{count} {name}" for name, count in rest)])


def compare(origin: Origin, videos: VideoColumns) -> Difference | None:
    """Return how the store of an index of these videos now differs from them; None if the store is not found.

    If no file of the store was written since then, nothing is read. Otherwise its list and the written shards are read.
    """
    manifest = current(origin.store, "manifest.csv")
    try:
        if not manifest.is_file():
            return None
        shards = {path.name: path for path in shard_paths(origin.store)}
        stamps = {name: _stamp(path) for name, path in shards.items()}
        if _stamp(manifest) == origin.manifest and stamps == origin.shards:
            return Difference(origin.store)
        listed = _listed(manifest, origin.split)
        written = {name for name, stamp in stamps.items() if origin.shards.get(name) != stamp}
        marks = _marks_in(shards[name] for name in written)
        useless = {
            name for name, why in origin.left_out.items() if why == REMOVED or marks.get(name, USELESS) == USELESS
        }
        stay = {number for number, name in enumerate(origin.shards) if name in stamps.keys() - written}
        for video_id, number, mark in zip(videos.ids, origin.shard_of.tolist(), origin.marks.tolist(), strict=True):
            if number in stay:
                marks[video_id] = mark
        if any(name not in marks and name not in useless for name in listed):
            # Perhaps another split had it, or it is listed and was never embedded.
            marks = {**_marks_in(shards[name] for name in shards.keys() - written), **marks}
    except (DataError, OSError):
        return None
    now = {name: (row, marks[name]) for name, row in listed.items() if name in marks and name not in useless}
    return difference(origin.store, videos, origin.marks.tolist(), now)


def stamps_of(store: Path) -> tuple[Stamp, dict[str, Stamp]] | None:
    """Return the stamps of a store's list and of its shards by name; None if the store is not found."""
    try:
        manifest = current(store, "manifest.csv")
        return _stamp(manifest), {path.name: _stamp(path) for path in shard_paths(store)}
    except (DataError, OSError):
        return None


def difference(
    store: Path, videos: Sequence[Video], marks: Sequence[Hashable], now: Mapping[str, tuple[Row, Hashable]]
) -> Difference:
    """Return how the videos that a store has `now`, with a mark of their rows, differ from the videos of an index."""
    own = VideoColumns.of(videos)  # no Video is built of a row that did not change
    known = set(own.ids)
    joined = [video_id for video_id in now if video_id not in known]
    by_mark: dict[Hashable, list[str]] = {}
    for video_id in joined:
        by_mark.setdefault(now[video_id][1], []).append(video_id)
    left, changed, relabelled, moved, followed = [], [], [], {}, {}
    for video_id, old, mark in zip(own.ids, _rows(own), marks, strict=True):
        name = video_id
        if name not in now:
            if not by_mark.get(mark):
                left.append(name)
                continue
            name = moved[video_id] = by_mark[mark].pop(0)
        row, found = now[name]
        if mark not in (found, UNKNOWN):
            changed.append(video_id)
        if row == old and name == video_id:
            continue
        if _comparable(row[1:3]) != _comparable(old[1:3]) or row[5] != old[5]:
            relabelled.append(video_id)
        if (_comparable(row[:1]), row[3:5]) != (_comparable(old[:1]), old[3:5]):
            moved[video_id] = name
        followed[video_id] = Video(name, Path(row[0]), *row[1:5], extra=row[5])
    arrived = set(moved.values())
    return Difference(
        store,
        tuple(video_id for video_id in joined if video_id not in arrived),
        tuple(left),
        tuple(changed),
        moved,
        tuple(relabelled),
        followed,
    )


def _rows(videos: VideoColumns) -> Iterator[Row]:
    """Yield what `row_of` returns for each video."""
    times = videos.times or itertools.repeat((None, None))
    texts = zip(videos.paths, videos.labels, videos.splits, times, videos.extra_rows(), strict=False)
    for path, label, split, (start, end), extra in texts:
        yield path, label, split, start, end, extra


def row_of(video: Video) -> Row:
    """Return what a list of videos says about one video, without its video_id."""
    return str(video.path), video.label, video.split, video.start, video.end, video.extra


def _comparable(words: Sequence[str]) -> list[str]:
    """Return texts in one Unicode form, because two lists may use different forms."""
    return [nfc(text) for text in words]


def _listed(manifest: Path, split: str) -> dict[str, Row]:
    """Return the videos of a split in a store's list. `Manifest.read_csv` takes five times as long."""
    reader = csv.reader(io.StringIO(read_text(manifest), newline=""))
    try:
        header = next(reader, [])
        name, path, label, part = (header.index(column) for column in COLUMNS)
        start, end = (header.index(column) if column in header else None for column in TIMES)
        extra = [(name, at) for at, name in enumerate(header) if name and name not in (*COLUMNS, *TIMES, GROUP)]
        found = {}
        for cells in reader:
            if split in ("all", cells[part]):
                times = [float(cells[at]) if at is not None and cells[at] else None for at in (start, end)]
                place = cells[path] if cells[path].startswith("/") else str((manifest.parent / cells[path]).absolute())
                said = nfc(cells[label]), nfc(cells[part])
                found[nfc(cells[name])] = (place, *said, times[0], times[1], _extra(extra, cells))
    except (ValueError, IndexError, csv.Error) as error:
        raise DataError(f"{manifest}: cannot be read ({error})") from error
    return found


def _extra(columns: Sequence[tuple[str, int]], cells: Sequence[str]) -> Extra:
    return tuple(sorted((name, nfc(cells[at].strip())) for name, at in columns if cells[at].strip()))


def marks_of(store: FeatureStore) -> dict[str, int]:
    """Return a mark of the rows of each video of a store, by video_id; USELESS if they cannot be compared."""
    return _marks_in(shard_paths(store.path))


def _marks_in(paths: Iterable[Path]) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in paths:
        with ShardReader(path) as reader:
            found |= _marks(reader)
    return found


def _marks(reader: ShardReader) -> dict[str, int]:
    """Return a mark of each video's rows, by video_id: from their number, the first, the middle and the last row."""
    contents = reader.contents
    ends = np.array(contents.ends, dtype=np.int64)
    counts = np.diff(ends, prepend=0)
    picked = np.stack([ends - counts, ends - counts + counts // 2, ends - 1], axis=1)  # (V, 3)
    rows = reader.picked(f"streams/{FRAME_STREAM}", picked)  # (V, 3, D)
    usable = np.isfinite(rows).all(axis=(1, 2)) & rows.any(axis=(1, 2))
    marks = [zlib.crc32(row.tobytes(), count) or 1 for row, count in zip(rows, counts.tolist(), strict=True)]
    return {
        nfc(name): mark if good else USELESS
        for name, mark, good in zip(contents.ids, marks, usable.tolist(), strict=True)
    }


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _stamp_in(found: Fields, name: str) -> Stamp:
    stamp = found.wholes(name)
    if len(stamp) != 2:
        raise found.refuse(name, "the size and the time of a file")
    return stamp[0], stamp[1]
