"""Checks of the arguments of a caller; each error says what was expected. `store/formats/typed.py` checks types."""

from collections.abc import Callable

from framebank.store.errors import DataError
from framebank.store.formats.typed import Paths as Paths
from framebank.store.formats.typed import WrongTypeError as WrongTypeError
from framebank.store.formats.typed import typed as typed

# How an error message writes the name of an argument: as_argument or as_option.
Naming = Callable[[str], str]


def require_least(name: str, value: float | None, least: float) -> None:
    """Raise DataError if a number is below `least`. None means that no number was given, and passes.

    >>> require_least("k", 3, 1)
    """
    if value is not None and not value >= least:
        raise DataError(f"{name} is {value}; expected {least} or more")


def require_share(name: str, value: float) -> None:
    """Raise DataError if a number is not strictly between 0 and 1.

    >>> require_share("share", 0.05)
    """
    if not 0 < value < 1:
        raise DataError(f"{name} is {value}; expected more than 0 and less than 1")


def require_among(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    """Raise DataError if a word is not one of `choices`. None means that no word was given, and passes.

    >>> require_among("scoring", "embeddings", ("probabilities", "embeddings"))
    """
    if value is not None and value not in choices:
        raise DataError(f"{name} is {value!r}; expected {' or '.join(choices)}")


def as_option(name: str) -> str:
    """Return the name of an argument as the command line writes it.

    >>> as_option("support_list")
    '--support-list'
    """
    return f"--{name.replace('_', '-')}"


def as_argument(name: str) -> str:
    """Return the name of an argument as Python writes it: unchanged."""
    return name
