"""Ids: the list of an index's own videos, ids.csv, with what its store held of each of them."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framebank.store.errors import DataError
from framebank.store.files import write_text
from framebank.store.manifest import COLUMNS, TIMES
from framebank.store.origin import Origin
from framebank.store.video import Video

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


def read_ids(path: Path, origin: Mapping[str, Any] | None) -> tuple[list[Video], Origin | None]:
    """Read what `write_ids` wrote, with the rest of the origin.

    KeyError, ValueError or DataError where it is not that.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        at = {name: position for position, name in enumerate(header)}
        rows = list(reader)
    if any(len(row) != len(header) for row in rows):
        raise DataError(f"{path.name} has rows of different lengths")
    name, place, label, split = (at[column] for column in COLUMNS)
    spans = [at.get(column) for column in TIMES]
    times = [_times(row, spans) for row in rows]
    videos = [
        Video(row[name], Path(row[place]), row[label], row[split], start, end)
        for row, (start, end) in zip(rows, times, strict=True)
    ]
    if origin is None:
        return videos, None
    shard_of, marks = (np.array([int(row[at[column]]) for row in rows], dtype=np.int64) for column in ORIGIN_COLUMNS)
    return videos, Origin.from_dict(origin, shard_of=shard_of, marks=marks)


def _times(row: Sequence[str], spans: Sequence[int | None]) -> tuple[float | None, float | None]:
    start, end = (float(row[at]) if at is not None and row[at] else None for at in spans)
    return start, end
