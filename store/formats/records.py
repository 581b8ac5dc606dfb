"""Records: the CSV files that framebank writes for itself, read exactly as they were written or not at all."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from framebank.store.errors import DataError
from framebank.store.formats.text import is_whole, read_text

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Records:
    """The rows of a file, each with a cell for every column."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[list[str], ...]
    what: str

    def column(self, name: str) -> list[str]:
        """Return the cells of a column; "" for each row if the file lacks it."""
        if name not in self.columns:
            return [""] * len(self.rows)
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def wholes(self, name: str) -> list[int]:
        """Return a column of whole numbers of 64 bits; DataError with the first other."""
        return self._each(name, "a whole number", int, lambda cell: is_whole(cell.removeprefix("-")))

    def numbers(self, name: str) -> list[float | None]:
        """Return a column of numbers, None for each that is empty; DataError with the first other."""
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
        reader = csv.reader(io.StringIO(read_text(path, what=what), newline=""), strict=not torn)
        names = tuple(next(reader, []))
        rows = tuple(row for row in reader if row)
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read as {what}: line {reader.line_num} is not CSV ({error})") from error
    missing = [name for name in columns if names.count(name) != 1]
    if missing:
        raise DataError(f"{path}: cannot be read as {what}: its first line does not name {', '.join(missing)} once")
    if torn:
        rows = tuple(row + [""] * (len(names) - len(row)) for row in rows)
    odd = next((number for number, row in enumerate(rows, 2) if len(row) != len(names)), None)
    if odd:
        raise DataError(
            f"{path}: cannot be read as {what}: row {odd} does not have the {len(names)} columns of the first"
        )
    return Records(path, names, rows, what)
