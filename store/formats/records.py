"""Records: the CSV files that framebank writes for itself, read exactly as they were written or not at all."""

import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from framebank.store.errors import DataError
from framebank.store.formats.text import csv_lines, is_whole, read_text

Kind = TypeVar("Kind")

AT_ONCE = 4096  # rows
FEW = 4  # times that a cell comes again


@dataclass(frozen=True)
class Records:
    """The rows of a file, as a list of cells for each of its columns."""

    path: Path
    columns: tuple[str, ...]
    cells: tuple[list[str], ...]
    what: str

    def __len__(self) -> int:
        return len(self.cells[0]) if self.cells else 0

    def column(self, name: str) -> list[str]:
        """Return the cells of a column; "" for each row if the file lacks it."""
        return self.cells[self.columns.index(name)] if name in self.columns else [""] * len(self)

    def has(self, name: str) -> bool:
        """Whether any row has a cell of this column that is not empty."""
        return name in self.columns and any(self.column(name))

    def wholes(self, name: str) -> list[int]:
        """Return a column of whole numbers of 64 bits; DataError with the first other."""
        cells = self.column(name)
        if (
            all(cells) and "".join(cells).isdecimal() and max(map(len, cells), default=0) < 19
        ):  # so large lists take less time
            return list(map(int, cells))
        return self._each(name, "a whole number", int, lambda cell: is_whole(cell.removeprefix("-")))

    def numbers(self, name: str) -> list[float | None]:
        """Return a column of numbers, None for each that is empty; DataError with the first other."""
        if not self.has(name):
            return [None] * len(self)
        return self._each(name, "a number", lambda cell: float(cell) if cell else None, lambda cell: len(cell) < 100)

    def _each(self, name: str, what: str, read: Callable[[str], Kind], fits: Callable[[str], bool]) -> list[Kind]:
        cells = self.column(name)
        found: list[Kind] = []
        for cell in cells:
            try:
                if not fits(cell):
                    raise ValueError
                found.append(read(cell))
            except ValueError as error:
                raise DataError(
                    f"{self.path}: cannot be read as {self.what}: {name} is {cell[:60]!r}; expected {what}"
                ) from error
        return found


def read_records(path: Path, columns: Sequence[str], *, what: str, torn: bool = False) -> Records:
    """Return the rows of a CSV that has these columns, and perhaps others; DataError if it is not as written.

    `what` is what the file is, for a message: "a list of failures". With `torn` a row may end before its last cells, as
    in a file that is appended to when the machine stops; they are "".
    """
    try:
        reader = csv.reader(csv_lines(read_text(path, what=what)), strict=not torn)
        names = tuple(next(reader, []))
        missing = [name for name in columns if names.count(name) != 1]
        if missing:
            named = ", ".join(missing)
            raise DataError(f"{path}: cannot be read as {what}: its first line does not name {named} once")
        rows = (row + [""] * (len(names) - len(row)) for row in reader if row) if torn else reader
        cells = read_cells(rows, width=len(names))
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read as {what}: line {reader.line_num} is not CSV ({error})") from error
    except OddRowError as error:
        raise DataError(
            f"{path}: cannot be read as {what}: row {error.number + 1} does not have the {len(names)} columns of "
            "the first"
        ) from error
    return Records(path, names, cells, what)


class OddRowError(ValueError):
    """A row that has other columns than the first line; `number` counts from 1, the first line not counted."""

    def __init__(self, number: int) -> None:
        super().__init__(f"row {number}")
        self.number = number


def read_cells(rows: Iterator[list[str]], *, width: int) -> tuple[list[str], ...]:
    """Return the columns of rows of `width` cells, without those of none; OddRowError for a row of another width.

    The rows are let go some thousands at a time, and cells that come again and again are kept once: in a large list,
    as many objects cost more than what they hold.
    """
    cells: tuple[list[str], ...] = tuple([] for _ in range(width))
    known: dict[str, str] = {}
    while some := list(itertools.islice(rows, AT_ONCE)):
        some = [row for row in some if row]
        if some and set(map(len, some)) != {width}:
            odd = next(number for number, row in enumerate(some, 1) if len(row) != width)
            raise OddRowError((len(cells[0]) if cells else 0) + odd)
        for column, own in zip(cells, zip(*some, strict=True), strict=False):
            column += map(known.setdefault, own, own) if len(set(own)) * FEW < len(own) else own
    return cells
