"""The one error that is the user's to mend, the one warning, and what helps to mend a name."""

import contextlib
import difflib
import re
import warnings
from collections.abc import Iterable, Iterator

LONGEST_WORD = 300  # letters between blanks and slashes; a name of a file has 255 bytes


class DataError(Exception):
    """What the user gave is wrong: one sentence saying which thing, what it is, and what was expected.

    What of a file stands in it is made fit for a terminal: one line, letters that cannot be printed escaped, and words
    that no sentence has cut.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_one_sentence(message))


class PlaceError(DataError):
    """A place cannot be written to, or a file not be looked at, and nothing says that it is damaged.

    It is full, not ours, another process is writing there, or the machine had no memory to spare.
    """


def _one_sentence(message: str) -> str:
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(message))
    return re.sub(rf"[^\s/]{{{LONGEST_WORD},}}", lambda word: f"{word[0][:60]}... ({len(word[0])} characters)", text)


@contextlib.contextmanager
def parsing(where: object, *, what: str) -> Iterator[None]:
    """Turn whatever a parser stumbles over in a file into a DataError: "WHERE: cannot be read as WHAT (...)".

    For the calls alone that hand the bytes of a file to a library: what it may raise, only those bytes know.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{where}: cannot be read as {what} ({reason_of(error)})") from error


def reason_of(error: BaseException) -> str:
    """Return what an exception says on one line of 200 letters at most, or its name where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def near_names(name: str, known: Iterable[str]) -> str:
    """Return "; near names: 'a', 'b'" for a name that is not known, or "" where none is near."""
    near = difflib.get_close_matches(name, known, cutoff=0.5)
    return f"; near names: {', '.join(map(repr, near))}" if near else ""


class DataWarning(UserWarning):
    """What the user should know of the data, and no result would show; the message is one sentence or a short list."""


def warn(message: str) -> None:
    """Warn of the user's data: a command prints the message to stderr, and a program sees a DataWarning."""
    warnings.warn(message, DataWarning, stacklevel=3)
