"""Ledger: results.jsonl, one line for each figure that a protocol gave."""

import codecs
import contextlib
import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from framebank.store.digest import SEAL, seal
from framebank.store.errors import DataError, PlaceError, warn
from framebank.store.files.replacing import make_folder
from framebank.store.formats.document import MAX_BYTES, Fields, parse_json
from framebank.store.formats.text import UTF16_MARKS, UTF32_MARKS, read_text, require_regular

DIGEST = re.compile("[0-9a-f]{32}")
TEXTS = {"store", "encoder", "weights_hash", "by", "recipe", "run", "texts", "scoring", "time"}  # of a line
BLOCK = 4096  # bytes, in which a file of results shows what it is


def require_ledger(path: Path) -> None:
    """Refuse a place where no line can be added: DataError. Nothing is left there but the folder of the file."""
    with _writing(path):
        path = path.resolve() if path.is_symlink() else path
        make_folder(path.parent)
        if not path.exists():
            tempfile.TemporaryFile(dir=path.parent).close()
            return
        require_regular(path)
        with path.open("a+b") as file:
            file.seek(0)
            start = file.read(BLOCK).removeprefix(codecs.BOM_UTF8)
    if start.startswith((*UTF32_MARKS, *UTF16_MARKS)):
        raise DataError(f"{path}: is in UTF-16; expected UTF-8, as `framebank eval` writes it")
    if start.lstrip()[:1] not in (b"", b"{"):
        raise DataError(f"{path}: holds no results; expected a file that `framebank eval` wrote")


def append_result(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line with its digest to a ledger, whole or not at all; DataError if it cannot be written.

    A piece of a line that a killed command or a crash left at the end is removed first, and a warning says so.
    """
    with _writing(path):
        path = path.resolve() if path.is_symlink() else path
        make_folder(path.parent)
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed: what others add is neither divided nor cut off
            left = _end_last_line(file, path) + line_text(line).encode()
            before = os.fstat(file.fileno()).st_size
            try:
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(before)
                raise


def line_text(line: Mapping[str, Any]) -> str:
    """Return a result as a line of a ledger."""
    plain = json.loads(json.dumps(line))  # as it is read again, without tuples
    return json.dumps({**plain, SEAL: seal(plain, {})}, sort_keys=True) + "\n"


def _end_last_line(file: IO[bytes], path: Path) -> bytes:
    """Return the line end that a whole last line lacks; cut off a piece of a line."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - MAX_BYTES)
    file.seek(start)
    last = file.read(size - start).rpartition(b"\n")[2]
    if not last.strip():
        return b""
    if not _is_piece(last.decode(errors="replace")):
        return b"\n"
    file.truncate(size - len(last))
    warn(f"{path}: a piece of a line at its end, which a killed command left, is removed")
    return b""


def _is_piece(text: str) -> bool:
    """Whether the last line of a file, which has no line end, is only the beginning of a result."""
    try:
        parse_json(text, where="the last line")
    except DataError:
        return text.startswith("{")
    return False


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PlaceError(f"{path}: cannot be written: {error.strerror or error}") from error


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a ledger, the oldest first; DataError naming a line that is none, or that was changed.

    A piece of a line at the end is left out, and a warning says so.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such results; expected a file that `framebank eval` writes")
    found = []
    lines = read_text(path, most=MAX_BYTES).replace("\r\n", "\n").split("\n")
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        where = f"{path}, line {number}"
        if number == len(lines) and _is_piece(text):
            warn(f"{where}: is a piece of a line, which a killed command left; it is left out")
            continue
        found.append(_line_of(parse_json(text, where=where), where=where))
    return found


def _line_of(line: Any, *, where: str) -> dict[str, Any]:
    if not isinstance(line, dict) or not isinstance(line.get("protocol"), dict):
        raise DataError(f"{where}: is no result; expected a line that `framebank eval` writes")
    _require_figures(Fields.of(line, where=where))
    sealed = line.pop(SEAL, None)  # version 0.2.0.dev wrote none
    renamed = any(_has_digest(value) for name, value in line.items() if name not in TEXTS)
    if sealed != seal(line, {}) and (sealed is not None or renamed):
        raise DataError(f"{where}: is not as it was written; remove the line and run `framebank eval` again")
    return line


def _has_digest(value: Any) -> bool:
    return isinstance(value, str) and DIGEST.search(value) is not None


def _require_figures(found: Fields) -> None:
    """Raise DataError if a result lacks one of the values that a table shows, or has it as another type."""
    for name in ("name", "hash"):
        found.fields("protocol").text(name)
    for name in ("encoder", "recipe", "run", "time"):
        found.text(name)
    figure = "map" if "map" in found else "top1"  # with several labels of a video, there is no top-1
    for name in (figure, "deviation", *(["top5"] if "top5" in found else [])):
        found.number(name)
    for name in ("videos_evaluated", "videos_listed"):
        found.whole(name)
    interval = f"{figure}_interval"  # results of several labels had none before
    if (figure == "top1" or interval in found) and len(found.numbers(interval)) != 2:
        raise found.refuse(interval, "two numbers")
