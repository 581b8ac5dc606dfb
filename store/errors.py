"""The one error for wrong data of the user, the one warning, and functions that help to correct a name."""

import contextlib
import difflib
import re
import sys
import warnings
from collections.abc import Iterable, Iterator

OWN_ROOMS = ("framebank.store.", "framebank.extract.", "framebank.heads.", "framebank.library.", "contextlib")
LONGEST_WORD = 300  # letters without a blank or a slash; a file name has at most 255 bytes


class DataError(Exception):
    """What the user gave is wrong. The message is one sentence: which thing, what it is, and what was expected.

    Text from a file is made safe for a terminal: it becomes one line, letters that cannot be printed are escaped, and
    words that are too long for a sentence are cut.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_one_sentence(message))


class PlaceError(DataError):
    """A place cannot be written to, or a file cannot be read, and nothing says that the file is damaged.

    The place is full or not ours, another process is writing there, or the machine has too little memory.
    """


def _one_sentence(message: str) -> str:
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(message))
    return re.sub(rf"[^\s/]{{{LONGEST_WORD},}}", lambda word: f"{word[0][:60]}... ({len(word[0])} characters)", text)


@contextlib.contextmanager
def parsing(where: object, *, what: str) -> Iterator[None]:
    """Turn any error of a parser about a file into a DataError: "WHERE: cannot be read as WHAT (...)".

    Use it only around a call that hands the bytes of a file to a library: any error can come from such bytes.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{where}: cannot be read as {what} ({reason_of(error)})") from error


def reason_of(error: BaseException) -> str:
    """Return the message of an exception as one line of at most 200 letters, or its class name if it has no message."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def near_names(name: str, known: Iterable[str]) -> str:
    """Return "; near names: 'a', 'b'" for an unknown name, or "" if no known name is near."""
    near = difflib.get_close_matches(name, known, cutoff=0.5)
    return f"; near names: {', '.join(map(repr, near))}" if near else ""


class DataWarning(UserWarning):
    """A fact about the data that the user should know and that no result shows. One sentence or a short list."""


def warn(message: str) -> None:
    """Warn the user about the data. A command prints the message to stderr; in a program it is a DataWarning.

    Its place is the line that called framebank.
    """
    warnings.warn(message, DataWarning, stacklevel=_levels_to_caller())


def _levels_to_caller() -> int:
    """Return how many calls lie between `warn` and the code that is in none of OWN_ROOMS; that of `warn` is one."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(OWN_ROOMS):
        level, frame = level + 1, frame.f_back
    return level
