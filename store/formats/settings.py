"""Settings: texts such as "lr=1e-3" that a user writes on a command line, and the values in them."""

import tomllib
from collections.abc import Iterable
from typing import Any

from framebank.store.errors import DataError, parsing
from framebank.store.formats.document import parse_toml

BRACKETS = ("'", '"', "[", "{")  # a word begins with none of these


def read_pairs(texts: Iterable[str], *, what: str, expected: str) -> dict[str, str]:
    """Return the names and values of texts such as "lr = 1e-3", without the blanks around them; a value may be empty.

    `what` the texts are, and what is `expected` of one, are for messages. DataError for a text without a name or "=",
    and for a name that is given twice.

    >>> read_pairs(["lr = 1e-3", "seed="], what="--set", expected="KEY=VALUE")
    {'lr': '1e-3', 'seed': ''}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, mark, value = (part.strip() for part in text.partition("="))
        if not (name and mark):
            raise DataError(f"{what} is {text!r}; expected {expected}")
        if name in found:
            raise DataError(f"{what} gives {name} twice, {found[name]!r} and {value!r}")
        found[name] = value
    return found


def read_value(text: str, *, where: str) -> Any:
    """Return a value that is written as in TOML, or as a word without quotes.

    DataError where it begins as TOML does, with a quote or a bracket, and does not go on so, and for a value that no
    option can be (`parse_toml`).

    >>> [read_value(text, where="--set") for text in ("2", "1e-3", "true", "[1, 2]", "bi-mhm")]
    [2, 0.001, True, [1, 2], 'bi-mhm']
    """
    with parsing(where, what="a value"):
        try:
            return parse_toml(f"value = {text}", where=where)["value"]
        except tomllib.TOMLDecodeError as error:
            if text.startswith(BRACKETS):
                raise DataError(
                    f'{where} is {text!r}; expected a value as in TOML: 2, 0.5, true, [1, 2], ["a", "b"], "two words", '
                    "or a word without quotes"
                ) from error
            return text
