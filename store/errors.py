"""The one error that is the user's to mend, and what helps to mend a name."""

import difflib
from collections.abc import Iterable


class DataError(Exception):
    """What the user gave is wrong: one sentence saying which thing, what it is, and what was expected."""


def near_names(name: str, known: Iterable[str]) -> str:
    """Return "; near names: 'a', 'b'" for a name that is not known, or "" where none is near."""
    near = difflib.get_close_matches(name, known, cutoff=0.5)
    return f"; near names: {', '.join(map(repr, near))}" if near else ""
