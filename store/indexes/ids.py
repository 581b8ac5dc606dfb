"""Ids: the list of an index's own videos, ids.csv, with what its store held of each of them."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from framebank.store.files.replacing import write_text
from framebank.store.formats.document import Fields
from framebank.store.formats.records import read_records
from framebank.store.indexes.origin import Origin
from framebank.store.videos.manifest import COLUMNS, TIMES
from framebank.store.videos.video import Video, require_own_ids

ORIGIN_COLUMNS = ("shard", "mark")


def write_ids(path: Path, videos: Sequence[Video], origin: Origin | None) -> None:
    """Write a row for each video; with the columns start and end when one has them, shard and mark with an origin."""
    timed = any(video.start is not None or video.end is not None for video in videos)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *TIMES * timed, *(ORIGIN_COLUMNS if origin else ())))
    held = zip(origin.shard_of.tolist(), origin.marks.tolist(), strict=True) if origin else [()] * len(videos)
    for v, own in zip(videos, held, strict=True):
        writer.writerow((v.video_id, v.path, v.label, v.split, *([v.start, v.end] if timed else []), *own))
    write_text(path, text.getvalue())


def read_ids(path: Path, origin: Fields | None) -> tuple[list[Video], Origin | None]:
    """Read what `write_ids` wrote, with the rest of the origin; DataError if it is not that."""
    wanted = (*COLUMNS, *(ORIGIN_COLUMNS if origin else ()))
    found = read_records(path, wanted, what="the list of an index")
    columns = [*(found.column(name) for name in COLUMNS), *(found.numbers(name) for name in TIMES)]
    videos = [Video(name, Path(place), *rest) for name, place, *rest in zip(*columns, strict=True)]
    require_own_ids(videos)
    if origin is None:
        return videos, None
    shard_of, marks = (np.array(found.wholes(column), dtype=np.int64) for column in ORIGIN_COLUMNS)
    return videos, Origin.from_fields(origin, shard_of=shard_of, marks=marks)
