"""Options: what a recipe tells the constructor of a head, a classifier or a text, held to what it asks for."""

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from framebank.store.errors import DataError
from framebank.store.formats.document import shown
from framebank.store.formats.settings import read_pairs, read_value

# What a constructor asks for -> what is said of it; anything else is given by the training and is no option.
KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number from 0 to 1000000",
    int | None: "a whole number from 0 to 1000000",
    float: "a number",
    str: "a word",
    Sequence[int]: "a list of whole numbers",
}


# What a field of a recipe is -> what is said of it.
RECIPE_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a word",
    tuple: "a list of words",
    dict: "a table",
}
MOST = 1_000_000  # of a whole number that an option is


def is_of_kind(value: object, kind: type) -> bool:
    """Whether a value is one of RECIPE_KINDS: true is no number, 3 is a number too, and a list holds words."""
    if kind is tuple:
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    fits = isinstance(value, int | float if kind is float else kind)
    return fits and (kind is bool or not isinstance(value, bool))


def read_options(what: str, name: str, build: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as the constructor `build` of the `what` called `name` asks for them: 3 as 3.0 for a float.

    DataError for one that it does not know, with the nearest that it does, and for one of another kind.
    """
    asked = {p.name: p.annotation for p in inspect.signature(build).parameters.values() if p.kind is p.KEYWORD_ONLY}
    known = [option for option, kind in asked.items() if kind in KINDS]
    for option, value in options.items():
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1, cutoff=0)
            raise DataError(
                f"the {what} {name!r} has no option {option!r}; "
                + (f"the nearest is {near[0]!r}" if near else "it has no options")
            )
        if not _fits(value, asked[option]):
            raise DataError(f"{what}.{option} is {shown(value)}; expected {KINDS[asked[option]]}")
    return {option: float(value) if asked[option] is float else value for option, value in options.items()}


def _fits(value: object, kind: Any) -> bool:
    if kind == Sequence[int]:
        return isinstance(value, list | tuple) and all(_fits(one, int) for one in value)
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, int) and kind is not float:
        return kind in (int, int | None) and 0 <= value <= MOST
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max  # false for what is no number
    return isinstance(value, kind)


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Return options written as NAME=VALUE, the value as `read_value` reads it; DataError for one written otherwise."""
    read = read_pairs(pairs, what="the option", expected="NAME=VALUE, such as smoothing=0.5")
    return {name: read_value(value, where=f"the option {name}") for name, value in read.items()}


def split_list(text: str) -> list[str]:
    """Return the parts of a list between the commas that stand in no brackets; none of an empty one."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts] if text.strip() else []
