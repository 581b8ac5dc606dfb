"""The CSV of videos: one row each, with its path, label, split, times and group."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from framebank.store.counts import listed
from framebank.store.errors import DataError, warn
from framebank.store.formats.records import OddRowError, read_cells
from framebank.store.formats.table import Row, Table, column_name, parse_seconds, parse_table
from framebank.store.formats.text import csv_lines, read_text
from framebank.store.videos.columns import VideoColumns
from framebank.store.videos.spelling import find_file, nfc, nfc_ids
from framebank.store.videos.split_folders import split_in_cell
from framebank.store.videos.split_names import usual_splits
from framebank.store.videos.video import Video, require_own_ids

COLUMNS = ("video_id", "path", "label", "split")
TIMES = ("start", "end")
GROUP = "group"

# Columns that other programs write for those that are read here: nothing is read from them, and the user is told.
LIKE = {
    "label": ("labels", "class", "classes", "class_name", "category", "action", "activity"),
    "split": ("splits", "subset", "partition", "set", "fold"),
    "start": ("start_time", "time_start", "start_sec", "start_seconds", "start_(s)", "t_start", "begin", "from"),
    "end": ("end_time", "time_end", "end_sec", "end_seconds", "end_(s)", "t_end", "stop", "to"),
}


def read_videos_csv(path: Path) -> VideoColumns:
    """Read a CSV with the columns video_id and path, and optionally label, split, start, end and group. What is
    in other columns is `extra` of a video.

    Paths are relative to it; start and end are seconds or hh:mm:ss, and a row without them is the whole video. Cells
    are divided by commas, semicolons or tabs. DataError with the line.
    """
    text = read_text(path)
    found = _own_columns(path, text)
    return VideoColumns.of(videos_of(parse_table(path, text, wanted=COLUMNS[:2]))) if found is None else found


def _own_columns(path: Path, text: str) -> VideoColumns | None:
    """The columns of a CSV as `videos_csv_text` writes it; None for another, and where anything is wrong with it.

    `videos_of` reads both alike, a row at a time, and says what is wrong; it takes ten times as long.
    """
    names = tuple(text[: text.find("\n")].split(","))
    own = tuple(name for name in names if name in (*COLUMNS, *TIMES, GROUP))
    if own not in ((*COLUMNS, *times, *group) for times in ((), TIMES) for group in ((), (GROUP,))):
        return None
    extra = names[len(own) :]
    if names[: len(own)] != own or len(set(extra)) < len(extra) or any(column_name(name) != name for name in extra):
        return None  # `videos_csv_text` writes the columns of the user last, and their names as they are read
    try:
        reader = csv.reader(csv_lines(text), strict=True)
        next(reader)
        cells = dict(zip(names, read_cells(reader, width=len(names)), strict=True))
    except (csv.Error, OddRowError):
        return None
    if not cells["video_id"] or not all(map(str.strip, cells["video_id"])) or not all(cells["path"]):
        return None
    try:
        columns = VideoColumns(
            nfc_ids(cells["video_id"]),
            _places(cells["path"], path.parent.absolute()),
            _each(cells["label"], nfc),
            _each(cells["split"], split_in_cell),
            _times(cells),
            _each(cells[GROUP], lambda cell: nfc(cell.strip())) if any(cells.get(GROUP, ())) else None,
            {name: _each(cells[name], _own_cell) for name in sorted(extra) if name} or None,
        )
        columns.require_valid()
    except (DataError, ValueError):
        return None
    return columns


def _places(cells: Sequence[str], folder: Path) -> list[str]:
    """Where the files are, as `find_file` tells."""
    return [cell if cell[0] == "/" and cell.isascii() else str(find_file(folder, cell)) for cell in cells]


def _each(cells: Sequence[str], read: Callable[[str], str]) -> list[str]:
    """What each cell says; the same cell is read once."""
    found = {cell: read(cell) for cell in set(cells)}
    return [found[cell] for cell in cells]


def _times(cells: Mapping[str, Sequence[str]]) -> list[tuple[float | None, float | None]] | None:
    """The start and the end of each video, None where no video has one; ValueError for what is no time."""
    if not any(any(cells.get(column, ())) for column in TIMES):
        return None
    start, end = ([parse_seconds(cell) if cell.strip() else None for cell in cells[column]] for column in TIMES)
    return list(zip(start, end, strict=True))


def videos_of(table: Table) -> tuple[Video, ...]:
    """Return the videos of a table that `read_videos_csv` would read; DataError with the line."""
    for column in COLUMNS[:2]:
        if column not in table.columns:
            got = listed(table.columns, most=10)
            expected = f"{', '.join((*COLUMNS, *TIMES, GROUP))}; the first two are needed"
            raise DataError(f"{table.path}: no column {column!r} (its columns: {got}); expected {expected}")
    if not table.rows:
        raise DataError(f"{table.path}: lists no video")
    ids = nfc_ids([row.cells["video_id"] for row in table.rows])
    folder = table.path.parent.absolute()
    videos = tuple(_video(table, row, video_id, folder) for row, video_id in zip(table.rows, ids, strict=True))
    try:
        require_own_ids(videos)
    except DataError as error:
        raise DataError(f"{table.path}: {error}") from error
    return videos


def note_columns_like_ours(table: Table) -> None:
    """Warn of a column whose name is nearly that of one which is read and is not there, such as "start_time"."""
    like = {name: next((one for one in names if one in table.columns), "") for name, names in LIKE.items()}
    found = [f"{one!r} is not read as {name!r}" for name, one in like.items() if one and name not in table.columns]
    if found:
        warn(f"{table.path}: its column {', '.join(found)}; rename it if that is what it holds")


def with_usual_splits(videos: Sequence[Video], *, where: Path) -> tuple[Video, ...]:
    """Return the videos of a list of the user with the names of splits as `usual_splits` reads them."""
    read_as = usual_splits((video.split for video in videos), where=where)
    return tuple(replace(video, split=read_as[video.split]) for video in videos)


def videos_csv_text(videos: Sequence[Video]) -> str:
    """Return the CSV that `read_videos_csv` reads; paths are absolute.

    The columns start and end, the column group, and the columns of the user, which come last, are there when a video
    has one.
    """
    timed = any(video.start is not None or video.end is not None for video in videos)
    grouped = any(video.group for video in videos)
    names = sorted({name for video in videos for name, _ in video.extra})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *(TIMES if timed else ()), *((GROUP,) if grouped else ()), *names))
    for video in videos:
        times = (video.start, video.end) if timed else ()
        group = (video.group,) if grouped else ()
        extra = [dict(video.extra).get(name, "") for name in names] if names else ()
        writer.writerow((video.video_id, video.path.absolute(), video.label, video.split, *times, *group, *extra))
    return text.getvalue()


def _video(table: Table, row: Row, video_id: str, folder: Path) -> Video:
    cells = row.cells
    if not video_id or not cells["path"]:
        alone = f"; the line has one value, {cells[table.columns[0]]!r}" if row.num_cells == 1 else ""
        raise DataError(f"{table.where(row)}: the video_id or the path is empty{alone}")
    start, end = [table.seconds(row, column) if cells.get(column) else None for column in TIMES]
    location = find_file(folder, cells["path"])
    label, group = nfc(cells.get("label", "")), nfc(cells.get(GROUP, "").strip())
    try:
        return Video(video_id, location, label, split_in_cell(cells.get("split", "")), start, end, group, _extra(cells))
    except DataError as error:
        raise DataError(f"{table.where(row)}: {error}") from error


def _extra(cells: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the cells of the columns of the user that are not empty."""
    known = (*COLUMNS, *TIMES, GROUP, "")
    return tuple((name, _own_cell(cells[name])) for name in sorted(cells) if name not in known and cells[name].strip())


def _own_cell(cell: str) -> str:
    """Return the content of a cell in a column of the user."""
    return nfc(cell.strip())
