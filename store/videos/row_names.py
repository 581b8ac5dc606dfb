"""Row names: where the name of a video ends in a row of a plain list, if names may end in a number."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.videos.lists import ListedVideo, without_numbers
from framebank.store.videos.matching import Ends
from framebank.store.videos.video import Video

# How many of the numbers at the end of a row are not part of the name: all, or that of frames and the class, the
# class alone, none.
READINGS: tuple[int | None, ...] = (None, 2, 1, 0)


def settle_names(rows: Sequence[ListedVideo], videos: Sequence[Video], *, where: Path) -> list[ListedVideo]:
    """Return the rows, read in the way that names most of the videos: "run/clip 1" may be a clip of class 1.

    DataError if two ways name equally many, but not the same videos.
    """
    if not any(row.codes and row.line for row in rows):
        return list(rows)
    ends = Ends(videos)
    readings: list[tuple[list[ListedVideo], frozenset[Path]]] = []
    for count in READINGS:
        read = [_read(row, count) for row in rows]
        if all(read != other for other, _ in readings):
            readings.append((read, ends.paths_of(row.key for row in read)))
    best = max(readings, key=lambda reading: len(reading[1]))  # the first of equals
    for other, named in readings:
        if named and len(named) == len(best[1]) and named != best[1]:
            this, that = next(pair for pair in zip(best[0], other, strict=True) if pair[0].key != pair[1].key)
            raise DataError(
                f"{where}: {this.line!r} may name {this.key!r} or {that.key!r}, and both are videos; "
                "expected names with the suffix of their file"
            )
    return best[0]


def _read(row: ListedVideo, count: int | None) -> ListedVideo:
    if not row.line:
        return row
    read = without_numbers(row.line, count=count)
    return replace(row, key=read.key, codes=read.codes)
