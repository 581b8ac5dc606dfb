"""The one error that is the user's to mend, the one warning, and what helps to mend a name."""

import difflib
import warnings
from collections.abc import Iterable


class DataError(Exception):
    """What the user gave is wrong: one sentence saying which thing, what it is, and what was expected."""


class PlaceError(DataError):
    """A place cannot be written to: it is full, not ours, or another process is writing there."""


def near_names(name: str, known: Iterable[str]) -> str:
    """Return "; near names: 'a', 'b'" for a name that is not known, or "" where none is near."""
    near = difflib.get_close_matches(name, known, cutoff=0.5)
    return f"; near names: {', '.join(map(repr, near))}" if near else ""


class DataWarning(UserWarning):
    """What the user should know of the data, and no result would show; the message is one sentence or a short list."""


def warn(message: str) -> None:
    """Warn of the user's data: a command prints the message to stderr, and a program sees a DataWarning."""
    warnings.warn(message, DataWarning, stacklevel=3)
