"""Ledger: results.jsonl, one line for each figure that a protocol gave."""

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from framebank.store.errors import DataError, PlaceError
from framebank.store.formats.document import MAX_BYTES, parse_json
from framebank.store.formats.text import read_text


def require_ledger(path: Path) -> None:
    """Refuse a place where no line can be added: DataError. Nothing is left there but the folder of the file."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=path.parent).close()


def append_result(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line to a ledger, whole or not at all; DataError if it cannot be written."""
    left = json.dumps(line, sort_keys=True).encode() + b"\n"
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed: what others add is neither divided nor cut off
            before = os.fstat(file.fileno()).st_size
            try:
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(before)
                raise


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PlaceError(f"{path}: cannot be written: {error.strerror or error}") from error


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a ledger, the oldest first; DataError naming a line that is none."""
    if not path.is_file():
        raise DataError(f"{path}: no such results; expected a file that `framebank eval` writes")
    found = []
    for number, text in enumerate(read_text(path, most=MAX_BYTES).splitlines(), start=1):
        if not text.strip():
            continue
        where = f"{path}, line {number}"
        line = parse_json(text, where=where)
        if not isinstance(line, dict) or not isinstance(line.get("protocol"), dict):
            raise DataError(f"{where}: is no result; expected a line that `framebank eval` writes")
        found.append(line)
    return found
