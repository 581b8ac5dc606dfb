"""Options: what a recipe gives to the constructor of a head, a classifier or a text, checked against its signature."""

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from framebank.store.errors import DataError
from framebank.store.formats.document import shown
from framebank.store.formats.settings import read_pairs, read_value

# Type of a constructor's argument -> its name in messages. Any other type comes from the training and is not an option.
KINDS: dict[Any, str] = {
    bool: "true or false",
    bool | None: "true or false",
    int: "a whole number from 0 to 1000000",
    int | None: "a whole number from 0 to 1000000",
    float: "a number",
    str: "a word",
    Sequence[int]: "a list of whole numbers",
}


# Type of a recipe's field -> its name in messages.
RECIPE_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a word",
    tuple: "a list of words",
    dict: "a table",
}
MOST = 1_000_000  # the largest whole number that an option may have


def is_of_kind(value: object, kind: type) -> bool:
    """Return whether a value is one of RECIPE_KINDS. True is not a number, 3 is a float too, and a list holds words."""
    if kind is tuple:
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    fits = isinstance(value, int | float if kind is float else kind)
    return fits and (kind is bool or not isinstance(value, bool))


def read_options(what: str, name: str, build: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options for the constructor `build` of the `what` called `name`, in its types: 3 becomes 3.0 for a float.

    DataError if it does not know an option (with the nearest that it knows), or if a value has another type.
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
        return kind in (bool, bool | None)
    if isinstance(value, int) and kind is not float:
        return kind in (int, int | None) and 0 <= value <= MOST
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max  # false for NaN
    return isinstance(value, kind)


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Return options written as NAME=VALUE, each value read by `read_value`. DataError if one is written otherwise."""
    read = read_pairs(pairs, what="the option", expected="NAME=VALUE, such as smoothing=0.5")
    return {name: read_value(value, where=f"the option {name}") for name, value in read.items()}


def split_list(text: str) -> list[str]:
    """Return the items of a list, split at the commas that are outside brackets. An empty text gives no items."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts] if text.strip() else []
