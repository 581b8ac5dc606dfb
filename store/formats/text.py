"""Text: what a file holds as text, in UTF-8, UTF-16 or UTF-32, and its lines."""

import codecs
import io
import stat
from collections.abc import Iterator
from pathlib import Path

from framebank.store.errors import DataError

UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)  # of which the first begins as UTF-16 does
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MOST_TEXT = 4 << 30  # bytes; the list of ten million videos has less
BLOCK = 1 << 20  # letters that are divided into lines at once
LONGEST_LINE = 131_072  # letters; no list has a name as long, and Python's csv reads no longer cell


def require_regular(path: Path) -> None:
    """Refuse a pipe or a device, which could be read for ever: DataError."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # opening it gives the reason
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise DataError(f"{path}: is a pipe or a device; expected a file")


def read_text(path: Path, *, what: str = "text", most: int = MOST_TEXT) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 or UTF-32 with their mark, line ends as they are.

    DataError if it cannot be read as `what` it is, holds the letter NUL, or has more than `most` bytes.
    """
    require_regular(path)
    try:
        with path.open("rb") as file:
            content = file.read() if path.stat().st_size <= most else None
    except (OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or error or "there is not enough memory"
        raise DataError(f"{path}: cannot be read as {what}: {reason}") from error
    if content is None:
        raise DataError(f"{path}: has more than {most >> 20} MiB; expected a smaller file")
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError as error:
        expected = "expected UTF-8 or UTF-16 (a spreadsheet saves it as 'CSV UTF-8')"
        raise DataError(f"{path}: cannot be read as {what}: {error}; {expected}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"{path}: cannot be read as {what}: line {line} holds the character NUL, which no name contains"
        )
    return text


def lines_of(text: str, *, where: object) -> list[str]:
    """Return the lines of a text that are not blank, without blanks around them; DataError if one is too long."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any(len(line) > LONGEST_LINE for line in lines):
        number = next(n for n, line in enumerate(text.splitlines(), 1) if len(line) > LONGEST_LINE)
        raise DataError(f"{where}: line {number} has more than {LONGEST_LINE} characters; expected a name")
    return lines


def csv_lines(text: str) -> Iterator[str]:
    """Yield what csv.reader reads of a text: its lines, in little memory where no cell of it can hold a line end."""
    if '"' in text or "\r" in text:
        yield from io.StringIO(text, newline="")
        return
    start = 0
    while start < len(text):
        end = text.find("\n", start + BLOCK)
        end = len(text) if end < 0 else end
        yield from text[start:end].split("\n")
        start = end + 1


def is_whole(text: str) -> bool:
    """Whether a string is a whole number of 64 bits; int() refuses one of some thousand figures."""
    return text.isdecimal() and len(text) <= 19 and int(text) < 2**63


def is_text(text: str) -> bool:
    """Whether a string can be written as UTF-8 and be a name: it holds no NUL and no half of a surrogate pair."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encoding(content: bytes) -> str:
    if content.startswith(UTF32_MARKS):
        return "utf-32"
    if content.startswith(UTF16_MARKS):
        return "utf-16"
    start = content[:1000]
    if len(start) >= 4 and start.count(0) * 3 > len(start):  # UTF-16 without its mark, or a block of zeros
        even, odd = start[::2].count(0), start[1::2].count(0)
        if max(even, odd) > 4 * min(even, odd):
            return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8-sig"
