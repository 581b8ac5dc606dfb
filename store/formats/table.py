"""Tables: CSV files as people and programs write them, with commas, semicolons or tabs, in UTF-8 or UTF-16."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.formats.text import read_text
from framebank.store.videos.spelling import nfc

DELIMITERS = (",", ";", "\t", "|")
MAX_COLUMNS = 1000  # a row that ends before the last is filled up


class Row(NamedTuple):
    """One row: its cells by column, "" where the row ends before it, and the line of the file that it ends on."""

    line: int
    cells: dict[str, str]
    num_cells: int


@dataclass(frozen=True)
class Table:
    """The columns of a file, in small letters with "_" for blanks, and its rows.

    `decimal_comma` tells that commas do not divide the cells, so that "1,5" may be a number.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    decimal_comma: bool = False

    def where(self, row: Row) -> str:
        """Return "FILE, line N", for a message."""
        return f"{self.path}, line {row.line}"

    def seconds(self, row: Row, column: str) -> float | None:
        """Return a time in seconds, None if the cell is empty: "12.5", "1:02" or "00:01:02.5".

        DataError with the line for anything else.
        """
        text = row.cells.get(column, "").strip()
        try:
            return parse_seconds(text.replace(",", ".") if self.decimal_comma else text) if text else None
        except ValueError as error:
            raise DataError(
                f"{self.where(row)}: the {column} {text!r} is not a number of seconds or a time as hh:mm:ss"
            ) from error

    def require_full_rows(self) -> None:
        """Refuse rows that end before the last column: DataError with the line."""
        short = next((row for row in self.rows if row.num_cells < len(self.columns)), None)
        if short:
            raise DataError(f"{self.where(short)}: does not have the {len(self.columns)} columns of the first line")


def read_table(path: Path, *, wanted: Collection[str] = ()) -> Table:
    """Read a CSV; `wanted` are columns that help to find the separator.

    DataError if it is not a CSV, or has a row with more cells than columns.
    """
    return parse_table(path, read_text(path), wanted=wanted)


def parse_table(path: Path, text: str, *, wanted: Collection[str] = ()) -> Table:
    """Return the table in the text of a file; as `read_table`."""
    text, delimiter = _without_mark(text)
    above = int(bool(delimiter))
    delimiter = delimiter or find_delimiter(text, wanted=wanted)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    try:
        given = next((cells for cells in reader if any(cell.strip() for cell in cells)), [])
        first = f"the first line names {counted(len(given), 'column')}{f', {given[0]!r}' if len(given) == 1 else ''}"
        columns = _columns(given, path)
        padded = any(cell != cell.strip() for cell in given)  # then the cells of the rows are padded too
        for cells in reader:
            if not "".join(cells).strip():
                continue
            if padded:
                cells = [cell.strip() for cell in cells]
            while len(cells) > len(columns) and not cells[-1].strip():
                cells.pop()  # a delimiter too many at the end of a line
            if len(cells) > len(columns):
                raise DataError(
                    f"{path}, line {reader.line_num + above}: has {len(cells)} values, but {first}; put a value that "
                    f"holds {delimiter!r} in double quotes"
                )
            num_cells = len(cells)
            if num_cells < len(columns):
                cells += [""] * (len(columns) - num_cells)
            rows.append(Row(reader.line_num + above, dict(zip(columns, cells, strict=True)), num_cells))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num + above}: is not CSV ({error})") from error
    return Table(path, columns, tuple(rows), decimal_comma=delimiter != ",")


def _columns(given: Sequence[str], path: Path) -> tuple[str, ...]:
    """The names in a first line; DataError if one is there twice, or there are more than any table has."""
    if len(given) > MAX_COLUMNS:
        raise DataError(f"{path}: its first line names {len(given)} columns; expected {MAX_COLUMNS} at most")
    columns = tuple(map(column_name, given))
    twice = next((name for name, count in Counter(columns).items() if name and count > 1), None)
    if twice:
        raise DataError(f"{path}: its first line names the column {twice!r} twice")
    return columns


def first_columns(text: str) -> tuple[str, ...]:
    """Return the columns that the first line of a text would name, were it a CSV; () where the text is empty."""
    text, delimiter = _without_mark(text)
    first = next((line for line in text.splitlines() if line.strip()), "")
    return tuple(map(column_name, _cells(first, delimiter or find_delimiter(first))))


def find_delimiter(text: str, *, wanted: Collection[str] = ()) -> str:
    """Return the separator of the first line: the one that gives the wanted columns, or else the most columns."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    found = {one: [column_name(cell) for cell in _cells(first, one)] for one in DELIMITERS}
    whole = next((one for one in DELIMITERS if wanted and set(wanted) <= set(found[one])), None)
    return whole or max(DELIMITERS, key=lambda one: len(found[one]))  # of equals the first, the comma


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line by itself; one where it is no CSV."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return [line]


def column_name(cell: str) -> str:
    """Return the name of a column in small letters, with "_" for blanks and hyphens: " Video ID" is "video_id"."""
    return re.sub(r"[\s\-]+", "_", nfc(cell).strip().lower())


def parse_seconds(text: str) -> float:
    """Return the seconds of "12.5", "1:02" (minutes and seconds) or "00:01:02.5"; ValueError for anything else."""
    parts = text.strip().split(":")
    if len(parts) == 1:
        if not math.isfinite(seconds := float(text)):
            raise ValueError(f"{text!r} is not a time")
        return seconds
    if len(parts) > 3 or not all(re.fullmatch(r"\d{1,9}", part) for part in parts[:-1]):
        raise ValueError(f"{text!r} is not a time")
    if not re.fullmatch(r"\d{1,2}(\.\d*)?", parts[-1]) or any(float(part) >= 60 for part in parts[1:]):
        raise ValueError(f"{text!r} is not a time")
    seconds = 0.0
    for part in parts:
        seconds = 60 * seconds + float(part)
    return seconds


def _without_mark(text: str) -> tuple[str, str]:
    """The text without the first line "sep=;" that spreadsheets write, and the delimiter that it names."""
    found = re.match(r'"?sep=(.)"?\r?\n', text)
    return (text[found.end() :], found[1]) if found else (text, "")
