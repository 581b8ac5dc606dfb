"""Document: JSON and TOML within limits, and the values of an object by name, each of the wanted type."""

import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framebank.store.errors import DataError, parsing, reason_of
from framebank.store.formats.text import is_text, read_text

MAX_BYTES = 256 << 20
MAX_DEPTH = 32  # brackets within brackets
TEXTS = re.compile(r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"(?:[^"\\\n]|\\.)*+"|\'[^\'\n]*+\'')  # of TOML
DOTTED = re.compile(r"(?<![\w\"-])[\w\"-]++(?:\s*+\.\s*+[\w\"-]++)++")  # a.b.c, of which each is in the one before
MAX_DIGITS = 20  # of a whole number; one with more does not fit 64 bits
MAX_WHOLE = 2**63


@dataclass(frozen=True)
class Pairs:
    """A JSON object as it is written: a dict would drop a name that appears twice."""

    pairs: list[tuple[str, Any]]


def read_json(path: Path) -> Any:
    """Return what a JSON file of up to MAX_BYTES holds; DataError as `parse_json`."""
    return parse_json(read_text(path, most=MAX_BYTES), where=path)


def parse_json(text: str | bytes, *, where: object, expected: str = "", pairs: bool = False) -> Any:
    """Return what a JSON text holds: with `pairs` an object is `Pairs`, else a dict in which each name appears once.

    DataError if it is not JSON, nests more than MAX_DEPTH deep, or holds a value that none of our files has: a number
    that is not finite or has more than 64 bits, a text with NUL or half a surrogate pair.
    """
    hint = f"; {expected}" if expected else ""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        found = json.loads(text, object_pairs_hook=Pairs if pairs else _once, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: is not JSON (line {error.lineno}){hint}") from error
    except RecursionError as error:
        raise DataError(f"{where}: nests more than {MAX_DEPTH} brackets{hint}") from error
    except ValueError as error:  # of the encoding, or of a number
        raise DataError(f"{where}: is not JSON ({reason_of(error)}){hint}") from error
    _require_plain(found, where=where, hint=hint)
    return found


def read_toml(path: Path, *, what: str) -> dict[str, Any]:
    """Return what a TOML file of up to MAX_BYTES holds; DataError as `parse_toml`."""
    text = read_text(path, what=what, most=MAX_BYTES)
    with parsing(path, what=what):
        return parse_toml(text, where=path)


def parse_toml(text: str, *, where: object) -> dict[str, Any]:
    """Return what a TOML text holds: DataError as `parse_json` for a value that is no plain one.

    tomllib.TOMLDecodeError where it is not TOML, another ValueError if a number has too many digits.
    """
    dotted = DOTTED.finditer(TEXTS.sub('""', text))
    if any(name[0].count(".") > MAX_DEPTH for name in dotted):  # which takes tomllib minutes
        raise DataError(f"{where}: nests more than {MAX_DEPTH} names")
    try:
        found = tomllib.loads(text)
    except RecursionError as error:
        raise DataError(f"{where}: nests more than {MAX_DEPTH} brackets") from error
    _require_plain(found, where=where, hint="")
    return found


def shown(value: object) -> str:
    """Return a value for a message, cut after 60 letters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True)
class Fields:
    """The values of an object by name; each is asked for by its type, and another one is a DataError that names it.

    A `default` stands for a value that is missing; without one, that is a DataError too.
    """

    values: Mapping[str, Any]
    where: object

    @classmethod
    def of(cls, found: object, *, where: object) -> "Fields":
        """Return the fields of a JSON or TOML object; DataError if it is something else."""
        if not isinstance(found, Mapping):
            raise DataError(f"{where}: is {shown(found)}; expected an object")
        return cls(found, where)

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def refuse(self, name: str, expected: str) -> DataError:
        """Return the error that says what was expected of a value."""
        is_what = f"is {shown(self.values[name])}" if name in self.values else "is missing"
        return DataError(f"{self.where}: {name} {is_what}; expected {expected}")

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a text."""
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise self.refuse(name, "a text")
        return value

    def whole(self, name: str, *, least: int = 0, default: int | None = None) -> int:
        """Return a whole number of `least` or more."""
        value = self.values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.refuse(name, f"a whole number from {least}")
        return value

    def number(self, name: str) -> float:
        """Return a number."""
        value = self.values.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.refuse(name, "a number")
        return float(value)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.values.get(name)
        if not isinstance(value, bool):
            raise self.refuse(name, "true or false")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self.values.get(name)
        if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(one, str) for one in value):
            raise self.refuse(name, "a list of texts")
        return tuple(value)

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of numbers."""
        value = self.values.get(name)
        if not isinstance(value, list | tuple) or not all(type(one) in (int, float) for one in value):
            raise self.refuse(name, "a list of numbers")
        return tuple(map(float, value))

    def wholes(self, name: str, *, least: int = 0, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Return a list of whole numbers of `least` or more."""
        value = self.values.get(name, default)
        fits = isinstance(value, list | tuple) and all(type(one) is int and one >= least for one in value)
        if not fits or value is None:
            raise self.refuse(name, f"a list of whole numbers from {least}")
        return tuple(value)

    def list(self, name: str) -> Sequence[Any]:
        """Return a list of anything."""
        value = self.values.get(name)
        if not isinstance(value, list | tuple):
            raise self.refuse(name, "a list")
        return value

    def fields(self, name: str) -> "Fields":
        """Return an object within this one."""
        value = self.values.get(name)
        if not isinstance(value, Mapping):
            raise self.refuse(name, "an object")
        return Fields(value, f"{self.where}: {name}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{shown(twice)} appears twice")
    return found


def _whole(figures: str) -> int:
    if len(figures) > MAX_DIGITS:
        raise ValueError(f"a number of {len(figures)} digits")
    return int(figures)


def _require_plain(found: object, *, where: object, hint: str) -> None:
    level, depth = [found], 0
    while level:
        for value in level:
            wrong = _wrong_with(value)
            if wrong:
                raise DataError(f"{where}: holds {wrong}{hint}")
        depth += any(isinstance(value, dict | list | Pairs) for value in level)
        if depth > MAX_DEPTH:
            raise DataError(f"{where}: nests more than {MAX_DEPTH} brackets{hint}")
        level = [inner for value in level for inner in _inside(value)]


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, Pairs):
        for pair in value.pairs:
            yield from pair


def _wrong_with(value: object) -> str:
    if isinstance(value, str):
        return "" if is_text(value) else f"the text {shown(value)}, which cannot be a name"
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{value}, which is not a finite number"
    if isinstance(value, int):
        return "" if -MAX_WHOLE <= value < MAX_WHOLE else "a whole number of more than 64 bits"
    if value is None or isinstance(value, dict | list | Pairs):
        return ""
    return f"{shown(value)}, a {type(value).__name__}"  # TOML's dates
