"""failed.csv: every video that gave no embedding, with the reason. Nothing is skipped in silence."""

import contextlib
import csv
import io
import os
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.files import write_text
from framebank.store.spelling import nfc

COLUMNS = ("video_id", "path", "reason")


@dataclass(frozen=True)
class Failure:
    """One video that gave no embedding."""

    video_id: str
    path: str
    reason: str


class Ledger:
    """The failures of a store; each is on disk as soon as it is added."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Failure]:
        """Return the failures so far."""
        if not self.path.exists():
            return []
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = [[row.get(column) or "" for column in COLUMNS] for row in csv.DictReader(file)]
            return [Failure(nfc(video_id), path, reason) for video_id, path, reason in rows]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{self.path}: cannot be read as a list of failures: {error}") from error

    def forget(self, video_ids: Container[str]) -> None:
        """Drop the lines of videos that are about to be tried again."""
        failures = self.read()
        kept = [failure for failure in failures if failure.reason and failure.video_id not in video_ids]
        if not kept:
            self.path.unlink(missing_ok=True)
        elif len(kept) < len(failures):
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([COLUMNS, *(_row(failure) for failure in kept)])
            write_text(self.path, text.getvalue())

    def add(self, failure: Failure) -> None:
        """Append one failure; DataError where the file cannot be written."""
        size = self.path.stat().st_size if self.path.exists() else 0
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS] * (size == 0) + [_row(failure)])
        try:
            with self.path.open("ab") as file:
                file.write(text.getvalue().encode("utf-8", "backslashreplace"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)  # no half line, that the next one would be glued to
            raise DataError(f"{self.path}: cannot be written: {error.strerror}") from error


def _row(failure: Failure) -> tuple[str, str, str]:
    return failure.video_id, failure.path, " ".join(failure.reason.split())
