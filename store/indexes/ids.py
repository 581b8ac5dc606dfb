"""Ids: ids.csv, the list of an index's own videos, with what its store held for each of them."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from framebank.store.digest import digest
from framebank.store.files.replacing import write_text
from framebank.store.formats.document import Fields
from framebank.store.formats.records import read_records
from framebank.store.indexes.origin import Origin
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.manifest import COLUMNS, TIMES

ORIGIN_COLUMNS = ("shard", "mark")
DURATION = "duration"
EXTRA = "extra:"  # before the name of a column of the user


def write_ids(path: Path, videos: VideoColumns, origin: Origin | None) -> None:
    """Write one row for each video. Start and end are columns if a video has them, shard and mark with an origin.

    So is the duration if the index knows any. The columns of the user come last.
    """
    times = list(zip(*videos.times, strict=True)) if videos.times else []
    lengths = [videos.durations] if videos.durations else []
    held = [origin.shard_of.tolist(), origin.marks.tolist()] if origin else []
    extra = videos.extra or {}
    names = [EXTRA + name for name in extra]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *TIMES * bool(times), *ORIGIN_COLUMNS * bool(held), *[DURATION] * len(lengths), *names))
    own = (videos.ids, videos.paths, videos.labels, videos.splits)
    writer.writerows(zip(*own, *times, *held, *lengths, *extra.values(), strict=True))
    write_text(path, text.getvalue())


def read_ids(path: Path, origin: Fields | None) -> tuple[VideoColumns, Origin | None]:
    """Read what `write_ids` wrote, with the rest of the origin. DataError if it is something else."""
    wanted = (*COLUMNS, *(ORIGIN_COLUMNS if origin else ()))
    found = read_records(path, wanted, what="the list of an index")
    timed = any(found.has(name) for name in TIMES)
    times = list(zip(*(found.numbers(name) for name in TIMES), strict=True)) if timed else None
    ids, paths, labels, splits = (found.column(name) for name in COLUMNS)
    extra = {name.removeprefix(EXTRA): found.column(name) for name in found.columns if name.startswith(EXTRA)}
    durations = found.numbers(DURATION) if found.has(DURATION) else None
    videos = VideoColumns(ids, paths, labels, splits, times, extra=extra or None, durations=durations)
    videos.require_valid()
    if origin is None:
        return videos, None
    shard_of, marks = (np.array(found.wholes(column), dtype=np.int64) for column in ORIGIN_COLUMNS)
    return videos, Origin.from_fields(origin, shard_of=shard_of, marks=marks)


def digest_of(vectors: np.ndarray, videos: VideoColumns) -> str:
    """Return the digest of vectors (V, D) and their videos. Without times, it equals the digest of earlier versions."""
    rows: Iterable[str] = map("\t".join, zip(videos.ids, videos.labels, videos.splits, strict=True))
    if videos.times:
        spans = [() if span == (None, None) else map(str, span) for span in videos.times]
        rows = ("\t".join((row, *span)) for row, span in zip(rows, spans, strict=True))
    return digest({"vectors": vectors, "videos": np.frombuffer("\n".join(rows).encode(), dtype=np.uint8)})
