"""failed.csv: every video that has no embedding, with the reason, so that none is skipped silently."""

import contextlib
import csv
import io
import os
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.files.replacing import current, write_text
from framebank.store.formats.records import read_records
from framebank.store.videos.spelling import nfc

COLUMNS = ("video_id", "path", "reason")
SOURCE = "source"  # an extra column, if the identity of a failed file is known


@dataclass(frozen=True)
class Failure:
    """One video that has no embedding. `source` is the identity of its file as text, or "" if it is not known."""

    video_id: str
    path: str
    reason: str
    source: str = ""


class Ledger:
    """The failures of a store. Each is written to disk as soon as it is added."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Failure]:
        """Return the failures so far."""
        path = current(self.path.parent, self.path.name)
        if not path.exists():
            return []
        if not path.stat().st_size:
            return []
        found = read_records(path, COLUMNS, what="a list of failures", torn=True)
        columns = [found.column(name) for name in (*COLUMNS, SOURCE)]
        return [Failure(nfc(video_id), *rest) for video_id, *rest in zip(*columns, strict=True)]

    def forget(self, video_ids: Container[str]) -> None:
        """Remove the lines of videos that are about to be tried again."""
        for text in self.texts_without(video_ids).values():
            if text:
                write_text(self.path, text)
            else:
                self.path.unlink(missing_ok=True)

    def texts_without(self, video_ids: Container[str]) -> dict[str, str]:
        """Return the texts of the file without the lines of some videos, by file name; "" if the file is to be removed.

        Nothing if the file needs no change.
        """
        failures = self.read()
        kept = [failure for failure in failures if failure.reason and failure.video_id not in video_ids]
        is_there = current(self.path.parent, self.path.name).exists()
        if not is_there or (kept and len(kept) == len(failures)):
            return {}
        return {self.path.name: ledger_text(kept) if kept else ""}

    def add(self, failure: Failure) -> None:
        """Append one failure. DataError if the file cannot be written."""
        size = self.path.stat().st_size if self.path.exists() else 0
        wide = self._is_wide() if size else bool(failure.source)
        if failure.source and not wide:  # the file has no column for it: an earlier version or an unknown file began it
            write_text(self.path, ledger_text([*self.read(), failure]))
            return
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([_header(wide)] * (size == 0) + [_row(failure, wide)])
        try:
            with self.path.open("ab") as file:
                file.write(text.getvalue().encode("utf-8", "backslashreplace"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)  # leave no half line, which the next line would continue
            raise DataError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _is_wide(self) -> bool:
        with self.path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip("\r\n").endswith(f",{SOURCE}")


def ledger_text(failures: Sequence[Failure]) -> str:
    """Return some failures as CSV."""
    wide = any(failure.source for failure in failures)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_header(wide), *(_row(failure, wide) for failure in failures)])
    return text.getvalue()


def _header(wide: bool) -> tuple[str, ...]:
    return (*COLUMNS, SOURCE) if wide else COLUMNS


def _row(failure: Failure, wide: bool) -> tuple[str, ...]:
    told = failure.video_id, failure.path, " ".join(failure.reason.split())
    return (*told, failure.source) if wide else told
